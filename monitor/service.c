/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that there is one of: start, readiness, end, and the next start after a pause that
 * doubles while they are short-lived.
 *
 * The admin service, its store and its storage are one group: they hold socket pairs to each other,
 * which are made anew for all of them when one has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "monitor/monitor.h"

#define AGAIN_MS     100U   /* doc/system.md */
#define AGAIN_MAX_MS 10000U /* doc/system.md */
#define LONG_LIFE_MS 60000U /* doc/system.md */
#define READY_MS     60000U /* from start to readiness; chosen: a store that is repaired */
#define END_MS       10000U /* from SIGTERM to SIGKILL; chosen: volumes being committed */

static void on_again(void *arg);

static const struct process_rule *rule_of(const struct service *s)
{
	return &process_rules[s->id];
}

/* For the log: each ground has a toolstack of its own name. */
static const char *name_of(const struct service *s)
{
	static char toolstack[64];

	if (s->id != PROCESS_TOOLSTACK)
		return rule_of(s)->program;
	(void)snprintf(toolstack, sizeof(toolstack), "skerry-ground-%s", s->monitor->ground);
	return toolstack;
}

/* The rows that stand for services. */
static bool is_service(enum process_id id)
{
	return id != PROCESS_NONE && (process_rules[id].flags & PER_SYSTEM);
}

static bool in_group(const struct service *s)
{
	return (rule_of(s)->flags & IN_GROUP) != 0;
}

bool services_run(const struct monitor *m, enum process_id id)
{
	return proc_runs(&m->services[id].proc);
}

static bool group_runs(const struct monitor *m)
{
	for (int id = 1; id < PROCESS_MAX; id++)
		if (is_service((enum process_id)id) && in_group(&m->services[id]) &&
		    services_run(m, (enum process_id)id))
			return true;
	return false;
}

/* The end. */

static void stop_waiting(struct service *s)
{
	loop_fd_remove(s->monitor->loop, &s->ready_source);
	s->ready_fd = fd_close(s->ready_fd);
	loop_timer_clear(s->monitor->loop, &s->limit);
}

static void on_end_late(void *arg)
{
	struct service *s = arg;

	LOG("%s does not end: it is killed", name_of(s));
	proc_signal(&s->proc, SIGKILL);
}

void service_end(struct service *s)
{
	loop_timer_clear(s->monitor->loop, &s->again);
	if (!proc_runs(&s->proc))
		return;
	proc_signal(&s->proc, SIGTERM);
	if (loop_timer_set(s->monitor->loop, &s->limit, END_MS, on_end_late, s))
		proc_signal(&s->proc, SIGKILL);
}

void service_misbehaved(struct service *s, const char *what)
{
	LOG("%s: %s: it is ended", name_of(s), what);
	proc_signal(&s->proc, SIGKILL);
	link_close(&s->link);
	/* Somebody in a service's place, who is no process of ours. */
	if (!proc_runs(&s->proc))
		monitor_service_gone(s);
}

static void say_end(const struct service *s, int wait_status)
{
	if (s->monitor->stopping)
		return;
	if (wait_status == PROC_STATUS_UNKNOWN)
		LOG("%s ended", name_of(s));
	else if (WIFSIGNALED(wait_status))
		LOG("%s was ended by signal %d", name_of(s), WTERMSIG(wait_status));
	else
		LOG("%s ended with status %d", name_of(s), WEXITSTATUS(wait_status));
}

static unsigned int longer_pause(unsigned int pause_ms, uint64_t started_ns)
{
	uint64_t lived_ms = (loop_now_ns() - started_ns) / 1000000U;

	return pause_ms == 0 || lived_ms > LONG_LIFE_MS ? AGAIN_MS
	                                                : MIN(pause_ms * 2, AGAIN_MAX_MS);
}

/* All of the group must have ended before it starts anew. */
static void group_member_gone(struct service *s)
{
	struct monitor *m = s->monitor;

	for (int id = 1; id < PROCESS_MAX; id++) {
		struct service *other = &m->services[id];

		if (!is_service((enum process_id)id) || !in_group(other) || other == s ||
		    !proc_runs(&other->proc) || other->limit.index)
			continue;
		service_end(other);
	}
	if (group_runs(m))
		return;
	m->group_pause_ms = longer_pause(m->group_pause_ms, s->started_ns);
	if (loop_timer_set(m->loop, &m->group_again, m->group_pause_ms, on_again, m))
		LOG_ERRNO("the admin service is not started again");
}

static void on_end(void *arg, int wait_status)
{
	struct service *s = arg;
	struct monitor *m = s->monitor;

	say_end(s, wait_status);
	stop_waiting(s);
	link_close(&s->link);
	record_remove(m->records, RECORD_SYSTEM, (uint32_t)s->id);
	s->ready = false;
	monitor_service_gone(s);
	if (m->stopping) {
		stop_go_on(m);
		return;
	}
	if (in_group(s)) {
		group_member_gone(s);
		return;
	}
	s->pause_ms = longer_pause(s->pause_ms, s->started_ns);
	if (loop_timer_set(m->loop, &s->again, s->pause_ms, on_again, m))
		LOG_ERRNO("%s is not started again", name_of(s));
}

/* The start. */

static void on_ready_late(void *arg)
{
	struct service *s = arg;

	LOG("%s does not get ready: it is killed", name_of(s));
	proc_signal(&s->proc, SIGKILL);
}

static void on_ready(void *arg, uint32_t events)
{
	struct service *s = arg;
	uint8_t byte;
	ssize_t n = read(s->ready_fd, &byte, 1);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	stop_waiting(s);
	/* Closed without a byte: the end of the process will be told by itself. */
	if (n != 1)
		return;
	s->ready = true;
	monitor_service_ready(s);
}

static void on_link(void *arg, const struct monitor_message *message)
{
	requests_handle(arg, message);
}

static void on_link_end(void *arg)
{
	struct service *s = arg;

	/* A process without its link is of no use, and should know it. */
	if (!s->monitor->stopping && proc_runs(&s->proc))
		service_misbehaved(s, "its link ended");
	else if (!proc_runs(&s->proc))
		monitor_service_gone(s);
}

struct ends {
	int link[2];
	int ready[2];
};

static void close_ends(struct ends *e)
{
	for (int i = 0; i < 2; i++) {
		e->link[i] = fd_close(e->link[i]);
		e->ready[i] = fd_close(e->ready[i]);
	}
}

static int make_ends(const struct service *s, struct ends *e)
{
	*e = (struct ends){{-1, -1}, {-1, -1}};
	if ((rule_of(s)->flags & HAS_LINK) &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->link))
		return -1;
	if ((rule_of(s)->flags & HAS_READY) && pipe2(e->ready, O_CLOEXEC))
		return -1;
	return e->ready[0] < 0 ? 0 : fd_set_blocking(e->ready[0], false);
}

static int attach(struct service *s, struct ends *e)
{
	struct monitor *m = s->monitor;

	if (e->link[0] >= 0 &&
	    link_open(&s->link, m->loop, fd_take(&e->link[0]), on_link, on_link_end, s))
		return -1;
	if (e->ready[0] < 0) {
		s->ready = true;
		return 0;
	}
	s->ready_fd = fd_take(&e->ready[0]);
	return loop_fd_add(m->loop, &s->ready_source, s->ready_fd, EPOLLIN, on_ready, s) ||
	       loop_timer_set(m->loop, &s->limit, READY_MS, on_ready_late, s);
}

/* peers: its ends of the pairs with other services. */
static int start_one(struct service *s, const int peers[PROCESS_PEERS_MAX])
{
	struct monitor *m = s->monitor;
	char log[80];
	struct process_start start = {
	        .id = s->id, .fds = {-1, -1, -1, -1}, .stdin_fd = -1, .log = log};
	struct ends e;
	int r;

	(void)snprintf(log, sizeof(log), "%s.log", name_of(s));
	start.record.kind = RECORD_SYSTEM;
	start.record.domid = (uint32_t)s->id;
	s->started_ns = loop_now_ns();
	r = make_ends(s, &e);
	if (r == 0) {
		start.fds[0] = e.link[1];
		start.fds[1] = e.ready[1];
		for (size_t i = 0; i < PROCESS_PEERS_MAX; i++)
			start.fds[2 + i] = peers[i];
		r = process_start(m->loop, m->records, &start, &s->proc, on_end, s);
	}
	if (r == 0 && attach(s, &e)) {
		LOG_ERRNO("%s", name_of(s));
		proc_signal(&s->proc, SIGKILL);
	}
	close_ends(&e);
	if (r == 0 && s->ready)
		monitor_service_ready(s);
	return r;
}

static void start_later(struct service *s)
{
	struct monitor *m = s->monitor;

	s->pause_ms = longer_pause(s->pause_ms, loop_now_ns());
	if (loop_timer_set(m->loop, &s->again, s->pause_ms, on_again, m))
		LOG_ERRNO("%s is not started", name_of(s));
}

/* Admin is the middle: one pair to each of the two others. */
static int start_group(struct monitor *m)
{
	int store[2] = {-1, -1}, storage[2] = {-1, -1};
	int r = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, store) == 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, storage) == 0) {
		const int of_store[] = {store[1], -1}, of_storage[] = {storage[1], -1};
		const int of_admin[] = {store[0], storage[0]};

		r = start_one(&m->services[PROCESS_STORE], of_store) ||
		    start_one(&m->services[PROCESS_STORAGE], of_storage) ||
		    start_one(&m->services[PROCESS_ADMIN], of_admin);
	}
	for (int i = 0; i < 2; i++) {
		(void)fd_close(store[i]);
		(void)fd_close(storage[i]);
	}
	return r;
}

/* Somebody on a given descriptor in the admin service's place: tests, and systems being built. */
static void attach_given(struct monitor *m)
{
	struct service *s = &m->services[PROCESS_ADMIN];

	if (m->admin_fd < 0)
		return;
	if (link_open(&s->link, m->loop, fd_take(&m->admin_fd), on_link, on_link_end, s)) {
		LOG_ERRNO("the descriptor given for the admin service");
		return;
	}
	s->ready = true;
	monitor_service_ready(s);
}

static void start_admin(struct monitor *m)
{
	struct service *admin = &m->services[PROCESS_ADMIN];

	if (admin->absent) {
		attach_given(m);
		return;
	}
	if (group_runs(m) || m->group_again.index)
		return;
	if (start_group(m) == 0)
		return;
	group_member_gone(admin);
}

static bool usable(const struct service *s)
{
	return s->ready || s->absent;
}

void services_start(struct monitor *m)
{
	static const int none[PROCESS_PEERS_MAX] = {-1, -1};

	if (m->stopping)
		return;
	for (int id = 1; id < PROCESS_MAX; id++) {
		struct service *s = &m->services[id];

		if (!is_service((enum process_id)id) || in_group(s) || s->absent ||
		    proc_runs(&s->proc) || s->again.index)
			continue;
		if (start_one(s, none))
			start_later(s);
	}
	/* Its first question is for what these two must be there. */
	if (usable(&m->services[PROCESS_TOOLSTACK]) && usable(&m->services[PROCESS_CHANNELS]) &&
	    m->table_known)
		start_admin(m);
}

static void on_again(void *arg)
{
	services_start(arg);
}

/* The last monitor's. */

static void adopt(void *arg, const struct record *r)
{
	struct monitor *m = arg;
	bool known = r->domid < PROCESS_MAX && is_service((enum process_id)r->domid);
	struct service *s = &m->services[known ? r->domid : PROCESS_NONE];

	if (known && !s->absent && (rule_of(s)->flags & OUTLIVES) && !proc_runs(&s->proc) &&
	    proc_adopt(m->loop, &s->proc, (pid_t)r->pid, r->start, on_end, s) == 0) {
		LOG("%s goes on", name_of(s));
		s->started_ns = loop_now_ns();
		s->ready = true;
		return;
	}
	/* The others see the end of their link; what does not end is made to. */
	if (proc_kill_wait((pid_t)r->pid, r->start, 2000))
		LOG_ERRNO("process %u of the last monitor does not end", r->pid);
	record_remove(m->records, RECORD_SYSTEM, r->domid);
}

void services_adopt(struct monitor *m)
{
	if (record_each(m->records, RECORD_SYSTEM, adopt, m) < 0)
		LOG_ERRNO("records");
}

void services_init(struct monitor *m)
{
	for (int id = 0; id < PROCESS_MAX; id++) {
		struct service *s = &m->services[id];
		/* Xen itself is the broker of its grants. */
		bool absent = s->absent || (id == PROCESS_CHANNELS && channels_need_qube(m));

		*s = (struct service){.monitor = m,
		                      .id = (enum process_id)id,
		                      .proc = PROC_EMPTY,
		                      .link = LINK_EMPTY,
		                      .ready_source = LOOP_FD_EMPTY,
		                      .ready_fd = -1,
		                      .absent = absent};
	}
}
