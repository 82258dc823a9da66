/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting the slice, and the packets to and from it. The slice is held for hostile: a packet that is
 * not legal ends it. What it does not take waits here, bounded: commands are refused at
 * LIMIT_OUTPUT_QUEUE, and no more requests are read while half of that waits, so refusals are bounded
 * by the requests that were read before.
 */
#include "slices/qrexec/slice_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "lib/trace/trace.h"
#include "slices/qrexec/request.h"
#include "slices/qrexec/starts.h"

#define SLICE_PACKETS_MAX 32 /* packets taken a turn; chosen */

static void on_slice(void *arg, uint32_t events);

/* Does what the slice waits for fit what we may hold? */
static bool may_read(const struct keeper *k)
{
	return k->slice.waiting < LIMIT_OUTPUT_QUEUE / 2;
}

static void watch(struct keeper *k)
{
	uint32_t events = may_read(k) ? EPOLLIN : 0;

	if (k->slice.first)
		events |= EPOLLOUT;
	loop_fd_set(k->loop, &k->slice.source, events);
}

static void drop_packets(struct slice_link *s)
{
	while (s->first) {
		struct slice_packet *packet = s->first;

		s->first = packet->next;
		free(packet);
	}
	s->last = &s->first;
	s->waiting = 0;
}

/* Sending. */

static int queue_packet(struct keeper *k, const void *data, size_t len)
{
	struct slice_packet *packet = malloc(sizeof(*packet) + len);

	if (!packet)
		return -1;
	packet->next = NULL;
	packet->len = len;
	memcpy(packet->data, data, len);
	*k->slice.last = packet;
	k->slice.last = &packet->next;
	k->slice.waiting += len + sizeof(*packet);
	watch(k);
	return 0;
}

static ssize_t send_packet(struct keeper *k, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(k->slice.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* A slice that is gone is noticed when its end is read; until then packets for it are dropped. */
static int send_or_queue(struct keeper *k, const void *data, size_t len)
{
	if (k->slice.fd < 0)
		return -1;
	if (!k->slice.first && send_packet(k, data, len) >= 0)
		return 0;
	if (!k->slice.first && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		return -1;
	return queue_packet(k, data, len);
}

static void flush_packets(struct keeper *k)
{
	struct slice_link *s = &k->slice;

	while (s->first) {
		struct slice_packet *packet = s->first;

		if (send_packet(k, packet->data, packet->len) < 0 &&
		    (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
			break;
		s->first = packet->next;
		if (!s->first)
			s->last = &s->first;
		s->waiting -= packet->len + sizeof(*packet);
		free(packet);
	}
	watch(k);
}

int slice_link_command(struct keeper *k, const struct keeper_command *command)
{
	static uint8_t packet[KEEPER_PACKET_MAX];
	ssize_t len;

	if (k->slice.waiting >= LIMIT_OUTPUT_QUEUE) {
		LOG_QUBE(&k->log_limit, "the agent does not read: command refused");
		return -1;
	}
	len = keeper_encode_command(packet, sizeof(packet), command);
	if (len < 0)
		return -1;
	trace_point(command->call, TRACE_EXEC_SENT, command->port, NULL);
	return send_or_queue(k, packet, (size_t)len);
}

void slice_link_refuse(struct keeper *k, const uint8_t ident[QREXEC_IDENT_LEN], uint64_t call)
{
	struct keeper_refuse refusal = {.call = call};
	uint8_t packet[KEEPER_REFUSE_LEN];
	ssize_t len;

	memcpy(refusal.ident, ident, sizeof(refusal.ident));
	len = keeper_encode_refuse(packet, sizeof(packet), &refusal);
	if (len < 0 || k->slice.fd < 0)
		return;
	if (send_or_queue(k, packet, (size_t)len))
		LOG_ERRNO("a refusal could not be sent");
}

/* Receiving. */

/* Returns whether the packet was legal. */
static bool take_packet(struct keeper *k, const uint8_t *untrusted_packet, size_t len)
{
	struct keeper_request request;
	struct keeper_terminated terminated;
	uint32_t version = 0;

	switch (keeper_kind(untrusted_packet, len)) {
	case KEEPER_OPEN:
		if (k->state != KEEPER_GREETING ||
		    keeper_decode_open(untrusted_packet, len, &version))
			return false;
		keeper_opened(k);
		return true;
	case KEEPER_REQUEST:
		if (k->state != KEEPER_RUNNING ||
		    keeper_decode_request(untrusted_packet, len, &request))
			return false;
		request_new(k, &request);
		return true;
	case KEEPER_TERMINATED:
		if (k->state != KEEPER_RUNNING ||
		    keeper_decode_terminated(untrusted_packet, len, &terminated))
			return false;
		keeper_terminated(k, &terminated);
		return true;
	case KEEPER_END:
		if (keeper_decode_end(untrusted_packet, len, &k->slice.end))
			return false;
		k->slice.ended = true;
		return true;
	default:
		return false;
	}
}

static void kill_process(struct keeper *k)
{
	/* Not a process of ours any more once it was reaped: then pid is -1. */
	if (k->slice.child.pid > 0)
		(void)kill(k->slice.child.pid, SIGKILL);
}

static void read_packets(struct keeper *k)
{
	static uint8_t packet[KEEPER_PACKET_MAX + 1];

	for (int i = 0; i < SLICE_PACKETS_MAX && k->slice.fd >= 0 && may_read(k); i++) {
		ssize_t n = recv(k->slice.fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			keeper_slice_gone(k);
			return;
		}
		if (!take_packet(k, packet, (size_t)n)) {
			LOG("the slice sent an illegal packet of %zd bytes: killed", n);
			kill_process(k);
			keeper_slice_gone(k);
			return;
		}
	}
}

static void on_slice(void *arg, uint32_t events)
{
	struct keeper *k = arg;

	if (events & EPOLLOUT)
		flush_packets(k);
	/* With a hang-up, what the slice said before is read to the end. */
	if (k->slice.fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_packets(k);
	if (k->slice.fd >= 0)
		watch(k);
}

/* Starting. */

static void on_slice_exit(void *arg, int wait_status)
{
	(void)arg;
	if (WIFSIGNALED(wait_status))
		LOG("the slice was killed by signal %d", WTERMSIG(wait_status));
}

static int send_start(struct keeper *k, int sock, const struct vchan_handle *handle, int *fds)
{
	struct keeper_start start = {
	        .domain = (uint32_t)k->options->xid,
	        .transport = handle->transport,
	        .is_server = handle->is_server,
	        .left_order = handle->left_order,
	        .right_order = handle->right_order,
	        .send_max = handle->send_max,
	        .n_fds = handle->n_fds,
	        .has_trace = trace_fd() >= 0,
	};
	uint8_t packet[KEEPER_START_LEN];
	ssize_t len = keeper_encode_start(packet, sizeof(packet), &start);
	size_t n = handle->n_fds;
	int all[VCHAN_FDS_MAX + 1];
	ssize_t r;

	memcpy(all, fds, n * sizeof(int));
	if (start.has_trace)
		all[n++] = trace_fd();
	r = len < 0 ? -1 : fd_send_message(sock, packet, (size_t)len, all, n);
	for (size_t i = 0; i < handle->n_fds; i++)
		(void)fd_close(fds[i]);
	return r < 0 ? -1 : 0;
}

/* The slice before, if it has not ended by itself: it has no duty left. */
static void end_process(struct keeper *k)
{
	pid_t pid = k->slice.child.pid;

	if (pid <= 0)
		return;
	kill_process(k);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	loop_child_remove(k->loop, &k->slice.child);
}

/* Starts the process and its watch; the pair's end for the keeper, or -1. */
static int start_process(struct keeper *k)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = starts_slice(k, pair[1]);
	(void)fd_close(pair[1]);
	end_process(k);
	if (pid < 0 || loop_child_add(k->loop, &k->slice.child, pid, on_slice_exit, k))
		return fd_close(pair[0]);
	return pair[0];
}

int slice_link_start(struct keeper *k, struct vchan *vchan)
{
	struct slice_link *s = &k->slice;
	OWNED_FD int sock = start_process(k);
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];

	if (sock < 0 || vchan_export(vchan, &handle, fds)) {
		LOG_ERRNO("starting the slice");
		(void)vchan_close(vchan);
		return -1;
	}
	if (send_start(k, sock, &handle, fds) || fd_set_blocking(sock, false) ||
	    loop_fd_add(k->loop, &s->source, sock, EPOLLIN, on_slice, k)) {
		LOG_ERRNO("starting the slice");
		return -1;
	}
	s->fd = fd_take(&sock);
	s->ended = false;
	s->last = &s->first;
	return 0;
}

void slice_link_stop(struct keeper *k)
{
	struct slice_link *s = &k->slice;

	if (s->fd < 0)
		return;
	loop_fd_remove(k->loop, &s->source);
	s->fd = fd_close(s->fd);
	drop_packets(s);
}
