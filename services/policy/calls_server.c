/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"

/*
 * Kept connections: many questions of one daemon, answered in any order. Questions are taken and
 * answers are sent many at a time, so that the cost of a system call is shared. A client that does not
 * read its answers is not read from.
 */

#define BATCH   16U        /* packets in one system call */
#define ROUNDS  4U         /* batches of one client in a turn of the loop */
#define OUT_MAX (1U << 20) /* bytes of answers that may wait for a client; chosen */

struct client {
	struct owner owner;
	struct service *s;
	int fd;
	struct loop_fd source;
	struct loop_defer flush;
	struct loop_defer gone;
	uint8_t *out; /* answers that wait: u32 length, packet */
	size_t out_at, out_len, out_room;
	bool broken;
	struct client *next;
	struct client **prev; /* what points here */
};

static unsigned int clients;
static struct client *first_client; /* otherwise only the kernel would know of them */
static uint8_t packets[BATCH][POLICY_PACKET_MAX];
static struct loop_fd listener = LOOP_FD_EMPTY;

static void client_free(void *arg)
{
	struct client *c = arg;

	service_forget(c->s, &c->owner);
	loop_fd_remove(c->s->loop, &c->source);
	loop_defer_clear(c->s->loop, &c->flush);
	loop_defer_clear(c->s->loop, &c->gone);
	fd_close(c->fd);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c->out);
	free(c);
	clients--;
}

static void client_end(struct client *c)
{
	c->broken = true;
	loop_fd_remove(c->s->loop, &c->source);
	loop_defer_set(c->s->loop, &c->gone, client_free, c);
}

static bool may_read(const struct client *c)
{
	return c->out_len - c->out_at < OUT_MAX / 2 && c->owner.n < SERVER_CALLS_WAITING;
}

/* As many answers as fit into one call; returns how many there are. */
static unsigned int gather(const struct client *c, struct mmsghdr *messages, struct iovec *parts)
{
	size_t at = c->out_at;
	unsigned int n = 0;

	memset(messages, 0, BATCH * sizeof(*messages));
	while (n < BATCH && at < c->out_len) {
		uint32_t len;

		memcpy(&len, c->out + at, sizeof(len));
		parts[n] = (struct iovec){c->out + at + sizeof(len), len};
		messages[n].msg_hdr.msg_iov = &parts[n];
		messages[n].msg_hdr.msg_iovlen = 1;
		at += sizeof(len) + len;
		n++;
	}
	return n;
}

static void flush_answers(void *arg)
{
	struct client *c = arg;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];

	while (!c->broken && c->out_at < c->out_len) {
		unsigned int n = gather(c, messages, parts);
		int sent = sendmmsg(c->fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL), i;

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0) {
			client_end(c);
			return;
		}
		for (i = 0; i < sent; i++)
			c->out_at += sizeof(uint32_t) + parts[i].iov_len;
	}
	if (c->broken)
		return;
	if (c->out_at == c->out_len)
		c->out_at = c->out_len = 0;
	loop_fd_set(c->s->loop, &c->source,
	            (may_read(c) ? EPOLLIN : 0U) | (c->out_len ? EPOLLOUT : 0U));
}

/* Room for an answer; -1: the client is far behind, or there is no memory. */
static int out_room(struct client *c, size_t need)
{
	size_t room = c->out_room ? c->out_room : 8192;
	uint8_t *out;

	if (c->out_at > 0) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	while (room - c->out_len < need)
		room *= 2;
	if (room > 2U * OUT_MAX)
		return -1;
	if (room == c->out_room)
		return 0;
	out = realloc(c->out, room);
	if (!out)
		return -1;
	c->out = out;
	c->out_room = room;
	return 0;
}

static void on_answer(struct owner *owner, uint32_t id, const struct policy_answer *answer,
                      bool just)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	struct client *c = CONTAINER_OF(owner, struct client, owner);
	ssize_t n = policy_encode_answer(packet, sizeof(packet), answer);
	uint32_t len;

	if (c->broken)
		return;
	if (n < 0) {
		struct policy_answer *none = calloc(1, sizeof(*none));

		if (none) {
			none->id = id;
			none->verdict = POLICY_NO_ANSWER;
			n = policy_encode_answer(packet, sizeof(packet), none);
			free(none);
		}
	}
	if (n < 0 || out_room(c, (size_t)n + sizeof(len))) {
		LOG_QUBE(&c->s->limit, "a client of the policy service does not read its answers");
		client_end(c);
		return;
	}
	len = (uint32_t)n;
	memcpy(c->out + c->out_len, &len, sizeof(len));
	memcpy(c->out + c->out_len + sizeof(len), packet, len);
	c->out_len += sizeof(len) + len;
	loop_defer_set(c->s->loop, &c->flush, flush_answers, c);
}

static int take_packet(struct client *c, const uint8_t *data, size_t len)
{
	const struct ask_rules rules = {0};
	struct policy_question question;

	if (len > POLICY_PACKET_MAX || policy_decode_question(data, len, &question))
		return -1;
	service_ask(c->s, &c->owner, &question, &rules);
	return 0;
}

/* One batch; returns whether there may be more. */
static bool take_batch(struct client *c)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	int i, n;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < (int)BATCH; i++) {
		parts[i] = (struct iovec){packets[i], sizeof(packets[i])};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(c->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	for (i = 0; i < n && !c->broken; i++) {
		/* An empty packet is the end of the connection, or as good as one. */
		if (messages[i].msg_len == 0) {
			client_end(c);
		} else if (messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
		           take_packet(c, packets[i], messages[i].msg_len)) {
			LOG_QUBE(&c->s->limit, "a malformed question on a kept connection");
			client_end(c);
		}
	}
	if (n <= 0 && !c->broken)
		client_end(c);
	return n == (int)BATCH && !c->broken && may_read(c);
}

static void on_ready(void *arg, uint32_t events)
{
	struct client *c = arg;
	unsigned int round;

	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) {
		client_end(c);
		return;
	}
	if (events & EPOLLIN)
		for (round = 0; round < ROUNDS && take_batch(c); round++)
			;
	if (!c->broken)
		flush_answers(c);
}

static void client_new(struct service *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_close(fd);
		return;
	}
	clients++;
	c->next = first_client;
	c->prev = &first_client;
	if (c->next)
		c->next->prev = &c->next;
	first_client = c;
	c->s = s;
	c->fd = fd;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	c->owner.done = on_answer;
	if (loop_fd_add(s->loop, &c->source, fd, EPOLLIN, on_ready, c))
		client_free(c);
}

static void on_connect(void *arg, uint32_t events)
{
	struct service *s = arg;
	int fd = -1;

	if (service_look(s))
		fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (clients >= SERVER_CALLS_CLIENTS) {
		LOG_QUBE(&s->limit, "too many kept connections to the policy service");
		fd_close(fd);
		return;
	}
	client_new(s, fd);
}

int calls_server_start(struct service *s, int fd)
{
	return loop_fd_add(s->loop, &listener, fd, EPOLLIN, on_connect, s);
}
