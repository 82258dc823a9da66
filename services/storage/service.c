/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/storage/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define OUT_MAX 8192U /* answers that the admin service does not take; chosen */

struct packet {
	struct packet *next;
	uint8_t data[STORAGE_ANSWER_LEN];
};

static struct loop *loop;
static struct markers *markers;
static struct pool pools[STORAGE_POOLS_MAX];
static size_t n_pools;
static struct entry *entries; /* in the order in which they came */
static size_t n_entries, n_working;
static struct loop_fd admin = LOOP_FD_EMPTY;
static int admin_fd;
static bool leaving; /* the admin service is gone */
static struct packet *out, **out_end = &out;
static size_t n_out;

static void schedule(void *arg);
static struct loop_defer schedule_defer;

static void on_admin(void *arg, uint32_t events);

static void flush(void)
{
	while (out) {
		struct packet *p = out;

		if (send(admin_fd, p->data, sizeof(p->data), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN)
				break;
			if (errno == EINTR)
				continue;
		}
		out = p->next;
		if (!out)
			out_end = &out;
		n_out--;
		free(p);
	}
	loop_fd_set(loop, &admin, EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0));
}

static void answer(const struct storage_answer *a)
{
	struct packet *p;

	if (leaving || (a->kind == STORAGE_PROGRESS && out))
		return;
	p = n_out < OUT_MAX ? malloc(sizeof(*p)) : NULL;
	if (!p || storage_answer_encode(p->data, sizeof(p->data), a) < 0) {
		LOG("an answer is lost: the admin service does not take them");
		free(p);
		return;
	}
	p->next = NULL;
	*out_end = p;
	out_end = &p->next;
	n_out++;
	flush();
}

static void refuse(uint32_t serial, enum storage_code code, const char *text)
{
	struct storage_answer a = {.kind = STORAGE_FAILED,
	                           .serial = serial,
	                           .code = (uint32_t)code};

	(void)snprintf(a.text, sizeof(a.text), "%s", text);
	answer(&a);
}

static struct pool *find_pool(const char *name)
{
	for (size_t i = 0; name[0] && i < n_pools; i++) {
		if (strcmp(pools[i].name, name) == 0)
			return &pools[i];
	}
	return NULL;
}

/* Workers that only look need no order. */
static bool only_looks(uint32_t kind)
{
	return kind == STORAGE_INFO || kind == STORAGE_REVISIONS || kind == STORAGE_POOL_INFO ||
	       kind == STORAGE_POOL_LIST || kind == JOB_SWEEP || kind == JOB_MEASURE;
}

static bool same_volume(const char *pool, const char *vid, const char *other_pool,
                        const char *other)
{
	return vid[0] && strcmp(vid, other) == 0 && strcmp(pool, other_pool) == 0;
}

/* A volume is changed by one request at a time, and by none while another is copied from it. */
static bool conflict(const struct storage_request *a, const struct storage_request *b)
{
	if (only_looks(a->kind) || only_looks(b->kind))
		return false;
	if (a->vid[0] == '\0' || b->vid[0] == '\0')
		return strcmp(a->pool, b->pool) == 0 || strcmp(a->source_pool, b->pool) == 0 ||
		       strcmp(a->pool, b->source_pool) == 0;
	return same_volume(a->pool, a->vid, b->pool, b->vid) ||
	       same_volume(a->pool, a->vid, b->source_pool, b->source) ||
	       same_volume(a->source_pool, a->source, b->pool, b->vid);
}

static bool may_start(const struct entry *e)
{
	if (!only_looks(e->job.q.kind) && n_working >= STORAGE_WORKERS_MAX)
		return false;
	for (const struct entry *before = entries; before != e; before = before->next) {
		if (!before->answered && conflict(&before->job.q, &e->job.q))
			return false;
	}
	return !looker_takes(e) || looker_free(e);
}

static void drop(struct entry *e)
{
	struct entry **at = &entries;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	n_entries--;
	free(e);
}

/* What the worker is told about the world outside its pools. */
static void tell_state(struct job *job)
{
	job->running = markers_running(markers, job->q.pool, job->q.vid);
	job->source_running = markers_running(markers, job->q.source_pool, job->q.source);
	job->same_boot = markers_this_boot(markers, job->q.pool, job->q.vid);
}

static void start_entry(struct entry *e)
{
	tell_state(&e->job);
	if ((looker_takes(e) && looker_start(loop, e) == 0) || worker_start(loop, e) == 0) {
		n_working += !only_looks(e->job.q.kind);
		return;
	}
	LOG_ERRNO("a worker cannot be started");
	if (!e->internal)
		refuse(e->job.q.serial, STORAGE_E_IO, "a storage worker cannot be started");
	drop(e);
}

static void schedule(void *arg UNUSED)
{
	for (struct entry *e = entries, *next; e; e = next) {
		next = e->next;
		if (e->pid == 0 && may_start(e))
			start_entry(e);
	}
	if (leaving && !entries)
		loop_stop(loop, 0);
}

static struct entry *add_entry(const struct storage_request *q, struct pool *pool)
{
	struct entry **at = &entries, *e;

	e = n_entries < STORAGE_QUEUE_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->job.q = *q;
	e->job.pool = pool;
	e->job.source_pool = find_pool(q->source_pool);
	e->fd = -1;
	while (*at)
		at = &(*at)->next;
	*at = e;
	n_entries++;
	loop_defer_set(loop, &schedule_defer, schedule, NULL);
	return e;
}

/* Work that nobody asked for; one of a kind for each pool or volume. */
static void add_internal(uint32_t kind, struct pool *pool, const char *vid)
{
	struct storage_request q = {.kind = kind, .serial = 1};
	struct entry *e;

	for (e = entries; e; e = e->next) {
		if (e->job.q.kind == kind && e->pid == 0 && e->job.pool == pool &&
		    strcmp(e->job.q.vid, vid) == 0)
			return;
	}
	(void)snprintf(q.pool, sizeof(q.pool), "%s", pool->name);
	(void)snprintf(q.vid, sizeof(q.vid), "%s", vid);
	e = leaving ? NULL : add_entry(&q, pool);
	if (e)
		e->internal = true;
}

static bool leaves_rubbish(uint32_t kind)
{
	/* What a start finds was left by a crash, and waits for the next of these. */
	return kind == STORAGE_REMOVE || kind == STORAGE_STOP || kind == STORAGE_CLONE ||
	       kind == STORAGE_CLEAR || kind == STORAGE_IMPORT_END || kind == STORAGE_POOL_SETUP ||
	       kind == STORAGE_EXPORT_END;
}

static bool changes_size(uint32_t kind)
{
	return kind == STORAGE_STOP || kind == STORAGE_CLONE || kind == STORAGE_CLEAR ||
	       kind == STORAGE_IMPORT_END || kind == STORAGE_CREATE || kind == STORAGE_REVERT;
}

static void after_done(const struct entry *e)
{
	const struct storage_request *q = &e->job.q;
	struct pool *pool = find_pool(q->pool);

	if (q->kind == STORAGE_START)
		markers_add(markers, q->pool, q->vid);
	else if (q->kind == STORAGE_STOP)
		markers_drop(markers, q->pool, q->vid);
	if (pool && pool->dir[0] && pool->driver != STORAGE_LINUX_KERNEL && leaves_rubbish(q->kind))
		add_internal(JOB_SWEEP, pool, "");
	if (pool && pool->driver == STORAGE_DIRECTORY && changes_size(q->kind) &&
	    (q->flags & STORAGE_F_SAVE))
		add_internal(JOB_MEASURE, pool, q->vid);
}

void service_answer(struct entry *e, const struct storage_answer *a)
{
	e->answered = a->kind == STORAGE_DONE || a->kind == STORAGE_FAILED;
	if (a->kind == STORAGE_NOTE)
		LOG("%s: %s", e->job.q.pool, a->text);
	if (a->kind == STORAGE_FAILED)
		LOG("%s: %s", e->job.q.pool, a->text);
	if (e->answered)
		loop_defer_set(loop, &schedule_defer, schedule, NULL);
	if (e->internal)
		return;
	/* Its marker and the like come before the answer: whoever has that may rely on them. */
	if (a->kind == STORAGE_DONE)
		after_done(e);
	answer(a);
}

void service_ended(struct entry *e, int wait_status)
{
	n_working -= !only_looks(e->job.q.kind);
	if (!e->answered && e->cancelled) {
		refuse(e->job.q.serial, STORAGE_E_CANCELLED, "cancelled");
	} else if (!e->answered &&
	           !(e->internal && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL)) {
		LOG("a worker ended without an answer, status 0x%x", (unsigned int)wait_status);
		if (!e->internal)
			refuse(e->job.q.serial, STORAGE_E_IO,
			       "the storage worker ended before its work; its log says more");
	}
	drop(e);
	loop_defer_set(loop, &schedule_defer, schedule, NULL);
}

/* What nobody asked for is not in anybody's way. */
static void drop_internal(const struct pool *pool)
{
	for (struct entry *e = entries, *next; e; e = next) {
		next = e->next;
		if (!e->internal || e->job.pool != pool)
			continue;
		if (e->pid == 0)
			drop(e);
		else
			(void)kill(e->pid, SIGKILL);
	}
}

static bool pool_in_use(const struct pool *pool)
{
	for (const struct entry *e = entries; e; e = e->next) {
		/* Whoever has answered has only to end. */
		if (e->internal || e->answered)
			continue;
		if (e->job.pool == pool || e->job.source_pool == pool)
			return true;
	}
	return false;
}

static void setup_pool(const struct storage_request *q)
{
	struct pool *pool = find_pool(q->pool);

	if (!pool && n_pools == STORAGE_POOLS_MAX) {
		refuse(q->serial, STORAGE_E_BUSY, "too many pools");
		return;
	}
	if (pool && pool_in_use(pool) &&
	    (pool->driver != q->driver || strcmp(pool->dir, q->dir) != 0)) {
		refuse(q->serial, STORAGE_E_IN_USE, "the pool is at work");
		return;
	}
	if (!pool)
		pool = &pools[n_pools++];
	looker_end(q->pool);
	memcpy(pool->name, q->pool, sizeof(pool->name));
	memcpy(pool->dir, q->dir, sizeof(pool->dir));
	pool->driver = q->driver;
	pool->setup_check = q->flags & STORAGE_F_SETUP_CHECK;
	if (!add_entry(q, pool))
		refuse(q->serial, STORAGE_E_BUSY, "too many requests wait");
}

static void forget_pool(const struct storage_request *q)
{
	struct storage_answer done = {.kind = STORAGE_DONE, .serial = q->serial};
	struct pool *pool = find_pool(q->pool);

	if (!pool) {
		refuse(q->serial, STORAGE_E_NO_POOL, "no such pool");
		return;
	}
	drop_internal(pool);
	looker_end(pool->name);
	if (pool_in_use(pool)) {
		refuse(q->serial, STORAGE_E_IN_USE, "the pool is at work");
		return;
	}
	for (struct entry *e = entries; e; e = e->next) {
		if (e->job.pool == &pools[n_pools - 1])
			e->job.pool = pool;
		if (e->job.source_pool == &pools[n_pools - 1])
			e->job.source_pool = pool;
	}
	*pool = pools[--n_pools];
	answer(&done);
}

static void cancel(const struct storage_request *q)
{
	struct storage_answer done = {.kind = STORAGE_DONE, .serial = q->serial};
	struct entry *e = entries;

	while (e && (e->internal || e->job.q.serial != q->size))
		e = e->next;
	if (e && e->pid == 0) {
		refuse(e->job.q.serial, STORAGE_E_CANCELLED, "cancelled");
		drop(e);
		loop_defer_set(loop, &schedule_defer, schedule, NULL);
	} else if (e) {
		e->cancelled = true;
		(void)kill(e->pid, SIGKILL);
	}
	answer(&done);
}

static void take(const struct storage_request *q)
{
	struct pool *pool = find_pool(q->pool);

	if (q->kind == STORAGE_POOL_SETUP) {
		setup_pool(q);
	} else if (q->kind == STORAGE_POOL_FORGET) {
		forget_pool(q);
	} else if (q->kind == STORAGE_CANCEL) {
		cancel(q);
	} else if (!pool || (q->source_pool[0] && !find_pool(q->source_pool))) {
		refuse(q->serial, STORAGE_E_NO_POOL, "no such pool");
	} else if (!add_entry(q, pool)) {
		refuse(q->serial, STORAGE_E_BUSY, "too many requests wait");
	}
}

static void leave(void)
{
	leaving = true;
	loop_fd_remove(loop, &admin);
	/* What runs is finished; what waits was not promised to anyone. */
	for (struct entry *e = entries, *next; e; e = next) {
		next = e->next;
		if (e->pid == 0)
			drop(e);
		else if (e->internal)
			(void)kill(e->pid, SIGKILL);
	}
	loop_defer_set(loop, &schedule_defer, schedule, NULL);
}

static void on_admin(void *arg UNUSED, uint32_t events)
{
	uint8_t packet[STORAGE_REQUEST_LEN + 1];
	struct storage_request q;
	ssize_t n;

	if (events & EPOLLOUT)
		flush();
	while ((n = recv(admin_fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		if (storage_request_decode(packet, (size_t)n, &q)) {
			LOG("a malformed request of the admin service");
			leave();
			return;
		}
		take(&q);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		leave();
}

int service_run(struct loop *given, int fd, int run_dir, const char *boot_id)
{
	int status;

	loop = given;
	admin_fd = fd;
	markers = markers_new(run_dir, boot_id);
	if (!markers || loop_fd_add(loop, &admin, fd, EPOLLIN, on_admin, NULL)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	status = loop_run(loop);
	while (out) {
		struct packet *p = out;

		out = p->next;
		free(p);
	}
	markers = markers_free(markers);
	return status == 0 ? 0 : 1;
}
