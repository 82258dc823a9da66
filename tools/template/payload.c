/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two processes that read a template's payload. */
#include "tools/template/payload.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/program_calls.h"
#include "lib/sandbox/sandbox.h"
#include "services/dom0/child.h"
#include "tools/qvm/out.h"

#define READER_MEMORY   (128ULL << 20)
#define UNPACKER_MEMORY (1ULL << 30) /* xz -9 takes 65 MiB, zstd --ultra 128 MiB; chosen */
#define FILES           16U
#define IMAGE_PIPE      (1 << 20)

/* Its result is read when the image is through, so it must fit into the pipe. */
static_assert(sizeof(struct payload_info) + sizeof(uint64_t) <= 65536, "a pipe");

static const struct confine_call unpacker_calls[] = {
        CONFINE_CALLS_PROGRAM,
        {"pipe2", "xz: to itself, for signals"},
        {"landlock_create_ruleset", "xz, newer versions: it drops rights itself"},
        {"landlock_add_rule", "the same"},
        {"landlock_restrict_self", "the same"},
        {"prctl",
         "the same: PR_SET_NO_NEW_PRIVS",
         1,
         {{.arg = 0, .mask = ~0ULL, .value = PR_SET_NO_NEW_PRIVS}}},
};

static const struct confine_call reader_calls[] = {CONFINE_CALLS_BASE};

struct compression {
	const char *magic;
	size_t len;
	const char *argv[4];
};

/* By the first bytes of the payload; no thread, so that none is needed. */
static const struct compression compressions[] = {
        {"\x1f\x8b", 2, {"/usr/bin/gzip", "-dc", NULL}},
        {"\xfd"
         "7zXZ",
         5,
         {"/usr/bin/xz", "-dcT1", NULL}},
        {"\x28\xb5\x2f\xfd", 4, {"/usr/bin/zstd", "-dcq", "--no-asyncio", NULL}},
        {"070701", 6, {NULL}},
};

/* In the child: what is read of the package goes into a pipe. */
NORETURN static void be_unpacker(const struct compression *c, int package, int out, bool show)
{
	static const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	static const struct confine_path paths[] = {
	        {.path = "/usr", .run = true},
	        {.path = "/lib", .run = true},
	        {.path = "/lib64", .run = true},
	        {.path = "/etc/ld.so.cache"},
	};
	const struct confine_rights rights = {
	        .name = "template-unpack",
	        .calls = unpacker_calls,
	        .n_calls = ARRAY_LEN(unpacker_calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .files_max = FILES,
	        .memory_max = UNPACKER_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};
	char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C", NULL};
	OWNED_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* It ends by that once nobody reads any more. */
	(void)signal(SIGPIPE, SIG_DFL);
	if (nothing < 0 || dup2(package, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    (!show && dup2(nothing, STDERR_FILENO) < 0))
		_exit(126);
	log_set_fd(-1);
	if (confine(&rights))
		_exit(126);
	(void)execve(c->argv[0], (char *const *)(uintptr_t)c->argv, environment);
	_exit(127);
}

struct ends {
	int in, image, result;
};

static int child_read(void *ctx, void *data, size_t len)
{
	const struct ends *ends = ctx;

	return fd_read_all(ends->in, data, len);
}

static int child_begin(void *ctx, uint64_t size)
{
	const struct ends *ends = ctx;

	return fd_write_all(ends->result, &size, sizeof(size));
}

static int child_write(void *ctx, const void *data, size_t len)
{
	const struct ends *ends = ctx;

	return fd_write_all(ends->image, data, len);
}

NORETURN static void be_reader(struct ends *ends, const char *name, bool allow_pv)
{
	static struct payload_info info;
	const int fds[] = {ends->in, ends->image, ends->result, STDERR_FILENO};
	const struct confine_rights rights = {
	        .name = "template-read",
	        .calls = reader_calls,
	        .n_calls = ARRAY_LEN(reader_calls),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .files_max = FILES,
	        .memory_max = READER_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};
	const struct payload_io io = {
	        .ctx = ends, .read = child_read, .begin = child_begin, .write = child_write};
	enum payload_result result;

	/* Who takes the image tells by closing it. */
	(void)signal(SIGPIPE, SIG_IGN);
	log_set_fd(-1);
	if (confine(&rights))
		_exit(PAYLOAD_E_RIGHTS);
	result = payload_read(&io, name, allow_pv, &info);
	if (result == PAYLOAD_OK && fd_write_all(ends->result, &info, sizeof(info)))
		result = PAYLOAD_E_WRITE;
	_exit((int)result);
}

static const struct compression *compression_of(int fd, uint64_t at)
{
	char untrusted_magic[6] = "";

	if (pread(fd, untrusted_magic, sizeof(untrusted_magic), (off_t)at) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(compressions); i++) {
		if (memcmp(untrusted_magic, compressions[i].magic, compressions[i].len) == 0)
			return &compressions[i];
	}
	return NULL;
}

/* The descriptor from which the reader takes the archive; -1 with errno. */
static int start_unpacker(const struct compression *c, int package, bool show, struct payload *p)
{
	int ends[2];

	if (!c->argv[0])
		return fcntl(package, F_DUPFD_CLOEXEC, 0);
	if (access(c->argv[0], X_OK) || pipe2(ends, O_CLOEXEC))
		return -1;
	p->unpacker = child_fork();
	if (p->unpacker == 0)
		be_unpacker(c, package, ends[1], show);
	(void)close(ends[1]);
	if (p->unpacker > 0)
		return ends[0];
	p->unpacker = 0;
	return fd_close(ends[0]);
}

static int start_reader(int in, const char *name, bool allow_pv, struct payload *p)
{
	int image[2], result[2];

	if (pipe2(image, O_CLOEXEC))
		return -1;
	(void)fcntl(image[1], F_SETPIPE_SZ, IMAGE_PIPE);
	if (pipe2(result, O_CLOEXEC)) {
		fd_close(image[0]);
		return fd_close(image[1]);
	}
	p->reader = child_fork();
	if (p->reader == 0)
		be_reader(&(struct ends){.in = in, .image = image[1], .result = result[1]}, name,
		          allow_pv);
	fd_close(image[1]);
	fd_close(result[1]);
	p->image = image[0];
	p->result = result[0];
	return p->reader > 0 ? 0 : -1;
}

/* Ends both; why it is not right, or NULL. */
static const char *finish(struct payload *p, bool *ret_told, struct payload_info *ret)
{
	int read_status = PAYLOAD_E_RIGHTS, unpack_status = 0;

	/* Whoever goes on writing the image is told. */
	p->image = fd_close(p->image);
	*ret_told = ret && fd_read_all(p->result, ret, sizeof(*ret)) == 0;
	p->result = fd_close(p->result);
	if (p->reader > 0)
		read_status = child_wait(p->reader);
	if (p->unpacker > 0)
		unpack_status = child_wait(p->unpacker);
	p->reader = p->unpacker = 0;
	if (read_status != PAYLOAD_OK)
		return payload_error((enum payload_result)read_status);
	if (unpack_status != 0 && unpack_status != CHILD_LOST)
		return "it cannot be decompressed";
	return NULL;
}

int payload_start(int package_fd, uint64_t at, const struct payload_options *options,
                  struct payload *ret, const char **ret_why)
{
	const struct compression *c = compression_of(package_fd, at);
	OWNED_FD int in = -1;
	bool told;

	*ret = (struct payload){.image = -1, .result = -1};
	if (!c) {
		*ret_why = "it is compressed in a way that is not known here";
		return -1;
	}
	if (lseek(package_fd, (off_t)at, SEEK_SET) >= 0)
		in = start_unpacker(c, package_fd, options->show, ret);
	if (in < 0 || start_reader(in, options->name, options->allow_pv, ret)) {
		*ret_why = arena_printf("%s: %s", c->argv[0] ? c->argv[0] : "payload",
		                        strerror(errno));
		(void)finish(ret, &told, NULL);
		return -1;
	}
	(void)fd_close(fd_take(&in));
	if (fd_read_all(ret->result, &ret->size, sizeof(ret->size)) == 0 && ret->size > 0 &&
	    ret->size <= PAYLOAD_ROOT_MAX)
		return 0;
	*ret_why = finish(ret, &told, NULL);
	if (!*ret_why)
		*ret_why = payload_error(PAYLOAD_E_MAX);
	return -1;
}

int payload_end(struct payload *payload, struct payload_info *ret, const char **ret_why)
{
	bool told;

	*ret_why = finish(payload, &told, ret);
	if (!*ret_why && !told)
		*ret_why = payload_error(PAYLOAD_E_MAX);
	for (size_t i = 0; i < PAYLOAD_TEXTS; i++)
		ret->texts[i][PAYLOAD_TEXT_MAX] = '\0';
	return *ret_why ? -1 : 0;
}
