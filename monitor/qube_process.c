/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that attend to one qube on the trusted side: its QubesDB and its qrexec daemon. Each is
 * started, waited for until it is ready, and started again when it dies while the qube runs; both end
 * with the qube. They outlive the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "monitor/monitor.h"

#define AGAIN_MS     100U
#define AGAIN_MAX_MS 10000U
#define LONG_LIFE_MS 60000U
#define END_MS       5000U /* from SIGTERM to SIGKILL; chosen: the daemon takes back disposables */
#define ENV_LEN      (PATH_MAX + 64)

static uint32_t record_kind(const struct attendant *a)
{
	return a->id == PROCESS_KEEPER ? RECORD_KEEPER : RECORD_DATABASE;
}

/* It stays while the process is to be there: should this monitor end before it is started again, the
 * next one sees that it is missing. */
static void forget_record(const struct attendant *a)
{
	record_remove(a->qube->monitor->records, record_kind(a), a->qube->domid);
}

static void stop_waiting(struct attendant *a)
{
	loop_fd_remove(a->qube->monitor->loop, &a->ready_source);
	a->ready_fd = fd_close(a->ready_fd);
}

void attendants_init(struct qube *q)
{
	q->database = (struct attendant){.qube = q,
	                                 .id = PROCESS_DATABASE,
	                                 .proc = PROC_EMPTY,
	                                 .ready_source = LOOP_FD_EMPTY,
	                                 .ready_fd = -1};
	q->keeper = q->database;
	q->keeper.id = PROCESS_KEEPER;
}

/* The end. */

static void on_late(void *arg)
{
	struct attendant *a = arg;

	LOG("%s of %s does not end: it is killed", process_rules[a->id].program, a->qube->name);
	proc_signal(&a->proc, SIGKILL);
}

void attendant_end(struct attendant *a)
{
	struct loop *loop = a->qube->monitor->loop;

	a->wanted = false;
	loop_timer_clear(loop, &a->again);
	stop_waiting(a);
	if (!proc_runs(&a->proc)) {
		forget_record(a);
		return;
	}
	proc_signal(&a->proc, SIGTERM);
	if (loop_timer_set(loop, &a->limit, END_MS, on_late, a))
		proc_signal(&a->proc, SIGKILL);
}

static void on_again(void *arg)
{
	struct attendant *a = arg;

	if (a->wanted && !proc_runs(&a->proc))
		attendant_start(a);
}

static void start_later(struct attendant *a)
{
	uint64_t lived_ms = (loop_now_ns() - a->started_ns) / 1000000U;

	a->pause_ms = a->pause_ms == 0 || lived_ms > LONG_LIFE_MS
	                      ? AGAIN_MS
	                      : MIN(a->pause_ms * 2, AGAIN_MAX_MS);
	if (loop_timer_set(a->qube->monitor->loop, &a->again, a->pause_ms, on_again, a))
		LOG_ERRNO("%s of %s is not started again", process_rules[a->id].program,
		          a->qube->name);
}

static void on_end(void *arg, int wait_status)
{
	struct attendant *a = arg;
	struct qube *q = a->qube;
	bool was_ready = a->ready;

	loop_timer_clear(q->monitor->loop, &a->limit);
	stop_waiting(a);
	a->ready = false;
	if (q->ended) {
		forget_record(a);
		qube_check_end(q);
		return;
	}
	if (q->monitor->stopping)
		stop_go_on(q->monitor);
	if (!was_ready && a->id == PROCESS_DATABASE &&
	    (q->state == QUBE_CREATING || q->state == QUBE_DATABASE)) {
		a->wanted = false;
		LOG("%s of %s ended with status %d, and was not ready",
		    process_rules[a->id].program, q->name, (int)monitor_exit_status(wait_status));
		forget_record(a);
		/* The toolstack's answer finds that it is not wanted. */
		if (q->state == QUBE_DATABASE)
			qube_database_failed(q);
		return;
	}
	if (!was_ready && a->id == PROCESS_KEEPER && q->qrexec_serial) {
		a->wanted = false;
		forget_record(a);
		qube_keeper_ended(q, wait_status);
		return;
	}
	if (a->wanted) {
		LOG("%s of %s ended with status %d: it is started again",
		    process_rules[a->id].program, q->name, (int)monitor_exit_status(wait_status));
		start_later(a);
	}
}

/* The start. */

static void on_ready(void *arg, uint32_t events)
{
	struct attendant *a = arg;
	uint8_t byte;
	ssize_t n = read(a->ready_fd, &byte, 1);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	stop_waiting(a);
	/* The end of the process says how it went. */
	if (n != 1)
		return;
	a->ready = true;
	if (a->id == PROCESS_KEEPER)
		qube_keeper_ready(a->qube);
	else
		qube_database_ready(a->qube);
}

static void uuid_word(char *dst, size_t len, const uint8_t u[MONITOR_UUID_LEN])
{
	(void)snprintf(
	        dst, len,
	        "--uuid=%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
	        u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
	        u[14], u[15]);
}

bool channels_need_qube(const struct monitor *m)
{
	return strcmp(m->ground, "xen") == 0;
}

/* Where the hypervisor has channels of its own there is no broker: the keeper makes them (doc/xen.md). */
int channels_env(const struct monitor *m, const char *words[CHANNELS_ENV_MAX])
{
	static char broker[ENV_LEN];
	char path[PATH_MAX];

	if (channels_need_qube(m)) {
		words[0] = "VCHAN_TRANSPORT=grant";
		return 1;
	}
	if (path_make(path, sizeof(path), "/run/skerry/channels/0/broker.sock", NULL))
		return -1;
	(void)snprintf(broker, sizeof(broker), "VCHAN_BROKER=%s", path);
	words[0] = "VCHAN_TRANSPORT=memfd";
	words[1] = "VCHAN_DOMAIN=0";
	words[2] = broker;
	return 3;
}

static int start_process(struct attendant *a, int ready_fd)
{
	struct qube *q = a->qube;
	bool keeper = a->id == PROCESS_KEEPER;
	char uuid[64], domid[16], log[MONITOR_NAME_LEN + 32];
	const char *env[CHANNELS_ENV_MAX + 2] = {NULL};
	int n = channels_env(q->monitor, env);
	const char *const args[] = {keeper ? uuid : domid, keeper ? domid : q->name,
	                            keeper ? q->name : NULL, keeper ? q->user : NULL, NULL};
	struct process_start start = {.id = a->id,
	                              .args = args,
	                              .env = env,
	                              .log = log,
	                              .fds = {-1, ready_fd, -1, -1},
	                              .stdin_fd = -1};

	if (n < 0)
		return -1;
	if (keeper)
		env[n] = "QREXEC_STARTUP_NOWAIT=1";
	uuid_word(uuid, sizeof(uuid), q->uuid);
	(void)snprintf(domid, sizeof(domid), "%u", q->domid);
	(void)snprintf(log, sizeof(log), "%s.%s.log", keeper ? "qrexec" : "qubesdb", q->name);
	start.record.kind = record_kind(a);
	start.record.domid = q->domid;
	memcpy(start.record.uuid, q->uuid, sizeof(start.record.uuid));
	memcpy(start.record.name, q->name, sizeof(start.record.name));
	(void)bytes_copy_text((char *)start.record.data, MONITOR_USER_LEN, q->user);
	return process_start(q->monitor->loop, q->monitor->records, &start, &a->proc, on_end, a);
}

void attendant_start(struct attendant *a)
{
	struct loop *loop = a->qube->monitor->loop;
	OWNED_FD int ready_read = -1;
	OWNED_FD int ready_write = -1;
	int ready[2];

	a->wanted = true;
	a->started_ns = loop_now_ns();
	if (pipe2(ready, O_CLOEXEC | O_NONBLOCK)) {
		LOG_ERRNO("%s", a->qube->name);
		on_end(a, PROC_STATUS_UNKNOWN);
		return;
	}
	ready_read = ready[0];
	ready_write = ready[1];
	if (start_process(a, ready_write)) {
		on_end(a, PROC_STATUS_UNKNOWN);
		return;
	}
	a->ready_fd = fd_take(&ready_read);
	if (loop_fd_add(loop, &a->ready_source, a->ready_fd, EPOLLIN, on_ready, a))
		proc_signal(&a->proc, SIGKILL);
}

/* Those of the last monitor. */

static void adopt(void *arg, const struct record *r)
{
	struct monitor *m = arg;
	struct qube *q = qube_find(m, r->domid);
	struct attendant *a = !q ? NULL : r->kind == RECORD_KEEPER ? &q->keeper : &q->database;

	if (a && memcmp(q->uuid, r->uuid, sizeof(q->uuid)) == 0) {
		struct monitor_message user = {.kind = MONITOR_QREXEC};

		memcpy(user.qrexec.name, q->name, sizeof(user.qrexec.name));
		memcpy(user.qrexec.default_user, r->data, sizeof(user.qrexec.default_user));
		if (r->kind == RECORD_KEEPER && monitor_check(&user))
			memcpy(q->user, user.qrexec.default_user, sizeof(q->user));
		a->wanted = true;
		a->ready = true;
		a->started_ns = loop_now_ns();
		if (proc_adopt(m->loop, &a->proc, (pid_t)r->pid, r->start, on_end, a) == 0)
			return;
		/* It died while nobody watched it. */
		a->ready = false;
		attendant_start(a);
		return;
	}
	if (proc_kill_wait((pid_t)r->pid, r->start, 2000))
		LOG_ERRNO("process %u of a qube that is gone does not end", r->pid);
	record_remove(m->records, r->kind, r->domid);
}

void attendants_adopt(struct monitor *m)
{
	if (record_each(m->records, RECORD_KEEPER, adopt, m) < 0 ||
	    record_each(m->records, RECORD_DATABASE, adopt, m) < 0)
		LOG_ERRNO("records");
}
