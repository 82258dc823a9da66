/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See link.h. */
#include "process/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define MESSAGES_TURN 64 /* taken before others get their turn; chosen */

struct link_packet {
	struct link_packet *next;
	size_t len;
	uint8_t data[];
};

static void drop_packets(struct link *link)
{
	while (link->first) {
		struct link_packet *packet = link->first;

		link->first = packet->next;
		free(packet);
	}
	link->last = &link->first;
	link->waiting = 0;
}

void link_close(struct link *link)
{
	if (link->fd < 0)
		return;
	loop_fd_remove(link->loop, &link->source);
	link->fd = fd_close(link->fd);
	drop_packets(link);
}

static void end(struct link *link)
{
	if (link->fd < 0)
		return;
	link_close(link);
	link->on_end(link->arg);
}

/* 0: sent; 1: no room now; -1: it never will be. */
static int send_now(const struct link *link, const void *data, size_t len)
{
	ssize_t n;

	do
		n = send(link->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EAGAIN || errno == ENOBUFS ? 1 : -1;
}

static int flush(struct link *link)
{
	int r = 0;

	while (link->first && (r = send_now(link, link->first->data, link->first->len)) == 0) {
		struct link_packet *packet = link->first;

		link->first = packet->next;
		link->waiting -= packet->len;
		free(packet);
	}
	if (!link->first)
		link->last = &link->first;
	loop_fd_set(link->loop, &link->source, EPOLLIN | (link->first ? EPOLLOUT : 0));
	return r < 0 ? -1 : 0;
}

/* Whether the link is still the same afterwards. */
static bool take_one(struct link *link)
{
	static uint8_t data[MONITOR_PACKET_MAX];
	/* Not on the stack: it is large, and nothing here is entered twice. */
	static struct monitor_message message;
	int fd = link->fd;
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(link);
		return false;
	}
	if ((size_t)n > sizeof(data) || monitor_decode(data, (size_t)n, &message)) {
		LOG("a packet of %zd bytes is no message", n);
		end(link);
		return false;
	}
	link->on_message(link->arg, &message);
	return link->fd == fd;
}

static void on_ready(void *arg, uint32_t events)
{
	struct link *link = arg;

	if ((events & EPOLLOUT) && flush(link)) {
		end(link);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	for (int i = 0; i < MESSAGES_TURN; i++)
		if (!take_one(link))
			return;
}

int link_open(struct link *link, struct loop *loop, int fd,
              void (*on_message)(void *arg, const struct monitor_message *message),
              void (*on_end)(void *arg), void *arg)
{
	*link = (struct link){.fd = fd,
	                      .loop = loop,
	                      .source = LOOP_FD_EMPTY,
	                      .on_message = on_message,
	                      .on_end = on_end,
	                      .arg = arg};
	link->last = &link->first;
	if (fd_set_blocking(fd, false) == 0 &&
	    loop_fd_add(loop, &link->source, fd, EPOLLIN, on_ready, link) == 0)
		return 0;
	link->fd = fd_close(fd);
	return -1;
}

static int keep(struct link *link, const void *data, size_t len)
{
	struct link_packet *packet;

	if (link->waiting + len > LINK_WAITING_MAX) {
		LOG("the other side takes no messages");
		return -1;
	}
	packet = malloc(sizeof(*packet) + len);
	if (!packet)
		return -1;
	packet->next = NULL;
	packet->len = len;
	memcpy(packet->data, data, len);
	*link->last = packet;
	link->last = &packet->next;
	link->waiting += len;
	loop_fd_set(link->loop, &link->source, EPOLLIN | EPOLLOUT);
	return 0;
}

void link_send(struct link *link, const struct monitor_message *message)
{
	static uint8_t data[MONITOR_PACKET_MAX];
	ssize_t n;
	int r;

	if (link->fd < 0)
		return;
	n = monitor_encode(data, sizeof(data), message);
	if (n < 0) {
		LOG("a message of kind %u has a value that cannot be sent", message->kind);
		return;
	}
	r = link->first ? 1 : send_now(link, data, (size_t)n);
	if (r > 0)
		r = keep(link, data, (size_t)n);
	/* A handler may be in the middle of something: the end is seen when the loop reads it. */
	if (r < 0 && shutdown(link->fd, SHUT_RDWR))
		LOG_ERRNO("a link that takes no messages");
}
