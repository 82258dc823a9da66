/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/policy_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"

#define POLICY_ANSWERS_MAX 32 /* answers taken a turn; chosen */

static void on_policy(void *arg, uint32_t events);

void policy_link_init(struct keeper *k)
{
	k->policy.fd = -1;
	k->policy.source = (struct loop_fd)LOOP_FD_EMPTY;
}

void policy_link_stop(struct keeper *k)
{
	loop_fd_remove(k->loop, &k->policy.source);
	k->policy.fd = fd_close(k->policy.fd);
}

/* The kept connection. */

static int link_open(struct keeper *k)
{
	char path[PATH_MAX];

	if (k->policy.fd >= 0)
		return 0;
	if (path_make(path, sizeof(path), "/run/qubes", POLICY_CALLS_SOCKET))
		return -1;
	k->policy.fd = fd_connect_unix(path, SOCK_SEQPACKET | SOCK_NONBLOCK);
	if (k->policy.fd < 0)
		return -1;
	if (loop_fd_add(k->loop, &k->policy.source, k->policy.fd, EPOLLIN, on_policy, k)) {
		k->policy.fd = fd_close(k->policy.fd);
		return -1;
	}
	return 0;
}

/* 0: sent; 1: no room now; -1: the connection is gone. */
static int link_send(struct request *r)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	struct keeper *k = r->k;
	struct policy_question question = {
	        .call = r->call,
	        .id = r->id,
	        .flags = r->has_source ? POLICY_HAS_SOURCE : 0,
	        .source = k->options->name,
	        .requested_source = r->source,
	        .target = r->target,
	        .service = r->name,
	};
	ssize_t len = policy_encode_question(packet, sizeof(packet), &question);

	if (len < 0)
		return -1;
	if (send(k->policy.fd, packet, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
		r->state = REQUEST_POLICY;
		return 0;
	}
	return errno == EAGAIN || errno == ENOBUFS ? 1 : -1;
}

static void link_queue(struct request *r)
{
	struct keeper *k = r->k;

	r->state = REQUEST_QUEUED;
	k->policy.n_unsent++;
	loop_fd_set(k->loop, &k->policy.source, EPOLLIN | EPOLLOUT);
}

static void ask_again(struct request *r)
{
	r->state = REQUEST_NEW;
	if (r->asked_again) {
		request_verdict(r, NULL);
		return;
	}
	r->asked_again = true;
	policy_ask(r);
}

static void on_lost(void *arg)
{
	request_each(arg, REQUEST_LOST, ask_again);
}

static void mark_lost(struct request *r)
{
	if (!r->text)
		r->state = REQUEST_LOST;
}

/* Questions in flight are asked once more, on a new connection or as text. */
static void link_lost(struct keeper *k)
{
	LOG("the connection to the policy service was lost");
	policy_link_stop(k);
	k->policy.n_unsent = 0;
	request_each(k, REQUEST_QUEUED, mark_lost);
	request_each(k, REQUEST_POLICY, mark_lost);
	loop_defer_set(k->loop, &k->policy.lost, on_lost, k);
}

static void send_queued(struct request *r)
{
	struct keeper *k = r->k;

	if (k->policy.fd < 0 || k->policy.n_unsent == 0 || link_send(r) != 0)
		return;
	k->policy.n_unsent--;
}

/* Returns whether the connection goes on. */
static bool take_answer(struct keeper *k, const uint8_t *packet, size_t len)
{
	static struct policy_answer answer;
	struct request *r;

	if (policy_decode_answer(packet, len, &answer)) {
		LOG("the policy service sent a malformed answer");
		return false;
	}
	r = request_find(k, answer.id);
	if (r && r->state == REQUEST_POLICY && !r->text)
		request_verdict(r, answer.verdict == POLICY_NO_ANSWER ? NULL : &answer);
	return true;
}

static void on_policy(void *arg, uint32_t events)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	struct keeper *k = arg;

	if (events & EPOLLOUT) {
		request_each(k, REQUEST_QUEUED, send_queued);
		if (k->policy.n_unsent == 0)
			loop_fd_set(k->loop, &k->policy.source, EPOLLIN);
	}
	for (int i = 0; i < POLICY_ANSWERS_MAX && k->policy.fd >= 0; i++) {
		ssize_t n = recv(k->policy.fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || !take_answer(k, packet, (size_t)n)) {
			link_lost(k);
			return;
		}
	}
}

/* Which way. */

static void ask_program(struct request *r)
{
	struct keeper *k = r->k;

	if (r->source[0] != '\0') {
		/* The program cannot be told of it, and without it the verdict would be another. */
		LOG_QUBE(&k->log_limit, "a claimed source (%s) cannot be given to a policy program",
		         r->source);
		request_verdict(r, NULL);
		return;
	}
	if (k->policy.n_programs >= LIMIT_POLICY_PROGRAMS) {
		r->state = REQUEST_QUEUED;
		return;
	}
	r->state = REQUEST_POLICY;
	if (policy_text_program(r)) {
		LOG_ERRNO("%s", k->options->policy_program);
		request_verdict(r, NULL);
	}
}

static void start_next(struct request *r)
{
	if (r->k->policy.n_programs < LIMIT_POLICY_PROGRAMS)
		ask_program(r);
}

void policy_program_ended(struct keeper *k)
{
	k->policy.n_programs--;
	request_each(k, REQUEST_QUEUED, start_next);
}

void policy_ask(struct request *r)
{
	struct keeper *k = r->k;
	int sent = -1;

	if (k->options->policy_program) {
		ask_program(r);
		return;
	}
	/* A kept connection that has gone meanwhile is noticed here: once more on a new one. */
	for (int i = 0; i < 2 && sent < 0 && link_open(k) == 0; i++) {
		if (k->policy.n_unsent > 0)
			sent = 1;
		else
			sent = link_send(r);
		if (sent < 0)
			link_lost(k);
	}
	if (sent == 0)
		return;
	if (sent > 0) {
		link_queue(r);
		return;
	}
	r->state = REQUEST_POLICY;
	if (policy_text_ask(r))
		request_verdict(r, NULL);
}

void policy_forget(struct request *r)
{
	if (r->text) {
		policy_text_cancel(r->text);
		r->text = NULL;
	} else if (r->state == REQUEST_QUEUED && r->k->policy.n_unsent > 0 &&
	           !r->k->options->policy_program) {
		r->k->policy.n_unsent--;
	}
}
