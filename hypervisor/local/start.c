/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a qube: a child of the maker's that becomes bubblewrap, the first byte of the qube's own first process,
 * its record, and then the answer.
 *
 *   child --byte with the kernel's word on who sent it--> record written --byte back--> CREATED
 *
 * Until the byte back nothing of the qube runs. Should the toolstack die before, its socket ends, and
 * with it that process: what has no record does not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define START_MS 20000 /* of bubblewrap and the first process; chosen: a loaded machine */

static void on_ready(void *arg, uint32_t events);

void local_start_over(struct local_qube *q)
{
	struct local_start *s = &q->start;

	loop_fd_remove(q->local->loop, &s->source);
	loop_timer_clear(q->local->loop, &s->limit);
	s->sock = fd_close(s->sock);
	s->err_fd = fd_close(s->err_fd);
}

/* The last line that the child or bubblewrap said: text of ours or of bubblewrap, never of a qube. */
static void last_words(struct local_qube *q, char *dst, size_t len)
{
	char text[1024];
	ssize_t n = q->start.err_fd < 0 ? -1 : read(q->start.err_fd, text, sizeof(text) - 1);
	char *line;

	(void)bytes_copy_text(dst, len, "bubblewrap ended");
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	LOG("%s: %s", q->name, text);
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	/* Our own lines begin with time, program and place. */
	if (strstr(line, "]: ") && strstr(strstr(line, "]: ") + 3, ": "))
		line = strstr(strstr(line, "]: ") + 3, ": ") + 2;
	(void)snprintf(dst, len, "%.*s", (int)len - 1, line);
}

static void give_up(struct local_qube *q, enum monitor_error error, const char *text)
{
	struct ask ask = q->start.ask;

	q->killed = true;
	q->start.ask = (struct ask){0};
	local_start_over(q);
	proc_signal(&q->init, SIGKILL);
	proc_signal(&q->wrapper, SIGKILL);
	local_failed(q, &ask, error, text);
	if (!proc_runs(&q->init) && !proc_runs(&q->wrapper))
		local_gone(q, PROC_STATUS_UNKNOWN);
}

static void on_late(void *arg)
{
	give_up(arg, MONITOR_E_TIMEOUT, "the qube's first process did not begin in time");
}

static void on_init_end(void *arg, int wait_status)
{
	struct local_qube *q = arg;

	if (q->start.ask.serial)
		give_up(q, MONITOR_E_GROUND, "the qube's first process ended at once");
	else if (!proc_runs(&q->wrapper))
		local_gone(q, wait_status);
	/* else bubblewrap says with which status it ended, which only its parent is told. */
}

/* bubblewrap ends with the status of the qube's first process, or before there is one. */
static void on_wrapper_end(void *arg, int wait_status)
{
	struct local_qube *q = arg;
	char text[MONITOR_TEXT_LEN];

	if (q->start.ask.serial) {
		last_words(q, text, sizeof(text));
		give_up(q,
		        wait_status != PROC_STATUS_UNKNOWN && WIFEXITED(wait_status) &&
		                        WEXITSTATUS(wait_status) == LOCAL_EXIT_VOLUME
		                ? MONITOR_E_VOLUME
		                : MONITOR_E_GROUND,
		        text);
		return;
	}
	/* Killed alone it leaves the qube running. */
	if (!proc_runs(&q->init))
		local_gone(q, wait_status);
}

/* Who sent the byte, in the kernel's words; -1: nobody, or not as it should be. */
static pid_t read_sender(int sock)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	uint8_t byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	struct ucred cred;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return -1;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.pid;
}

static int confirm(struct local_qube *q)
{
	uint8_t byte = 0;

	if (local_save(q))
		return -1;
	return send(q->start.sock, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -1;
}

static void begin(struct local_qube *q)
{
	struct ask ask = q->start.ask;

	q->start.ask = (struct ask){0};
	local_start_over(q);
	q->state = LOCAL_MADE;
	q->paused = true;
	local_net_connect(q, (struct ask){0});
	toolstack_created(q->local->toolstack, ask);
}

static void on_ready(void *arg, uint32_t events)
{
	struct local_qube *q = arg;
	pid_t pid = read_sender(q->start.sock);
	uint64_t start;

	(void)events;
	if (pid <= 0) {
		/* The end of the child says why. */
		loop_fd_remove(q->local->loop, &q->start.source);
		return;
	}
	if (proc_start_time(pid, &start) ||
	    proc_adopt(q->local->loop, &q->init, pid, start, on_init_end, q)) {
		LOG_ERRNO("the first process of %s", q->name);
		give_up(q, MONITOR_E_GROUND, "the qube's first process cannot be watched");
		return;
	}
	q->pid_space = local_pid_space(pid);
	local_cgroup_make(q);
	if (confirm(q)) {
		LOG_ERRNO("the record of %s", q->name);
		give_up(q, MONITOR_E_GROUND, "the record of the qube cannot be written");
		return;
	}
	begin(q);
}

static int make_child(struct local_qube *q, const struct monitor_create *create)
{
	struct local *local = q->local;
	int sock[2] = {-1, -1}, err[2] = {-1, -1};
	int on = 1, r = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) ||
	    setsockopt(sock[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    pipe2(err, O_CLOEXEC) || fd_set_blocking(err[0], false))
		goto out;
	pid = local_maker_qube(q, create, sock[1], err[1]);
	if (pid < 0)
		goto out;
	if (proc_watch(local->loop, &q->wrapper, pid, on_wrapper_end, q)) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		goto out;
	}
	q->start.sock = fd_take(&sock[0]);
	q->start.err_fd = fd_take(&err[0]);
	r = loop_fd_add(local->loop, &q->start.source, q->start.sock, EPOLLIN, on_ready, q);
	if (r == 0)
		r = loop_timer_set(local->loop, &q->start.limit, START_MS, on_late, q);
out:
	for (int i = 0; i < 2; i++) {
		(void)fd_close(sock[i]);
		(void)fd_close(err[i]);
	}
	return r;
}

void local_start(struct local_qube *q, struct ask ask, const struct monitor_create *create)
{
	q->start.ask = ask;
	q->state = LOCAL_STARTING;
	if (make_child(q, create)) {
		LOG_ERRNO("%s cannot be started", q->name);
		give_up(q, MONITOR_E_MEMORY, "no process for the qube can be made");
	}
}
