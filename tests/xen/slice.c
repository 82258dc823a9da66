/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a confined process can do with a channel that it was handed, and what it cannot: on real devices. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/drive.h"
#include "tests/xen/tap.h"

/* The kernel's numbers. */
#define BIND_VIRQ        0x00044500U
#define BIND_INTERDOMAIN 0x00084501U
#define RESTRICT_DOMAIN  0x00024506U
#define MAP_GRANTS       0x00184700U
#define SET_UNMAP_NOTIFY 0x00104707U
#define GRANT_COPY       0x00104708U

struct handed {
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
};

/* The table that the qrexec slice has for its channel. */
static int confine_as_slice(void)
{
	static const struct confine_call calls[] = {CONFINE_CALLS_BASE,
	                                            CONFINE_CALLS_LOOP,
	                                            CONFINE_CALLS_GRANT,
	                                            {"poll", "the channel"}};
	static const struct confine_rights rights = {
	        .name = "slice of a test",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .memory_max = 64U << 20,
	        .files_max = 32,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS |
	                    CONFINE_NAMESPACES,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}

static bool get_channel(int domid, struct handed *h)
{
	struct vchan_config config = {
	        .transport = VCHAN_GRANT, .own = 0, .peer = domid, .port = TALK_SLICE};
	struct vchan *vchan;

	if (vchan_connect(&config, &vchan))
		return false;
	while (vchan_state(vchan) == VCHAN_WAITING) {
		struct pollfd look = {.fd = vchan_fd(vchan), .events = POLLIN};

		(void)poll(&look, 1, -1);
		(void)vchan_step(vchan);
	}
	if (vchan_state(vchan) == VCHAN_OPEN && vchan_export(vchan, &h->handle, h->fds) == 0)
		return true;
	(void)vchan_close(vchan);
	return false;
}

/* Without any filter: what the descriptors themselves refuse. */
static bool restricted(const struct handed *h, int domid)
{
	uint32_t bind[2] = {(uint32_t)domid + 1, 1}, virq = 0;
	uint16_t own = (uint16_t)domid, other = (uint16_t)(domid + 1);

	return ioctl(h->fds[0], BIND_INTERDOMAIN, bind) < 0 && errno == EACCES &&
	       ioctl(h->fds[0], BIND_VIRQ, &virq) < 0 && errno == EACCES &&
	       ioctl(h->fds[0], RESTRICT_DOMAIN, &other) < 0 && errno == EACCES &&
	       ioctl(h->fds[0], RESTRICT_DOMAIN, &own) < 0 && errno == EACCES;
}

static bool dies(void (*attack)(const struct handed *h), const struct handed *h)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		if (confine_as_slice())
			_exit(1);
		attack(h);
		_exit(2);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSYS;
}

static void map_a_grant(const struct handed *h)
{
	uint8_t arg[32] = {1};

	(void)ioctl(h->fds[1], MAP_GRANTS, arg);
}

static void copy_a_grant(const struct handed *h)
{
	uint8_t arg[32] = {0};

	(void)ioctl(h->fds[1], GRANT_COPY, arg);
}

static void poke_a_port(const struct handed *h)
{
	uint8_t arg[16] = {0};

	(void)ioctl(h->fds[1], SET_UNMAP_NOTIFY, arg);
}

static void bind_a_port(const struct handed *h)
{
	uint32_t arg[2] = {0, 1};

	(void)ioctl(h->fds[0], BIND_INTERDOMAIN, arg);
}

static void open_the_device(const struct handed *h)
{
	(void)h;
	(void)open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
}

/* In the slice, with its filter: other pages of the descriptor, then an ordinary talk. */
static int work(const struct handed *h)
{
	int fds[VCHAN_FDS_MAX] = {h->fds[0], h->fds[1]}, grants = dup(h->fds[1]);
	const uint32_t echo[2] = {TALK_ECHO, 4}, end[2] = {TALK_END, 0};
	struct pipe_end pipe = {0};
	struct vchan *vchan;
	uint32_t word = 0x5eed, back = 0;

	if (grants < 0 || vchan_import(&h->handle, fds, &vchan) || confine_as_slice())
		return 1;
	/* Once more what is mapped already, and what nobody has added. */
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, grants, 0) != MAP_FAILED ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, grants, 1 << 20) != MAP_FAILED)
		return 3;
	pipe.channel = vchan;
	if (pipe_write(&pipe, echo, sizeof(echo)) || pipe_write(&pipe, &word, sizeof(word)) ||
	    pipe_read(&pipe, &back, sizeof(back)) || back != word ||
	    pipe_write(&pipe, end, sizeof(end)))
		return 4;
	pipe_close(&pipe);
	return 0;
}

void drive_slice(int domid, const char *kind)
{
	struct handed h;
	int status = -1;
	pid_t pid;

	if (!tap_result(get_channel(domid, &h), "%s: a channel is made and taken apart for a slice",
	                kind))
		return;
	(void)tap_result(restricted(&h, domid),
	                 "%s: its event descriptor binds to no other domain, and never will", kind);
	(void)tap_result(dies(map_a_grant, &h), "%s: a slice that maps another grant dies", kind);
	(void)tap_result(dies(copy_a_grant, &h), "%s: a slice that copies from a grant dies", kind);
	(void)tap_result(dies(poke_a_port, &h), "%s: a slice that has a port poked dies", kind);
	(void)tap_result(dies(bind_a_port, &h), "%s: a slice that binds a port dies", kind);
	(void)tap_result(dies(open_the_device, &h), "%s: a slice that opens a device dies", kind);
	pid = fork();
	if (pid == 0)
		_exit(work(&h));
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	(void)fd_close(h.fds[0]);
	(void)fd_close(h.fds[1]);
	(void)tap_result(pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0,
	                 "%s: in an empty root, it maps its rings, nothing else, and talks (%d)",
	                 kind, status);
}
