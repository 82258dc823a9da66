/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to the policy service about what a qube may see. Contract: filter.h. */
#include "services/admin/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/policy.h"
#include "services/admin/model.h"

#define QUESTIONS_MAX 131072U /* under way at once; chosen: beyond it the answer is no */
#define SLOTS         1024U

struct question {
	struct question *next;     /* in its slot */
	struct question *next_out; /* not written yet */
	uint32_t id;
	bool sent;
	char *source, *target, *service;
	void (*fn)(void *arg, void *item, bool allowed);
	void *arg, *item;
};

static struct {
	struct loop *loop;
	struct loop_fd source;
	int dir_fd;
	uint32_t id;
	size_t n;
	struct question *slots[SLOTS];
	struct question *out, **out_end;
	struct loop_timer timer;
	uint64_t answered_ns;
} filter = {.source = LOOP_FD_EMPTY, .dir_fd = -1};

void filter_open(struct loop *loop, int dir_fd)
{
	filter.loop = loop;
	filter.dir_fd = dir_fd;
	filter.out_end = &filter.out;
}

void filter_stale(void)
{
	/* Nothing is kept: the policy service answers in some 10 µs, and it alone knows its policy. */
}

static void question_free(struct question *q)
{
	free(q->source);
	free(q->target);
	free(q->service);
	free(q);
}

/* Takes a question out of its slot and answers it. */
static void settle(struct question **slot, bool allowed)
{
	struct question *q = *slot;

	*slot = q->next;
	filter.n--;
	if (q->fn)
		q->fn(q->arg, q->item, allowed);
	question_free(q);
}

static struct question **find(uint32_t id)
{
	struct question **q = &filter.slots[id % SLOTS];

	while (*q && (*q)->id != id)
		q = &(*q)->next;
	return q;
}

/* No answers: no to everything that was asked. */
static void filter_lost(const char *why)
{
	size_t i;
	int fd = filter.source.fd;

	LOG("no decisions from policy (%s): %zu questions are answered with no", why, filter.n);
	loop_fd_remove(filter.loop, &filter.source);
	fd_close(fd);
	loop_timer_clear(filter.loop, &filter.timer);
	filter.out = NULL;
	filter.out_end = &filter.out;
	for (i = 0; i < SLOTS; i++)
		while (filter.slots[i])
			settle(&filter.slots[i], false);
}

static void on_deadline(void *arg)
{
	if (filter.n > 0 && loop_now_ns() - filter.answered_ns > FILTER_WAIT_MS * 1000000ULL)
		filter_lost("it does not answer");
	else if (filter.n > 0 &&
	         loop_timer_set(filter.loop, &filter.timer, FILTER_WAIT_MS, on_deadline, NULL))
		filter_lost("no memory");
}

static bool write_one(struct question *q)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	struct policy_question ask = {.id = q->id,
	                              .flags = POLICY_JUST_EVALUATE,
	                              .source = q->source,
	                              .requested_source = "",
	                              .target = q->target,
	                              .service = q->service};
	ssize_t len = policy_encode_question(packet, sizeof(packet), &ask);

	if (len < 0)
		return true; /* the deadline answers it */
	return send(filter.source.fd, packet, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) == len;
}

static void flush(void)
{
	while (filter.out) {
		if (!write_one(filter.out)) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
				filter_lost(strerror(errno));
				return;
			}
			break;
		}
		filter.out->sent = true;
		filter.out = filter.out->next_out;
	}
	if (!filter.out)
		filter.out_end = &filter.out;
	loop_fd_set(filter.loop, &filter.source, filter.out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_policy(void *arg, uint32_t events)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	static struct policy_answer a;
	ssize_t n;
	int i;

	if (events & EPOLLOUT)
		flush();
	for (i = 0; i < 64 && filter.source.fd >= 0; i++) {
		struct question **q;

		n = recv(filter.source.fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || policy_decode_answer(packet, (size_t)n, &a)) {
			filter_lost(n > 0 ? "an answer that makes no sense" : "it ended");
			return;
		}
		filter.answered_ns = loop_now_ns();
		q = find(a.id);
		if (*q)
			settle(q, a.verdict == POLICY_ALLOWED);
	}
}

static int connect_policy(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (filter.source.fd >= 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" POLICY_CALLS_SOCKET,
	         filter.dir_fd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    loop_fd_add(filter.loop, &filter.source, fd, EPOLLIN, on_policy, NULL)) {
		fd_close(fd);
		return -1;
	}
	filter.answered_ns = loop_now_ns();
	return loop_timer_set(filter.loop, &filter.timer, FILTER_WAIT_MS, on_deadline, NULL);
}

void filter_ask(const char *source, const char *target, const char *service,
                void (*fn)(void *arg, void *item, bool allowed), void *arg, void *item)
{
	struct question *q;

	if (filter.dir_fd < 0 || filter.n >= QUESTIONS_MAX || connect_policy()) {
		fn(arg, item, false);
		return;
	}
	q = memory_get(sizeof(*q));
	if (filter.n == 0) {
		filter.answered_ns = loop_now_ns();
		if (!filter.timer.index &&
		    loop_timer_set(filter.loop, &filter.timer, FILTER_WAIT_MS, on_deadline, NULL))
			LOG("no memory for a deadline");
	}
	*q = (struct question){.id = ++filter.id,
	                       .source = memory_text(source),
	                       .target = memory_text(target),
	                       .service = memory_text(service),
	                       .fn = fn,
	                       .arg = arg,
	                       .item = item};
	q->next = filter.slots[q->id % SLOTS];
	filter.slots[q->id % SLOTS] = q;
	filter.n++;
	*filter.out_end = q;
	filter.out_end = &q->next_out;
	flush();
}

void filter_forget(const void *arg)
{
	struct question *q;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		for (q = filter.slots[i]; q; q = q->next)
			if (q->arg == arg)
				q->fn = NULL;
}
