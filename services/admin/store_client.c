/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The admin service's side of the store: loads everything at the start, then sends transactions and
 * hears when they are durable. What the socket does not take at once waits here. When the store is
 * gone the service cannot keep a promise any more: it ends, and the monitor starts both anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/model.h"
#include "services/admin/store.h"
#include "services/admin/turn.h"

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

static struct {
	struct loop *loop;
	struct loop_fd source;
	struct waiting *first, **last;
	uint8_t *packet; /* STORE_PACKET_MAX bytes */
} store = {.source = LOOP_FD_EMPTY};

static NORETURN void store_lost(const char *why)
{
	LOG("the store is gone (%s): ending, to start anew", why);
	exit(111);
}

static void flush(void)
{
	struct waiting *w;

	while ((w = store.first)) {
		ssize_t n = send(store.source.fd, w->data, w->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			break;
		if (n < 0)
			store_lost(strerror(errno));
		store.first = w->next;
		if (!store.first)
			store.last = &store.first;
		free(w);
	}
	loop_fd_set(store.loop, &store.source, store.first ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void queue(const struct store_packet *p)
{
	size_t len = store_encode(store.packet, STORE_PACKET_MAX, p);
	struct waiting *w;

	if (len == 0) {
		/* Names and values have bounds below those of a packet. */
		LOG("a change does not fit in a packet to the store");
		abort();
	}
	w = memory_get(sizeof(*w) + len);
	w->len = len;
	memcpy(w->data, store.packet, len);
	*store.last = w;
	store.last = &w->next;
}

void store_row(uint64_t seq, uint32_t row, const char *owner, const char *name, const char *value)
{
	queue(&(struct store_packet){.kind = STORE_ROW,
	                             .seq = seq,
	                             .row = row,
	                             .owner = owner,
	                             .name = name,
	                             .value = value});
}

void store_commit(uint64_t seq)
{
	queue(&(struct store_packet){.kind = STORE_COMMIT, .seq = seq});
	flush();
}

void store_resume(uint64_t seq)
{
	queue(&(struct store_packet){.kind = STORE_RESUME, .seq = seq});
	flush();
}

static void on_store(void *arg, uint32_t events)
{
	struct store_packet p;
	ssize_t n;

	if (events & EPOLLOUT)
		flush();
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(store.source.fd, store.packet, STORE_PACKET_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		store_lost(n < 0 ? strerror(errno) : "end of its socket");
	if (store_decode(store.packet, (size_t)n, &p))
		store_lost("a packet that makes no sense");
	if (p.kind == STORE_DURABLE)
		outbox_durable(p.seq);
	else if (p.kind == STORE_REFUSED)
		outbox_refused(p.seq, p.text);
	else
		store_lost("a packet that does not belong here");
}

static int load(int fd)
{
	struct store_packet p;
	ssize_t n;

	for (;;) {
		n = recv(fd, store.packet, STORE_PACKET_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || store_decode(store.packet, (size_t)n, &p)) {
			LOG("the store sent no end of its rows");
			return -1;
		}
		if (p.kind == STORE_END)
			return 0;
		if (p.kind != STORE_ROW || p.row >= ROW_KINDS || !p.value)
			return -1;
		/* A bad row is reported there and left out. */
		if (row_apply((enum row_kind)p.row, p.owner, p.name, p.value, NULL))
			continue;
	}
}

int store_open(struct loop *loop, int fd)
{
	size_t len;

	store.loop = loop;
	store.last = &store.first;
	store.packet = memory_get(STORE_PACKET_MAX);
	len = store_encode(store.packet, STORE_PACKET_MAX,
	                   &(struct store_packet){.kind = STORE_LOAD});
	if (fd_set_blocking(fd, true) || send(fd, store.packet, len, MSG_NOSIGNAL) < 0) {
		LOG_ERRNO("the store cannot be reached");
		return -1;
	}
	if (load(fd) || fd_set_blocking(fd, false))
		return -1;
	return loop_fd_add(loop, &store.source, fd, EPOLLIN, on_store, NULL);
}
