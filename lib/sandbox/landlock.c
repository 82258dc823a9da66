/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Landlock: no path but the listed ones, no TCP, no abstract socket and no signal beyond the process
 * itself. Every right that the running kernel knows is handled, so what is not granted is refused.
 *
 * The numbers below are the kernel's interface (include/uapi/linux/landlock.h); the header of an
 * older system lacks the later ones, and a binary must use them where the running kernel has them.
 */
#include "lib/sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define LL_CREATE_RULESET 444 /* system call numbers, the same on every architecture */
#define LL_ADD_RULE       445
#define LL_RESTRICT_SELF  446
#define LL_VERSION_FLAG   1U
#define LL_PATH_BENEATH   1

/* File rights by bit. ABI 1: bits 0 … 12; ABI 2: 13; ABI 3: 14; ABI 5: 15. */
#define LL_EXECUTE     (1ULL << 0)
#define LL_WRITE_FILE  (1ULL << 1)
#define LL_READ_FILE   (1ULL << 2)
#define LL_READ_DIR    (1ULL << 3)
#define LL_REMOVE_DIR  (1ULL << 4)
#define LL_REMOVE_FILE (1ULL << 5)
#define LL_MAKE_DIR    (1ULL << 7)
#define LL_MAKE_REG    (1ULL << 8)
#define LL_MAKE_SOCK   (1ULL << 9)
#define LL_MAKE_FIFO   (1ULL << 10)
#define LL_MAKE_SYM    (1ULL << 12)
#define LL_REFER       (1ULL << 13)
#define LL_TRUNCATE    (1ULL << 14)
/* Legal for what is no folder. */
#define LL_IOCTL_DEV    (1ULL << 15)
#define LL_FILE_ONLY    (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)

#define LL_SCOPE_SIGNAL (1ULL << 1)

#define LL_READ         (LL_READ_FILE | LL_READ_DIR)
#define LL_WRITE                                                                                   \
	(LL_WRITE_FILE | LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_DIR | LL_MAKE_REG |              \
	 LL_MAKE_SOCK | LL_REFER | LL_TRUNCATE)
#define LL_CREATE                                                                                  \
	(LL_READ_DIR | LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_DIR | LL_MAKE_REG | LL_MAKE_SYM)

struct ruleset_attr {
	uint64_t handled_fs;  /* ABI 1 */
	uint64_t handled_net; /* ABI 4: bind and connect of TCP */
	uint64_t scoped;      /* ABI 6: abstract sockets, signals */
};

struct path_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* What each ABI handles; a later kernel is used as the last one listed. */
static const struct {
	size_t attr_len;
	struct ruleset_attr attr;
} abis[] = {
        [1] = {8, {(1ULL << 13) - 1, 0, 0}},  [2] = {8, {(1ULL << 14) - 1, 0, 0}},
        [3] = {8, {(1ULL << 15) - 1, 0, 0}},  [4] = {16, {(1ULL << 15) - 1, 3, 0}},
        [5] = {16, {(1ULL << 16) - 1, 3, 0}}, [6] = {24, {(1ULL << 16) - 1, 3, 3}},
        [7] = {24, {(1ULL << 16) - 1, 3, 3}}, /* adds logging options only */
};

static int add_path(int ruleset, const struct confine_path *p, uint64_t handled)
{
	OWNED_FD int fd = open(p->path, O_PATH | O_CLOEXEC);
	struct path_attr attr = {.parent_fd = fd};
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return -1;
	attr.allowed = p->create ? LL_CREATE : LL_READ | (p->write ? LL_WRITE : 0);
	if (p->write && p->links)
		attr.allowed |= LL_MAKE_FIFO | LL_MAKE_SYM;
	if (p->write && p->devices)
		attr.allowed |= LL_IOCTL_DEV;
	if (p->run)
		attr.allowed |= LL_EXECUTE;
	attr.allowed &= handled;
	if (!S_ISDIR(st.st_mode))
		attr.allowed &= LL_FILE_ONLY;
	return (int)syscall(LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &attr, 0U);
}

int sandbox_landlock(const struct confine_rights *rights)
{
	OWNED_FD int ruleset = -1;
	struct ruleset_attr attr;
	long abi = syscall(LL_CREATE_RULESET, NULL, (size_t)0, LL_VERSION_FLAG);

	if (abi < 1) {
		LOG_ERRNO("Landlock");
		return -1;
	}
	abi = MIN(abi, (long)ARRAY_LEN(abis) - 1);
	attr = abis[abi].attr;
	if (rights->signals)
		attr.scoped &= ~LL_SCOPE_SIGNAL;
	/* LL_TRUNCATE is asked for with each open: for a later ftruncate(). */
	if (rights->reads_all)
		attr.handled_fs &= ~(LL_READ | LL_TRUNCATE);
	ruleset = (int)syscall(LL_CREATE_RULESET, &attr, abis[abi].attr_len, 0U);
	if (ruleset < 0) {
		LOG_ERRNO("Landlock rule set");
		return -1;
	}
	for (size_t i = 0; i < rights->n_paths; i++) {
		if (add_path(ruleset, &rights->paths[i], abis[abi].attr.handled_fs)) {
			LOG_ERRNO("Landlock rule of %s", rights->paths[i].path);
			return -1;
		}
	}
	if (syscall(LL_RESTRICT_SELF, ruleset, 0U) == 0)
		return 0;
	LOG_ERRNO("Landlock");
	return -1;
}
