/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A qube's console: its page and event channel, for a process that holds nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/fd.h"
#include "lib/vchan/grant.h"

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

static NORETURN void run(const char *program, int event, int page, int log, uint32_t port,
                         char *qube)
{
	char text[16], name[] = "skerry-console";
	char *const args[] = {name, text, qube, NULL};
	char *const environment[] = {NULL};
	/* Out of the way first: any of them may have one of the numbers below. */
	int event_high = fcntl(event, F_DUPFD_CLOEXEC, 10),
	    page_high = fcntl(page, F_DUPFD_CLOEXEC, 10);
	int log_high = fcntl(log, F_DUPFD_CLOEXEC, 10);

	(void)snprintf(text, sizeof(text), "%u", port);
	if (event_high >= 0 && page_high >= 0 && log_high >= 0 && dup2(log_high, 1) >= 0 &&
	    dup2(log_high, 2) >= 0 && dup2(event_high, EVENT_FD) >= 0 &&
	    dup2(page_high, PAGE_FD) >= 0)
		(void)execve(program, args, environment);
	_exit(111);
}

pid_t xen_console_start(struct xen_ground *ground, int domid, const char *program, int log)
{
	char name[XEN_DOMAIN_NAME_MAX];
	int event, page;
	uint32_t port;
	pid_t pid;

	if (xen_domain_name(ground, domid, name) || prepare(ground, domid, &event, &page, &port))
		return -1;
	pid = fork();
	if (pid == 0)
		run(program, event, page, log, port, name);
	(void)fd_close(event);
	(void)fd_close(page);
	return pid;
}
