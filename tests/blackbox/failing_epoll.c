/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into a test build of a program in place of epoll_wait and epoll_ctl (ld --wrap), which no
 * tracer can make fail for a program that runs: a tracer that leaves while its victim sleeps in
 * epoll_wait makes another error of it, and it cannot tell additions from removals, which need no
 * memory and do not fail.
 *
 * $SKERRY_FAULT_FILE is a file of three numbers, mapped by all processes of the program: how many
 * more of the calls succeed before one fails (-1: all), how many have failed, and which: 0 waits, by
 * EINTR; 1 additions, by ENOMEM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/check.h"

struct faults {
	_Atomic int32_t left;
	_Atomic int32_t n_failed;
	_Atomic int32_t which;
};

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);
int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);

static struct faults *faults;

/* Before main(), so that no process of the program is without it. */
__attribute__((constructor)) static void map_faults(void)
{
	const char *path = getenv("SKERRY_FAULT_FILE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	faults = map;
	(void)close(fd);
}

static bool must_fail(int32_t which)
{
	if (!faults || atomic_load(&faults->which) != which || atomic_load(&faults->left) < 0 ||
	    atomic_fetch_sub(&faults->left, 1) != 0)
		return false;
	atomic_fetch_add(&faults->n_failed, 1);
	return true;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	if (must_fail(0)) {
		errno = EINTR;
		return -1;
	}
	return __real_epoll_wait(fd, events, max, timeout_ms);
}

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && must_fail(1)) {
		errno = ENOMEM;
		return -1;
	}
	return __real_epoll_ctl(epoll_fd, op, fd, event);
}
