/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A qube's console: its page and event channel, for a process that holds nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/fd.h"
#include "lib/vchan/grant.h"
#include "process/user.h"
#include "proto/monitor.h"

#define CONSOLE_GRANT 0U /* reserved for it; the builder has made it */
#define EVENT_FD      3
#define PAGE_FD       4

static int prepare(struct xen_ground *ground, int domid, int *ret_event, int *ret_page,
                   uint32_t *ret_port)
{
	const uint32_t reference = CONSOLE_GRANT;
	char path[XEN_PATH_MAX];
	uint32_t remote;
	OWNED_FD int event = event_open();
	OWNED_FD int page = grant_open();

	(void)snprintf(path, sizeof(path), "/local/domain/%d/console/port", domid);
	if (event < 0 || page < 0 ||
	    store_read_number(ground->store, path, 1, UINT32_MAX, &remote) ||
	    event_bind(event, domid, remote, ret_port) || grant_add(page, domid, &reference, 1, 0))
		return -1;
	*ret_event = fd_take(&event);
	*ret_page = fd_take(&page);
	return 0;
}

int xen_place_descriptors(const int *fds, size_t n)
{
	int high[8], keep[ARRAY_LEN(high)];
	size_t n_keep = 0;

	if (n > ARRAY_LEN(high)) {
		errno = E2BIG;
		return -1;
	}
	/* Out of the way first: any of them may have one of the numbers below. */
	for (size_t i = 0; i < n; i++) {
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + (int)n);
		if (fds[i] >= 0 && high[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (high[i] < 0)
			continue;
		if (dup2(high[i], 3 + (int)i) < 0)
			return -1;
		keep[n_keep++] = 3 + (int)i;
	}
	fd_close_from(3, keep, n_keep);
	return 0;
}

static void run(const char *program, const int fds[2], int log, uint32_t port, char *qube,
                uint32_t user)
{
	char text[16], name[] = "skerry-console";
	char *const args[] = {name, text, qube, NULL};
	char *const environment[] = {NULL};

	(void)snprintf(text, sizeof(text), "%u", port);
	if (dup2(log, 1) >= 0 && dup2(log, 2) >= 0 && xen_place_descriptors(fds, 2) == 0 &&
	    (geteuid() != 0 || user_become(user, user) == 0))
		(void)execve(program, args, environment);
}

void xen_console_run(struct xen_ground *ground, int domid, uint32_t owner, const char *program,
                     int log)
{
	char name[XEN_DOMAIN_NAME_MAX];
	int fds[2];
	uint32_t port;

	if (xen_domain_name(ground, domid, name) == 0 &&
	    prepare(ground, domid, &fds[EVENT_FD - 3], &fds[PAGE_FD - 3], &port) == 0)
		run(program, fds, log, port, name, MONITOR_OWNER_UID_BASE + owner);
}

pid_t xen_console_start(struct xen_ground *ground, int domid, const char *program, int log)
{
	char name[XEN_DOMAIN_NAME_MAX];
	int fds[2];
	uint32_t port;
	pid_t pid;

	if (xen_domain_name(ground, domid, name) ||
	    prepare(ground, domid, &fds[EVENT_FD - 3], &fds[PAGE_FD - 3], &port))
		return -1;
	pid = fork();
	if (pid == 0) {
		run(program, fds, log, port, name, MONITOR_OWNER_UID_BASE);
		_exit(111);
	}
	(void)fd_close(fds[0]);
	(void)fd_close(fds[1]);
	return pid;
}
