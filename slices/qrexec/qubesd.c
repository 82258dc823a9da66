/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/qubesd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"

#define QUBESD_REQUEST_MAX 512U /* bytes; chosen: method, 64-byte names */
#define QUBESD_AGAIN_MS    5    /* its queue of connections is full; chosen */

struct qubesd_call {
	struct keeper *k;
	int fd;
	struct loop_fd source;
	struct loop_timer timer;
	struct loop_timer again;
	void (*done)(void *arg, const char *reply, size_t len);
	void *arg;
	size_t request_len;
	size_t reply_len;
	char request[QUBESD_REQUEST_MAX];
	char *reply; /* grows up to QUBESD_REPLY_MAX */
	size_t reply_max;
};

void qubesd_cancel(struct qubesd_call *call)
{
	if (!call)
		return;
	loop_timer_clear(call->k->loop, &call->timer);
	loop_timer_clear(call->k->loop, &call->again);
	loop_fd_remove(call->k->loop, &call->source);
	(void)fd_close(call->fd);
	free(call->reply);
	free(call);
}

/* The reply outlives the call for the length of done(). */
static void finish(struct qubesd_call *call, bool good)
{
	void (*done)(void *arg, const char *reply, size_t len) = call->done;
	void *arg = call->arg;
	char *reply = call->reply;
	size_t len = call->reply_len;

	call->reply = NULL;
	qubesd_cancel(call);
	done(arg, good && reply ? reply : NULL, len);
	free(reply);
}

static void on_late(void *arg)
{
	LOG("qubesd did not answer in time");
	finish(arg, false);
}

static int grow(struct qubesd_call *call)
{
	size_t max = call->reply_max ? call->reply_max * 4 : 1024;
	char *reply;

	if (call->reply_len < call->reply_max)
		return 0;
	reply = realloc(call->reply, max);
	if (!reply)
		return -1;
	call->reply = reply;
	call->reply_max = max;
	return 0;
}

static void on_reply(void *arg, uint32_t events)
{
	struct qubesd_call *call = arg;
	ssize_t n;

	(void)events;
	if (grow(call)) {
		finish(call, false);
		return;
	}
	n = recv(call->fd, call->reply + call->reply_len, call->reply_max - call->reply_len,
	         MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		call->reply_len += (size_t)n;
		if (call->reply_len >= QUBESD_REPLY_MAX) {
			LOG("the reply of qubesd is too long");
			finish(call, false);
		}
		return;
	}
	if (n < 0)
		LOG_ERRNO("reply of qubesd");
	finish(call, n == 0 && call->reply_len > 0);
}

static void on_again(void *arg);

/* 0: sent, or to be tried again; -1 with errno. */
static int connect_and_send(struct qubesd_call *call)
{
	struct keeper *k = call->k;
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), "/run/qubesd.sock", NULL))
		return -1;
	call->fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (call->fd < 0 && errno == EAGAIN)
		return loop_timer_set(k->loop, &call->again, QUBESD_AGAIN_MS, on_again, call);
	if (call->fd < 0)
		return -1;
	/* A new socket's buffer takes a request of this size whole. */
	if (send(call->fd, call->request, call->request_len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)call->request_len)
		return -1;
	if (shutdown(call->fd, SHUT_WR))
		return -1;
	return loop_fd_add(k->loop, &call->source, call->fd, EPOLLIN, on_reply, call);
}

static void on_again(void *arg)
{
	if (connect_and_send(arg)) {
		LOG_ERRNO("qubesd");
		finish(arg, false);
	}
}

int qubesd_start(struct keeper *k, const char *method, const char *dest, const char *payload,
                 void (*done)(void *arg, const char *reply, size_t len), void *arg,
                 struct qubesd_call **ret_call)
{
	struct qubesd_call *call = calloc(1, sizeof(*call));
	bool keyword = dest[0] == '@';
	int n;

	if (!call)
		return -1;
	call->k = k;
	call->fd = -1;
	call->source = (struct loop_fd)LOOP_FD_EMPTY;
	call->done = done;
	call->arg = arg;
	n = snprintf(call->request, sizeof(call->request), "%s+ dom0 %s %s%c%s", method,
	             keyword ? "keyword" : "name", dest + keyword, '\0', payload);
	call->request_len = n < 0 ? 0 : (size_t)n;
	if (n < 0 || (size_t)n >= sizeof(call->request) ||
	    loop_timer_set(k->loop, &call->timer, deadline_ms(LIMIT_QUBESD_MS), on_late, call) ||
	    connect_and_send(call)) {
		LOG_ERRNO("qubesd, %s", method);
		qubesd_cancel(call);
		return -1;
	}
	*ret_call = call;
	return 0;
}
