/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers that stay: one for each pool, for requests that only look, for what is asked about every
 * volume at a start of the admin service, and for starts that copy nothing. They are quick, many, and of
 * one pool, so one process does them one after the other; it is confined to that pool like any worker. It
 * ends when its channel does.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/storage/directory.h"
#include "services/storage/rights.h"
#include "services/storage/service.h"

/* A request and what its worker is told of the world: one byte of these. */
enum { STATE_RUNNING = 1, STATE_SOURCE_RUNNING = 2, STATE_SAME_BOOT = 4 };

struct looker {
	struct looker *next;
	struct loop *loop;
	char pool[STORAGE_POOL_LEN];
	int fd; /* -1: it is to end */
	struct loop_fd source;
	struct loop_child child;
	struct entry *now; /* what it does; NULL: nothing */
};

static struct looker *lookers;

/* A start that finds its data where they lie, or makes an empty tree: no byte is copied or synced. */
static bool quick_start(const struct job *job)
{
	uint32_t flags = job->q.flags;

	if (job->pool->driver == STORAGE_LINUX_KERNEL || job->pool->driver == STORAGE_HOST)
		return true;
	if (job->pool->driver != STORAGE_DIRECTORY)
		return false;
	if (flags & STORAGE_F_SAVE)
		return dir_in_place(job);
	return !(flags & STORAGE_F_SNAP) || !(flags & STORAGE_F_RW);
}

bool looker_takes(const struct entry *e)
{
	const struct storage_request *q = &e->job.q;

	if (e->internal || (e->job.source_pool && e->job.source_pool != e->job.pool))
		return false;
	return q->kind == STORAGE_INFO || q->kind == STORAGE_REVISIONS ||
	       q->kind == STORAGE_POOL_INFO || q->kind == STORAGE_POOL_LIST ||
	       q->kind == STORAGE_VERIFY || (q->kind == STORAGE_START && quick_start(&e->job)) ||
	       (q->kind == STORAGE_STOP && (q->flags & STORAGE_F_RECOVER));
}

static void put_request(const struct entry *e, uint8_t packet[STORAGE_REQUEST_LEN + 1])
{
	const struct job *j = &e->job;

	/* It was decoded, so it is legal. */
	if (storage_request_encode(packet, STORAGE_REQUEST_LEN, &j->q) < 0)
		memset(packet, 0, STORAGE_REQUEST_LEN);
	packet[STORAGE_REQUEST_LEN] = (uint8_t)((j->running ? STATE_RUNNING : 0) |
	                                        (j->source_running ? STATE_SOURCE_RUNNING : 0) |
	                                        (j->same_boot ? STATE_SAME_BOOT : 0));
}

/* The next request; false: there is none any more. */
static bool next_request(struct job *job, const struct pool *pool, int fd)
{
	uint8_t packet[STORAGE_REQUEST_LEN + 1];
	ssize_t n;

	do
		n = recv(fd, packet, sizeof(packet), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(packet))
		return false;
	*job = (struct job){.pool = pool, .say = worker_say, .arg = job->arg};
	if (storage_request_decode(packet, STORAGE_REQUEST_LEN, &job->q))
		return false;
	if (job->q.source_pool[0])
		job->source_pool = pool;
	job->running = packet[STORAGE_REQUEST_LEN] & STATE_RUNNING;
	job->source_running = packet[STORAGE_REQUEST_LEN] & STATE_SOURCE_RUNNING;
	job->same_boot = packet[STORAGE_REQUEST_LEN] & STATE_SAME_BOOT;
	return true;
}

NORETURN static void be_looker(const struct pool *pool, int fd, int devices)
{
	static struct job job;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (worker_confine(pool, NULL, fd, devices))
		_exit(1);
	job.arg = &fd;
	while (next_request(&job, pool, fd)) {
		job.devices = devices;
		job_run(&job);
		worker_say(&job, &job.out);
	}
	_exit(0);
}

static void drop_looker(struct looker *l)
{
	struct looker **at = &lookers;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l);
}

static void on_packet(void *arg, uint32_t events)
{
	struct looker *l = arg;
	uint8_t packet[STORAGE_ANSWER_LEN + 1];
	struct storage_answer answer;
	ssize_t n;

	while (l->now && (n = recv(l->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		struct entry *e = l->now;

		if (storage_answer_decode(packet, (size_t)n, &answer) ||
		    answer.serial != e->job.q.serial) {
			LOG("a malformed answer of a worker");
			(void)kill(l->child.pid, SIGKILL);
			return;
		}
		service_answer(e, &answer);
		if (!e->answered)
			continue;
		l->now = NULL;
		service_ended(e, 0);
	}
	if (events & (EPOLLHUP | EPOLLERR))
		loop_fd_remove(l->loop, &l->source);
}

static void on_end(void *arg, int wait_status)
{
	struct looker *l = arg;
	struct entry *e;

	on_packet(l, 0);
	e = l->now;
	loop_fd_remove(l->loop, &l->source);
	l->fd = fd_close(l->fd);
	drop_looker(l);
	if (e)
		service_ended(e, wait_status);
}

static struct looker *looker_new(struct loop *loop, const struct pool *pool)
{
	struct looker *l = calloc(1, sizeof(*l));
	int pair[2], devices = 0;
	pid_t pid;

	worker_devices(&devices);
	if (!l || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		worker_devices_close(&devices);
		free(l);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		be_looker(pool, pair[1], devices);
	fd_close(pair[1]);
	worker_devices_close(&devices);
	*l = (struct looker){.next = lookers, .loop = loop, .fd = pair[0]};
	memcpy(l->pool, pool->name, sizeof(l->pool));
	l->source = (struct loop_fd)LOOP_FD_EMPTY;
	l->child = (struct loop_child)LOOP_CHILD_EMPTY;
	lookers = l;
	if (pid > 0 && loop_child_add(loop, &l->child, pid, on_end, l) == 0 &&
	    loop_fd_add(loop, &l->source, l->fd, EPOLLIN, on_packet, l) == 0)
		return l;
	loop_child_remove(loop, &l->child);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	fd_close(l->fd);
	drop_looker(l);
	return NULL;
}

static struct looker *find(const char *pool)
{
	struct looker *l = lookers;

	while (l && (l->fd < 0 || strcmp(l->pool, pool) != 0))
		l = l->next;
	return l;
}

bool looker_free(const struct entry *e)
{
	const struct looker *l = find(e->job.q.pool);

	return !l || !l->now;
}

int looker_start(struct loop *loop, struct entry *e)
{
	struct looker *l = find(e->job.q.pool);
	uint8_t packet[STORAGE_REQUEST_LEN + 1];

	if (!l)
		l = looker_new(loop, e->job.pool);
	if (!l)
		return -1;
	put_request(e, packet);
	if (send(l->fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(packet)) {
		/* It is ending: another one will be there for the next request. */
		looker_end(e->job.q.pool);
		return -1;
	}
	l->now = e;
	e->pid = l->child.pid;
	return 0;
}

void looker_end(const char *pool)
{
	for (struct looker *l = lookers; l; l = l->next) {
		if (l->fd < 0 || strcmp(l->pool, pool) != 0)
			continue;
		if (l->now) {
			/* After what it does: then its channel ends for reading. */
			(void)shutdown(l->fd, SHUT_WR);
			l->pool[0] = '\0';
			continue;
		}
		loop_fd_remove(l->loop, &l->source);
		l->fd = fd_close(l->fd);
	}
}
