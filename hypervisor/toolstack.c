/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The half of a toolstack that every ground has: the messages of the monitor in, answers out. The
 * process ends when the monitor does; the qubes run on, and the next toolstack finds them.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor/hypervisor.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "process/link.h"

struct toolstack {
	struct loop *loop;
	const struct ground *ground;
	struct link monitor;
};

struct loop *toolstack_loop(const struct toolstack *t)
{
	return t->loop;
}

/* Out. */

static void send_kind(struct toolstack *t, uint32_t kind, struct ask ask)
{
	link_send(&t->monitor, &(struct monitor_message){
	                               .kind = kind, .serial = ask.serial, .domid = ask.domid});
}

void toolstack_done(struct toolstack *t, struct ask ask)
{
	send_kind(t, MONITOR_DONE, ask);
}

void toolstack_created(struct toolstack *t, struct ask ask)
{
	send_kind(t, MONITOR_CREATED, ask);
}

void toolstack_failed(struct toolstack *t, struct ask ask, enum monitor_error error,
                      const char *fmt, ...)
{
	struct monitor_message m = {.kind = MONITOR_FAILED,
	                            .serial = ask.serial,
	                            .domid = ask.domid};
	char text[MONITOR_TEXT_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	m.failed.error = error;
	(void)escape_text(m.failed.text, sizeof(m.failed.text), text, strlen(text));
	LOG("%u: %s", ask.domid, text);
	link_send(&t->monitor, &m);
}

void toolstack_stat(struct toolstack *t, struct ask ask, uint32_t domid,
                    const struct monitor_stat *stat)
{
	struct monitor_message m = {.kind = MONITOR_STAT, .serial = ask.serial, .domid = domid};

	m.stat = *stat;
	link_send(&t->monitor, &m);
}

void toolstack_tell_qube(struct toolstack *t, uint32_t domid, const uint8_t uuid[MONITOR_UUID_LEN],
                         const char *name, enum monitor_state state)
{
	struct monitor_message m = {.kind = MONITOR_QUBE, .domid = domid};

	memcpy(m.qube.uuid, uuid, MONITOR_UUID_LEN);
	(void)bytes_copy_text(m.qube.name, sizeof(m.qube.name), name);
	m.qube.state = state;
	link_send(&t->monitor, &m);
}

void toolstack_tell_stopped(struct toolstack *t, uint32_t domid,
                            const uint8_t uuid[MONITOR_UUID_LEN], enum monitor_cause cause)
{
	struct monitor_message m = {.kind = MONITOR_STOPPED, .domid = domid};

	memcpy(m.stopped.uuid, uuid, MONITOR_UUID_LEN);
	m.stopped.cause = cause;
	link_send(&t->monitor, &m);
}

/* In. */

static void on_message(void *arg, const struct monitor_message *m)
{
	struct toolstack *t = arg;
	struct ask ask = {m->serial, m->domid};

	if (m->domid == 0 && m->kind != MONITOR_STATS) {
		toolstack_failed(t, ask, MONITOR_E_STATE, "a request for no qube");
		return;
	}
	switch (m->kind) {
	case MONITOR_CREATE:
		t->ground->create(t, ask, &m->create);
		return;
	case MONITOR_UNPAUSE:
		t->ground->unpause(t, ask);
		return;
	case MONITOR_PAUSE:
		t->ground->pause(t, ask);
		return;
	case MONITOR_SHUTDOWN:
		t->ground->shutdown(t, ask);
		return;
	case MONITOR_DESTROY:
		t->ground->destroy(t, ask);
		return;
	case MONITOR_NETWORK:
		t->ground->network(t, ask, &m->network);
		return;
	case MONITOR_STATS:
		t->ground->stats(t, ask);
		return;
	default:
		LOG("a message of kind %u is none for a toolstack", m->kind);
		loop_stop(t->loop, 1);
	}
}

static void on_end(void *arg)
{
	struct toolstack *t = arg;

	loop_stop(t->loop, 0);
}

static void on_terminate(void *arg, int signo, pid_t sender)
{
	(void)signo;
	(void)sender;
	on_end(arg);
}

static int start(struct toolstack *t, int monitor_fd, int ready_fd)
{
	uint8_t byte = 0;

	t->loop = loop_new();
	if (!t->loop || loop_signal_add(t->loop, SIGTERM, on_terminate, t) ||
	    link_open(&t->monitor, t->loop, monitor_fd, on_message, on_end, t)) {
		LOG_ERRNO("cannot start");
		return -1;
	}
	link_send(&t->monitor,
	          &(struct monitor_message){.kind = MONITOR_HELLO, .hello = {MONITOR_VERSION}});
	if (t->ground->open(t))
		return -1;
	link_send(&t->monitor, &(struct monitor_message){.kind = MONITOR_END});
	if (ready_fd >= 0 && write(ready_fd, &byte, 1) != 1)
		LOG_ERRNO("the monitor could not be told");
	(void)fd_close(ready_fd);
	return 0;
}

static int descriptor(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	return *text && !*end && fd >= 3 && fd < 1024 ? (int)fd : -1;
}

int toolstack_run(int argc, char **argv, const char *program, const struct ground *ground)
{
	static const struct option longs[] = {
	        {"monitor-fd", required_argument, NULL, 'm'},
	        {"ready-fd", required_argument, NULL, 'r'},
	        {"root", required_argument, NULL, 'R'},
	        {"version", no_argument, NULL, 'V'},
	        {"help", no_argument, NULL, 'h'},
	        {NULL, 0, NULL, 0},
	};
	static struct toolstack toolstack = {.monitor = LINK_EMPTY};
	struct toolstack *t = &toolstack;
	int monitor_fd = -1, ready_fd = -1, c, status;

	log_init(program);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'm')
			monitor_fd = descriptor(optarg);
		else if (c == 'r')
			ready_fd = descriptor(optarg);
		else if (c == 'R')
			paths_set_root(optarg);
		else if (c == 'V')
			return printf("%s %s\n", program, SKERRY_VERSION) < 0;
		else
			break;
	}
	if (c != -1 || monitor_fd < 0) {
		(void)fprintf(stderr,
		              "usage: %s --monitor-fd=N [--ready-fd=N] [--root=DIR]\n"
		              "The monitor starts this program: see skerryd(8).\n",
		              program);
		return c == 'h' ? 0 : 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	fd_close_from(3, (const int[]){monitor_fd, ready_fd}, ready_fd < 0 ? 1 : 2);
	t->ground = ground;
	status = start(t, monitor_fd, ready_fd) ? 1 : loop_run(t->loop);
	if (ground->close)
		ground->close(t);
	link_close(&t->monitor);
	t->loop = loop_free(t->loop);
	return status < 0 ? 1 : status;
}
