/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop: epoll for descriptors, a binary heap for deadlines, signalfd for signals, pidfd
 * for children. The kernel's interface is the library; this file only adds safe removal and order:
 * descriptors of the turn, then timers that are due, then deferred work.
 */
#include "lib/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"

#define LOOP_EVENTS_MAX 64 /* events taken from the kernel a turn; chosen */

struct loop_signal {
	int signo;
	void (*fn)(void *arg, int signo, pid_t sender);
	void *arg;
};

struct loop {
	int epoll_fd;
	int signal_fd;
	bool stopped;
	int status;
	struct epoll_event ready[LOOP_EVENTS_MAX];
	int n_ready; /* of the turn in progress */
	struct loop_timer **heap;
	size_t n_heap;
	size_t heap_max;
	struct loop_defer deferred; /* list head */
	sigset_t signals;
	struct loop_signal handlers[LOOP_SIGNAL_MAX];
	size_t n_handlers;
	struct loop_fd signal_source;
};

uint64_t loop_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	loop->signal_fd = -1;
	loop->signal_source.fd = -1;
	loop->deferred.next = loop->deferred.prev = &loop->deferred;
	(void)sigemptyset(&loop->signals);
	return loop;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	(void)fd_close(loop->epoll_fd);
	(void)fd_close(loop->signal_fd);
	free(loop->heap);
	free(loop);
	return NULL;
}

void loop_stop(struct loop *loop, int status)
{
	loop->stopped = true;
	loop->status = status;
}

/* Descriptors. */

int loop_fd_add(struct loop *loop, struct loop_fd *s, int fd, uint32_t events,
                void (*fn)(void *arg, uint32_t events), void *arg)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		return -1;
	*s = (struct loop_fd){.fd = fd, .events = events, .fn = fn, .arg = arg};
	return 0;
}

void loop_fd_set(struct loop *loop, struct loop_fd *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (s->fd < 0 || s->events == events)
		return;
	/* Cannot fail for a registered descriptor: nothing is allocated. */
	CHECK(epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &e) == 0);
	s->events = events;
}

void loop_fd_remove(struct loop *loop, struct loop_fd *s)
{
	if (s->fd < 0)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	for (int i = 0; i < loop->n_ready; i++) {
		if (loop->ready[i].data.ptr == s)
			loop->ready[i].data.ptr = NULL;
	}
	s->fd = -1;
}

/* Timers: a binary heap, each timer knows its place. */

static void heap_put(struct loop *loop, size_t i, struct loop_timer *t)
{
	loop->heap[i] = t;
	t->index = i + 1;
}

static void heap_up(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];

	while (i > 0 && loop->heap[(i - 1) / 2]->deadline_ns > t->deadline_ns) {
		heap_put(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, size_t i)
{
	struct loop_timer *t = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->n_heap)
			break;
		if (child + 1 < loop->n_heap &&
		    loop->heap[child + 1]->deadline_ns < loop->heap[child]->deadline_ns)
			child++;
		if (loop->heap[child]->deadline_ns >= t->deadline_ns)
			break;
		heap_put(loop, i, loop->heap[child]);
		i = child;
	}
	heap_put(loop, i, t);
}

int loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms,
                   void (*fn)(void *arg), void *arg)
{
	loop_timer_clear(loop, t);
	if (loop->n_heap == loop->heap_max) {
		size_t max = loop->heap_max ? loop->heap_max * 2 : 16;
		struct loop_timer **heap = realloc(loop->heap, max * sizeof(struct loop_timer *));

		if (!heap)
			return -1;
		loop->heap = heap;
		loop->heap_max = max;
	}
	t->deadline_ns = loop_now_ns() + delay_ms * 1000000U;
	t->fn = fn;
	t->arg = arg;
	heap_put(loop, loop->n_heap++, t);
	heap_up(loop, t->index - 1);
	return 0;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *t)
{
	size_t i;
	struct loop_timer *last;

	if (t->index == 0)
		return;
	i = t->index - 1;
	CHECK(i < loop->n_heap && loop->heap[i] == t);
	last = loop->heap[--loop->n_heap];
	t->index = 0;
	if (last == t)
		return;
	heap_put(loop, i, last);
	heap_up(loop, i);
	heap_down(loop, last->index - 1);
}

static void run_timers(struct loop *loop)
{
	uint64_t now;

	if (loop->n_heap == 0)
		return;
	now = loop_now_ns();
	while (loop->n_heap > 0 && loop->heap[0]->deadline_ns <= now) {
		struct loop_timer *t = loop->heap[0];

		loop_timer_clear(loop, t);
		t->fn(t->arg);
	}
}

static int next_timeout(const struct loop *loop, int timeout_ms)
{
	uint64_t now;
	uint64_t ms;

	if (loop->deferred.next != &loop->deferred)
		return 0;
	if (loop->n_heap == 0)
		return timeout_ms;
	now = loop_now_ns();
	if (loop->heap[0]->deadline_ns <= now)
		return 0;
	ms = (loop->heap[0]->deadline_ns - now + 999999U) / 1000000U;
	if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return ms > 3600000U ? 3600000 : (int)ms;
}

/* Deferred work. */

void loop_defer_set(struct loop *loop, struct loop_defer *d, void (*fn)(void *arg), void *arg)
{
	d->fn = fn;
	d->arg = arg;
	if (d->next)
		return;
	d->prev = loop->deferred.prev;
	d->next = &loop->deferred;
	d->prev->next = d;
	loop->deferred.prev = d;
}

void loop_defer_clear(struct loop *loop, struct loop_defer *d)
{
	if (!d->next)
		return;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->next = d->prev = NULL;
}

/* What is deferred while this runs waits for the next turn, so deferring itself cannot spin here. */
static void run_deferred(struct loop *loop)
{
	struct loop_defer end = {0};

	if (loop->deferred.next == &loop->deferred)
		return;
	loop_defer_set(loop, &end, NULL, NULL);
	while (loop->deferred.next != &end) {
		struct loop_defer *d = loop->deferred.next;

		loop_defer_clear(loop, d);
		d->fn(d->arg);
	}
	loop_defer_clear(loop, &end);
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epoll_fd, loop->ready, LOOP_EVENTS_MAX,
	                   next_timeout(loop, timeout_ms));

	if (n < 0 && errno != EINTR)
		return -1;
	loop->n_ready = n < 0 ? 0 : n;
	for (int i = 0; i < loop->n_ready; i++) {
		struct loop_fd *s = loop->ready[i].data.ptr;

		if (s)
			s->fn(s->arg, loop->ready[i].events);
	}
	loop->n_ready = 0;
	run_timers(loop);
	run_deferred(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped) {
		if (loop_turn(loop, -1))
			return -1;
	}
	return loop->status;
}

/* Signals and children. */

static void on_signal(void *arg, uint32_t events)
{
	struct loop *loop = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(loop->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	for (size_t i = 0; i < loop->n_handlers; i++) {
		if (loop->handlers[i].signo == (int)info.ssi_signo)
			loop->handlers[i].fn(loop->handlers[i].arg, (int)info.ssi_signo,
			                     (pid_t)info.ssi_pid);
	}
}

int loop_signal_add(struct loop *loop, int signo, void (*fn)(void *arg, int signo, pid_t sender),
                    void *arg)
{
	int fd;

	if (loop->n_handlers == LOOP_SIGNAL_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if (sigaddset(&loop->signals, signo) || sigprocmask(SIG_BLOCK, &loop->signals, NULL))
		return -1;
	fd = signalfd(loop->signal_fd, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -1;
	loop->signal_fd = fd;
	if (loop->signal_source.fd < 0 &&
	    loop_fd_add(loop, &loop->signal_source, fd, EPOLLIN, on_signal, loop))
		return -1;
	loop->handlers[loop->n_handlers++] =
	        (struct loop_signal){.signo = signo, .fn = fn, .arg = arg};
	return 0;
}

#define UNKNOWN_STATUS (255 << 8) /* exit status 255 */

static void on_child(void *arg, uint32_t events)
{
	struct loop_child *c = arg;
	pid_t pid = c->pid;
	int status = 0;

	(void)events;
	pid = waitpid(pid, &status, WNOHANG);
	if (pid == 0)
		return;
	/* Somebody else took it: how it ended is unknown, and must not look like success. */
	if (pid < 0)
		status = UNKNOWN_STATUS;
	loop_child_remove(c->loop, c);
	c->fn(c->arg, status);
}

int loop_child_add(struct loop *loop, struct loop_child *c, pid_t pid,
                   void (*fn)(void *arg, int wait_status), void *arg)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -1;
	c->loop = loop;
	c->pid = pid;
	c->fn = fn;
	c->arg = arg;
	if (loop_fd_add(loop, &c->fd, fd, EPOLLIN, on_child, c)) {
		(void)fd_close(fd);
		return -1;
	}
	return 0;
}

void loop_child_remove(struct loop *loop, struct loop_child *c)
{
	int fd = c->fd.fd;

	if (fd < 0)
		return;
	loop_fd_remove(loop, &c->fd);
	(void)fd_close(fd);
	c->pid = -1;
}
