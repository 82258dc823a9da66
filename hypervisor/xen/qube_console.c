/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of each qube's console: started, started again when it ends, found again by the next toolstack. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor/xen/orders.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define AGAIN_MS 1000U /* chosen: its qube may be why it ended */

static int open_log(const struct xen_qube *q)
{
	static const char *const folders[] = {"/var/log/xen", "/var/log/xen/console"};
	char path[PATH_MAX], file[MONITOR_NAME_LEN + 16];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (path_make(path, sizeof(path), folders[i], NULL) ||
		    (mkdir(path, 0755) && errno != EEXIST))
			return -1;
	(void)snprintf(file, sizeof(file), "guest-%s.log", q->name);
	if (path_make(path, sizeof(path), folders[1], file))
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static void on_again(void *arg)
{
	xen_console_watch(arg);
}

static void again(struct xen_qube *q)
{
	if (loop_timer_set(xen.loop, &q->console_again, AGAIN_MS, on_again, q))
		LOG_ERRNO("%s: nobody reads its console", q->name);
}

static void on_end(void *arg, int wait_status)
{
	struct xen_qube *q = arg;

	(void)wait_status;
	if (!q->ending)
		again(q);
}

static void note(const struct xen_qube *q)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%d %llu", (int)q->console.pid,
	               (unsigned long long)q->console.start);
	if (xen_note_write(xen.ground, (int)q->domid, NOTE_CONSOLE, text))
		LOG_ERRNO("%s: the note of its console", q->name);
}

void xen_read_console(const struct xen_qube *q)
{
	static const char *const places[] = {"skerry-console", "../libexec/skerry/skerry-console",
	                                     "../../slices/console/skerry-console", NULL};
	char program[PATH_MAX];
	int log = open_log(q);

	if (log < 0)
		LOG_ERRNO("the log of %s's console", q->name);
	if (path_program(program, sizeof(program), places) == 0 &&
	    xen_ground_open(&xen.ground) == 0)
		xen_console_run(xen.ground, (int)q->domid, q->owner, program,
		                log < 0 ? STDERR_FILENO : log);
	LOG_ERRNO("the reader of %s's console", q->name);
	_exit(111);
}

void xen_console_watch(struct xen_qube *q)
{
	pid_t pid = xen_order_console(q);

	if (pid < 0 || proc_watch(xen.loop, &q->console, pid, on_end, q)) {
		LOG_ERRNO("the reader of %s's console", q->name);
		if (pid > 0)
			(void)kill(pid, SIGKILL);
		again(q);
		return;
	}
	note(q);
}

void xen_console_adopt(struct xen_qube *q)
{
	unsigned long long start;
	char text[48];
	int pid;

	/* Our own words: nobody but dom0 writes notes. */
	if (xen_note_read(xen.ground, (int)q->domid, NOTE_CONSOLE, text, sizeof(text)) == 0 &&
	    sscanf(text, "%d %llu", &pid, &start) == 2 && pid > 1 &&
	    proc_adopt(xen.loop, &q->console, pid, start, on_end, q) == 0)
		return;
	xen_console_watch(q);
}

void xen_console_end(struct xen_qube *q)
{
	loop_timer_clear(xen.loop, &q->console_again);
	if (!proc_runs(&q->console))
		return;
	proc_signal(&q->console, SIGKILL);
	proc_forget(&q->console);
}
