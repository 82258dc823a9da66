/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/agent/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/spawn.h"
#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "qube/agent/pool_internal.h"

#define POOL_AHEAD    2  /* idle workers that are kept ready; chosen */
#define POOL_IDLE_MAX 16 /* idle workers that are kept at most; chosen */

struct worker {
	struct worker *next; /* in the list of idle ones */
	struct worker *all_next;
	struct worker *all_prev;
	struct pool *pool;
	int sock;
	struct loop_fd watch;
	void (*done)(void *arg); /* NULL: idle */
	void *arg;
};

struct pool {
	struct loop *loop;
	struct worker *all;
	int spawner; /* socket to it */
	pid_t spawner_pid;
	struct worker *idle; /* last used first: its memory is warm */
	size_t n_idle;
	struct loop_defer refill;
};

static void on_refill(void *arg);

static void drop_worker(struct worker *worker)
{
	if (worker->all_next)
		worker->all_next->all_prev = worker->all_prev;
	if (worker->all_prev)
		worker->all_prev->all_next = worker->all_next;
	else
		worker->pool->all = worker->all_next;
	loop_fd_remove(worker->pool->loop, &worker->watch);
	(void)fd_close(worker->sock);
	free(worker);
}

static void take_from_idle(struct worker *worker)
{
	struct worker **p = &worker->pool->idle;

	while (*p && *p != worker)
		p = &(*p)->next;
	CHECK(*p);
	*p = worker->next;
	worker->pool->n_idle--;
}

static void put_to_idle(struct worker *worker)
{
	struct pool *pool = worker->pool;

	if (pool->n_idle >= POOL_IDLE_MAX) {
		drop_worker(worker);
		return;
	}
	worker->next = pool->idle;
	pool->idle = worker;
	pool->n_idle++;
}

/* A byte: the call is over. The end of the socket: the worker died, and its call with it. */
static void on_worker(void *arg, uint32_t events)
{
	struct worker *worker = arg;
	void (*done)(void *) = worker->done;
	void *done_arg = worker->arg;
	char byte;
	ssize_t n = recv(worker->sock, &byte, 1, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!done)
		take_from_idle(worker);
	worker->done = NULL;
	if (n == 1) {
		put_to_idle(worker);
	} else {
		LOG("a worker ended%s", done ? " in the middle of a call" : "");
		drop_worker(worker);
	}
	if (done)
		done(done_arg);
}

/* Forks the spawner. 0, or -1 with errno. */
static int start_spawner(struct pool *pool)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pool->spawner_pid = fork();
	if (pool->spawner_pid == 0) {
		sigset_t none;

		/* The first one is made before there is anything to close or to undo. */
		fd_close_from(3, &pair[1], 1);
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		spawn_lower_descriptors();
		spawner_main(pair[1]);
	}
	(void)fd_close(pair[1]);
	if (pool->spawner_pid < 0) {
		(void)fd_close(pair[0]);
		return -1;
	}
	(void)fd_close(pool->spawner);
	pool->spawner = pair[0];
	return 0;
}

/* One that is gone (killed for want of memory) is replaced, if that is why a message failed. */
static int restart_spawner(struct pool *pool)
{
	if (errno != EPIPE && errno != ECONNRESET)
		return -1;
	LOG("the process that starts workers is gone; starting another");
	(void)kill(pool->spawner_pid, SIGKILL);
	while (waitpid(pool->spawner_pid, NULL, 0) < 0 && errno == EINTR)
		;
	return start_spawner(pool);
}

static struct worker *new_worker(struct pool *pool)
{
	struct worker *worker = malloc(sizeof(*worker));
	int pair[2];
	bool sent;

	if (!worker)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(worker);
		return NULL;
	}
	*worker = (struct worker){.pool = pool, .sock = pair[0], .watch = LOOP_FD_EMPTY};
	worker->all_next = pool->all;
	if (pool->all)
		pool->all->all_prev = worker;
	pool->all = worker;
	sent = fd_send_message(pool->spawner, "w", 1, &pair[1], 1) == 1;
	if (!sent && restart_spawner(pool) == 0)
		sent = fd_send_message(pool->spawner, "w", 1, &pair[1], 1) == 1;
	(void)fd_close(pair[1]);
	if (!sent || loop_fd_add(pool->loop, &worker->watch, pair[0], EPOLLIN, on_worker, worker)) {
		LOG_ERRNO("starting a worker");
		drop_worker(worker);
		return NULL;
	}
	return worker;
}

static void on_refill(void *arg)
{
	struct pool *pool = arg;

	while (pool->n_idle < POOL_AHEAD) {
		struct worker *worker = new_worker(pool);

		if (!worker)
			return;
		put_to_idle(worker);
	}
}

int pool_run(struct pool *pool, const struct pool_job *job, const char *line,
             void (*done)(void *arg), void *arg)
{
	struct worker *worker = pool->idle;
	struct iovec parts[] = {
	        {.iov_base = (void *)(uintptr_t)job, .iov_len = sizeof(*job)},
	        {.iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line) + 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};
	ssize_t n;

	if (worker)
		take_from_idle(worker);
	else
		worker = new_worker(pool);
	if (!worker)
		return -1;
	/* The socket of a worker without a job is empty, so the message fits. */
	do {
		n = sendmsg(worker->sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		int saved = errno;

		drop_worker(worker);
		errno = saved;
		return -1;
	}
	worker->done = done;
	worker->arg = arg;
	if (pool->n_idle < POOL_AHEAD)
		loop_defer_set(pool->loop, &pool->refill, on_refill, pool);
	return 0;
}

int pool_attach(struct pool *pool, struct loop *loop)
{
	pool->loop = loop;
	on_refill(pool);
	return pool->n_idle > 0 ? 0 : -1;
}

int pool_new(struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -1;
	pool->spawner = -1;
	if (start_spawner(pool)) {
		free(pool);
		return -1;
	}
	*ret_pool = pool;
	return 0;
}
