/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libvchan.h interface for unmodified Qubes programs, on vchan.h. It adds what that interface
 * promises and ours does not: calls that wait, ring sizes, and progress of a server that nobody
 * calls: bytes written before the client comes must reach it without another call. For that alone
 * a waiting server has one thread, which ends when the client is there.
 *
 * Threads: some may be blocked in the calls of one channel while others use it, for example a reader
 * and a writer. There is one descriptor for both of them, and an event that one takes is gone for the
 * others; so one sleeps on the descriptor, the others on it, and each event wakes them all.
 * libvchan_close() needs all to be out, and a poll() of the program's own does not know of the events
 * that another thread takes: who polls does all its calls from one thread, as with the original.
 *
 * Source: doc/protocol/vchan.md, 1 and 2.2.
 */
#include "lib/vchan/public/libvchan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/vchan/libvchan_internal.h"
#include "lib/vchan/stash.h"

#define CLIENT_RING  65536U       /* bytes; chosen: the largest that Qubes programs ask for */
#define RING_LEAST   4096U        /* bytes; protocol, 2.2 */
#define HELPER_STACK (128 * 1024) /* bytes; paths are the largest thing on it */

struct libvchan {
	struct vchan *vchan;
	pthread_mutex_t lock; /* the helper and, in some programs, two threads */
	pthread_cond_t stepped;
	uint64_t steps; /* events taken */
	bool sleeper;   /* a thread sleeps on the descriptor */
	bool blocking;
	bool unfinished; /* asynchronous client before finish gave 0 */
	bool has_helper; /* to be joined */
	pthread_t helper;
	int stop_fd;  /* eventfd that ends the helper; -1: none */
	int watch_fd; /* the asynchronous client's; -1: none */
	struct stash stash;
	size_t rx_ring; /* socket: most that one read gives, and recv can want */
	size_t tx_ring;
};

static size_t ring_for(size_t bytes)
{
	size_t ring = RING_LEAST;

	while (ring < bytes && ring < VCHAN_RING_MAX)
		ring *= 2;
	return ring;
}

/* One look at what is there, without taking the event that the program's poll() waits for. */
static enum vchan_state look(struct libvchan *ctrl)
{
	vchan_refresh(ctrl->vchan);
	return vchan_state(ctrl->vchan);
}

static void end_helper(struct libvchan *ctrl)
{
	if (ctrl->stop_fd >= 0)
		(void)eventfd_write(ctrl->stop_fd, 1);
}

static void step(struct libvchan *ctrl)
{
	(void)vchan_step(ctrl->vchan);
	if (vchan_listener(ctrl->vchan) < 0)
		end_helper(ctrl);
	ctrl->steps++;
	(void)pthread_cond_broadcast(&ctrl->stepped);
}

static void *helper_main(void *arg)
{
	struct libvchan *ctrl = arg;
	struct pollfd waits[2] = {{.events = POLLIN}, {.fd = ctrl->stop_fd, .events = POLLIN}};
	bool done = false;

	while (!done) {
		(void)pthread_mutex_lock(&ctrl->lock);
		waits[0].fd = vchan_listener(ctrl->vchan);
		(void)pthread_mutex_unlock(&ctrl->lock);
		if (waits[0].fd < 0 || (poll(waits, 2, -1) < 0 && errno != EINTR) ||
		    waits[1].revents)
			break;
		(void)pthread_mutex_lock(&ctrl->lock);
		if (vchan_listener(ctrl->vchan) >= 0) {
			(void)vchan_step(ctrl->vchan);
			done = vchan_listener(ctrl->vchan) < 0;
			/* What we took was an event of the program's. */
			if (done)
				vchan_poke(ctrl->vchan);
		}
		(void)pthread_mutex_unlock(&ctrl->lock);
	}
	return NULL;
}

static int start_helper(struct libvchan *ctrl)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	ctrl->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ctrl->stop_fd < 0 || pthread_attr_init(&attr) != 0)
		return -1;
	(void)pthread_attr_setstacksize(&attr, HELPER_STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&ctrl->helper, &attr, helper_main, ctrl);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	ctrl->has_helper = r == 0;
	errno = r;
	return r == 0 ? 0 : -1;
}

static struct libvchan *ctrl_new(void)
{
	struct libvchan *ctrl = calloc(1, sizeof(*ctrl));

	if (!ctrl)
		return NULL;
	if (pthread_mutex_init(&ctrl->lock, NULL) != 0) {
		free(ctrl);
		errno = ENOMEM;
		return NULL;
	}
	(void)pthread_cond_init(&ctrl->stepped, NULL);
	ctrl->blocking = true;
	ctrl->stop_fd = -1;
	ctrl->watch_fd = -1;
	return ctrl;
}

static int make_config(struct vchan_config *config, int domain, int port)
{
	if (vchan_config_from_env(config))
		return -1;
	config->peer = domain;
	config->port = port;
	return 0;
}

static struct libvchan *fail(struct libvchan *ctrl)
{
	int saved = errno;

	libvchan_close(ctrl);
	errno = saved;
	return NULL;
}

PUBLIC libvchan_t *libvchan_server_init(int domain, int port, size_t read_min, size_t write_min)
{
	struct libvchan *ctrl = ctrl_new();
	struct vchan_config config;

	if (!ctrl || make_config(&config, domain, port))
		return fail(ctrl);
	config.read_min = read_min;
	config.write_min = write_min;
	ctrl->rx_ring = ring_for(read_min);
	ctrl->tx_ring = ring_for(write_min);
	if (vchan_listen(&config, &ctrl->vchan) || start_helper(ctrl))
		return fail(ctrl);
	return ctrl;
}

static struct libvchan *start_client(int domain, int port)
{
	struct libvchan *ctrl = ctrl_new();
	struct vchan_config config;

	if (!ctrl || make_config(&config, domain, port))
		return fail(ctrl);
	ctrl->rx_ring = CLIENT_RING;
	ctrl->tx_ring = CLIENT_RING;
	if (vchan_connect(&config, &ctrl->vchan))
		return fail(ctrl);
	return ctrl;
}

/* Sleeps on the descriptor, without the lock, so that another thread can work. */
static int sleep_on_fd(struct libvchan *ctrl)
{
	struct pollfd wait = {.fd = vchan_fd(ctrl->vchan), .events = POLLIN};
	int r;

	ctrl->sleeper = true;
	(void)pthread_mutex_unlock(&ctrl->lock);
	do {
		r = poll(&wait, 1, -1);
	} while (r < 0 && errno == EINTR);
	(void)pthread_mutex_lock(&ctrl->lock);
	ctrl->sleeper = false;
	return r < 0 ? -1 : 0;
}

/*
 * Called and left with the lock held: until something may have changed after the caller's look at
 * the channel, which it had under the same lock. If the sleeper goes, another one takes its place.
 */
static int wait_event(struct libvchan *ctrl)
{
	uint64_t seen = ctrl->steps;
	int r = 0;

	while (ctrl->steps == seen && ctrl->sleeper)
		(void)pthread_cond_wait(&ctrl->stepped, &ctrl->lock);
	if (ctrl->steps != seen)
		return 0;
	r = sleep_on_fd(ctrl);
	step(ctrl);
	return r;
}

PUBLIC libvchan_t *libvchan_client_init(int domain, int port)
{
	struct libvchan *ctrl = start_client(domain, port);
	int r = 0;

	if (!ctrl)
		return NULL;
	(void)pthread_mutex_lock(&ctrl->lock);
	while (r == 0 && vchan_state(ctrl->vchan) == VCHAN_CORE_WAITING)
		r = wait_event(ctrl);
	(void)pthread_mutex_unlock(&ctrl->lock);
	if (r)
		return fail(ctrl);
	/* A server that closed at once may have left bytes, but one that never was is a failure. */
	if (!vchan_connected(ctrl->vchan)) {
		errno = ECONNREFUSED;
		return fail(ctrl);
	}
	return ctrl;
}

PUBLIC libvchan_t *libvchan_client_init_async(int domain, int port, EVTCHN *watch_fd)
{
	struct libvchan *ctrl = start_client(domain, port);

	if (!ctrl)
		return NULL;
	ctrl->unfinished = true;
	ctrl->watch_fd = fcntl(vchan_fd(ctrl->vchan), F_DUPFD_CLOEXEC, 0);
	if (ctrl->watch_fd < 0)
		return fail(ctrl);
	*watch_fd = ctrl->watch_fd;
	return ctrl;
}

PUBLIC int libvchan_client_init_async_finish(libvchan_t *ctrl, bool blocking)
{
	if (!ctrl->unfinished)
		return 0;
	step(ctrl);
	if (vchan_state(ctrl->vchan) == VCHAN_CORE_WAITING)
		return 1;
	if (!vchan_connected(ctrl->vchan)) {
		errno = ECONNREFUSED;
		return -1;
	}
	ctrl->unfinished = false;
	ctrl->blocking = blocking;
	ctrl->watch_fd = fd_close(ctrl->watch_fd);
	return 0;
}

static size_t most(const struct libvchan *ctrl, bool rx)
{
	size_t ring = vchan_ring_size(ctrl->vchan, rx);

	return ring > 0 ? ring : rx ? ctrl->rx_ring : ctrl->tx_ring;
}

enum direction { READ, RECV, WRITE, SEND };

static ssize_t attempt_recv(struct libvchan *ctrl, void *data, size_t size)
{
	/* The state comes first: bytes that were sent before the end are then seen. */
	bool closed = look(ctrl) == VCHAN_CLOSED;

	if (ctrl->stash.len == 0 && vchan_readable(ctrl->vchan, size) >= size)
		return vchan_read(ctrl->vchan, data, size);
	if (vchan_ring_size(ctrl->vchan, true) == 0 &&
	    stash_fill(&ctrl->stash, ctrl->vchan, size, most(ctrl, true)) && errno != EPIPE)
		return -1;
	if (ctrl->stash.len >= size)
		return (ssize_t)stash_take(&ctrl->stash, data, size);
	errno = EPIPE;
	return closed ? -1 : 0;
}

/* What one attempt gave: bytes, 0 for nothing now, or -1. */
static ssize_t attempt(struct libvchan *ctrl, enum direction what, void *data, size_t size)
{
	struct vchan *vchan = ctrl->vchan;
	int r;

	switch (what) {
	case READ:
		if (ctrl->stash.len > 0)
			return (ssize_t)stash_take(&ctrl->stash, data, size);
		return vchan_read(vchan, data, MIN(size, most(ctrl, true)));
	case RECV:
		return attempt_recv(ctrl, data, size);
	case WRITE:
		return vchan_write(vchan, data, MIN(size, most(ctrl, false)));
	case SEND:
		r = vchan_write_message(vchan, data, size, NULL, 0);
		return r == 0 ? (ssize_t)size : r > 0 ? 0 : -1;
	}
	errno = EINVAL;
	return -1;
}

/*
 * A blocking stream write goes on until all is written; the rest ends with the first bytes. A message
 * within the ring may still be more than a socket takes at once: who can wait sends it in pieces, for
 * who cannot there is never room.
 */
static int transfer(struct libvchan *ctrl, enum direction what, void *data, size_t size)
{
	bool failed = false;
	size_t done = 0;

	if (ctrl->unfinished) {
		errno = EAGAIN;
		return -1;
	}
	if (size > INT_MAX) {
		errno = EINVAL;
		return -1;
	}
	(void)pthread_mutex_lock(&ctrl->lock);
	while (done < size) {
		ssize_t r = attempt(ctrl, what, (uint8_t *)data + done, size - done);
		bool enough = !ctrl->blocking || (r > 0 && what != WRITE);

		if (r < 0 && what == SEND && errno == EMSGSIZE) {
			what = WRITE;
			r = 0;
			if (!enough)
				continue;
		}
		if (r < 0 || (r == 0 && !enough && wait_event(ctrl)))
			failed = true;
		else
			done += (size_t)r;
		if (failed || enough)
			break;
	}
	(void)pthread_mutex_unlock(&ctrl->lock);
	if (failed)
		return -1;
	return (int)done;
}

PUBLIC int libvchan_write(libvchan_t *ctrl, const void *data, size_t size)
{
	return transfer(ctrl, WRITE, (void *)(uintptr_t)data, size);
}

PUBLIC int libvchan_read(libvchan_t *ctrl, void *data, size_t size)
{
	return transfer(ctrl, READ, data, size);
}

/* Larger than the ring can never be: -1 for who would wait for ever, 0 for who would not (H15). */
static int never_fits(const struct libvchan *ctrl)
{
	if (!ctrl->blocking)
		return 0;
	errno = EMSGSIZE;
	return -1;
}

PUBLIC int libvchan_send(libvchan_t *ctrl, const void *data, size_t size)
{
	if (!ctrl->unfinished && size > most(ctrl, false))
		return never_fits(ctrl);
	return transfer(ctrl, SEND, (void *)(uintptr_t)data, size);
}

PUBLIC int libvchan_recv(libvchan_t *ctrl, void *data, size_t size)
{
	if (!ctrl->unfinished && size > most(ctrl, true))
		return never_fits(ctrl);
	return transfer(ctrl, RECV, data, size);
}

PUBLIC int libvchan_wait(libvchan_t *ctrl)
{
	struct pollfd wait = {.fd = vchan_fd(ctrl->vchan), .events = POLLIN};
	int r = -1;

	if (ctrl->unfinished)
		return 0;
	(void)pthread_mutex_lock(&ctrl->lock);
	/* No event follows the last one: who waits for it is told instead of left waiting. */
	if (vchan_state(ctrl->vchan) == VCHAN_CLOSED && poll(&wait, 1, 0) <= 0)
		errno = EPIPE;
	else
		r = wait_event(ctrl);
	(void)pthread_mutex_unlock(&ctrl->lock);
	return r;
}

PUBLIC EVTCHN libvchan_fd_for_select(libvchan_t *ctrl)
{
	if (ctrl->unfinished) {
		errno = EAGAIN;
		return -1;
	}
	return vchan_fd(ctrl->vchan);
}

PUBLIC int libvchan_is_open(libvchan_t *ctrl)
{
	enum vchan_state state;

	if (ctrl->unfinished)
		return VCHAN_WAITING;
	(void)pthread_mutex_lock(&ctrl->lock);
	state = look(ctrl);
	(void)pthread_mutex_unlock(&ctrl->lock);
	return (int)state;
}

PUBLIC int libvchan_data_ready(libvchan_t *ctrl)
{
	size_t n;

	if (ctrl->unfinished)
		return 0;
	(void)pthread_mutex_lock(&ctrl->lock);
	n = vchan_readable(ctrl->vchan, SIZE_MAX) + ctrl->stash.len;
	n = MIN(n, most(ctrl, true));
	(void)pthread_mutex_unlock(&ctrl->lock);
	return (int)n;
}

PUBLIC int libvchan_buffer_space(libvchan_t *ctrl)
{
	size_t n;

	if (ctrl->unfinished)
		return 0;
	(void)pthread_mutex_lock(&ctrl->lock);
	n = vchan_writable(ctrl->vchan, most(ctrl, false));
	n = MIN(n, most(ctrl, false));
	(void)pthread_mutex_unlock(&ctrl->lock);
	return (int)n;
}

PUBLIC void libvchan_set_blocking(libvchan_t *ctrl, bool blocking)
{
	ctrl->blocking = blocking;
}

PUBLIC const char *libvchan_reason(libvchan_t *ctrl)
{
	return vchan_why(ctrl->vchan);
}

PUBLIC void libvchan_close(libvchan_t *ctrl)
{
	if (!ctrl)
		return;
	end_helper(ctrl);
	if (ctrl->has_helper)
		(void)pthread_join(ctrl->helper, NULL);
	(void)vchan_close(ctrl->vchan);
	free(ctrl->stash.bytes);
	(void)fd_close(ctrl->stop_fd);
	(void)fd_close(ctrl->watch_fd);
	(void)pthread_cond_destroy(&ctrl->stepped);
	(void)pthread_mutex_destroy(&ctrl->lock);
	free(ctrl);
}
