/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The grant transport: rings of ring.c in granted pages, events over a Xen event channel. The peer may
 * be a stock libxenvchan. This file needs no right but to map what it was given and to notify; see
 * grant.h for the half that makes channels.
 *
 * The pages are mapped at the first use, not before: a channel that is handed to another process is
 * mapped there and nowhere else, for the pages of a foreign domain can be mapped once.
 *
 * Trust: the peer. What is only read is mapped without the right to write.
 *
 * Source: doc/protocol/vchan.md, 3.
 */
#include "lib/vchan/grant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/shared.h"

/* Ports taken in one step; ours is one, but a descriptor shows each event of it (H9). */
#define PORTS_MAX 16

/* The kernel asks to come again while a grant is being paged in. */
#define MAP_TRIES 1000

const struct grant_meet_ops *grant_meet_ops;

bool grant_wanted(const char *transport, const char *dir)
{
	if (transport && *transport)
		return strcmp(transport, "grant") == 0;
	/* Neither was another way to meet named. */
	return grant_meet_ops && (!dir || !*dir) && !getenv("VCHAN_BROKER") &&
	       access("/dev/xen/evtchn", F_OK) == 0;
}

int grant_own_domain(int *ret_domain)
{
	if (!grant_meet_ops) {
		errno = EINVAL;
		return -1;
	}
	return grant_meet_ops->own_domain(ret_domain);
}

static void notify_port(int fd, uint32_t port)
{
	struct {
		unsigned int port;
	} arg = {port};

	/* The peer may be gone: its end is seen elsewhere. */
	(void)ioctl(fd, VCHAN_EVENT_NOTIFY, &arg);
}

static void doorbell(void *arg)
{
	struct vchan *vchan = arg;

	if (vchan->sock >= 0)
		notify_port(vchan->sock, vchan->shared.event_port);
}

struct hello {
	int fd;
	uint32_t port;
};

static void hello_doorbell(void *arg)
{
	const struct hello *hello = arg;

	notify_port(hello->fd, hello->port);
}

void grant_hello(void *page, int event_fd, uint32_t event_port)
{
	struct hello hello = {.fd = event_fd, .port = event_port};
	struct ring_pair ring;

	ring_attach(&ring, &(struct ring_setup){.page = page,
	                                        .left_order = RING_ORDER_MIN,
	                                        .right_order = RING_ORDER_MIN + 1,
	                                        .notify = hello_doorbell,
	                                        .notify_arg = &hello});
	ring_hello(&ring);
}

/* One piece of the area; a foreign domain's pages are mapped piece by piece, as they were added. */
static int map_piece(const struct vchan *vchan, size_t offset, size_t len, bool write)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int tries = MAP_TRIES;

	while (mmap(vchan->shared.map + offset, len, write ? PROT_READ | PROT_WRITE : PROT_READ,
	            MAP_SHARED | MAP_FIXED, vchan->shared.memory, (off_t)offset) == MAP_FAILED) {
		if (errno != EAGAIN || tries-- == 0)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int map_ring(const struct vchan *vchan, uint32_t order, size_t offset, bool write)
{
	return order < RING_ORDER_PAGES ? 0 : map_piece(vchan, offset, (size_t)1 << order, write);
}

static int map_area(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;
	size_t left = ring_left_offset(part->left_order);
	size_t right = ring_right_offset(part->left_order, part->right_order);
	bool server = vchan->is_server;
	void *map;

	part->map_len = ring_area(part->left_order, part->right_order);
	map = mmap(NULL, part->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -1;
	part->map = map;
	if (map_piece(vchan, 0, RING_PAGE, true) ||
	    map_ring(vchan, part->left_order, left, !server) ||
	    map_ring(vchan, part->right_order, right, server)) {
		(void)munmap(part->map, part->map_len);
		part->map = NULL;
		return -1;
	}
	ring_attach(&part->ring, &(struct ring_setup){.page = part->map,
	                                              .left = part->map + left,
	                                              .right = part->map + right,
	                                              .left_order = part->left_order,
	                                              .right_order = part->right_order,
	                                              .is_server = server,
	                                              .notify = doorbell,
	                                              .notify_arg = vchan});
	return 0;
}

/* The first use of a channel that is open, or the server's at its start. */
static int map_now(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;

	if (part->memory < 0 || (vchan->state != VCHAN_OPEN && !vchan->is_server)) {
		errno = ENOTCONN;
		return -1;
	}
	if (map_area(vchan)) {
		part->memory = fd_close(part->memory);
		vchan_end(vchan, "the shared pages cannot be mapped");
		return -1;
	}
	/* Whom it was handed to cannot ask for that; who handed it on did. */
	if (grant_meet_ops && !part->notify_on_unmap && grant_meet_ops->watch_end(vchan) == 0)
		part->notify_on_unmap = true;
	return 0;
}

static int start(struct vchan *vchan, const struct vchan_config *config)
{
	vchan->shared.memory = -1;
	if (!grant_meet_ops) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return grant_meet_ops->start(vchan, config);
}

/* Takes the events and lets new ones come; which ports they name does not matter. Whether there were any. */
static bool drain_events(struct vchan *vchan)
{
	uint32_t ports[PORTS_MAX];
	ssize_t n = read(vchan->sock, ports, sizeof(ports));

	if (n > 0) {
		if (write(vchan->sock, ports, (size_t)n) < 0)
			vchan_end(vchan, "the event channel cannot be used");
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		vchan->shared.dead = true;
		vchan_unwatch(vchan);
	}
	return n > 0;
}

static void step(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;
	bool was_waiting = vchan->state == VCHAN_WAITING, rung = false;

	if (part->woken) {
		part->woken = false;
		if (vchan_watch(vchan, EPOLL_CTL_MOD, EPOLLIN))
			vchan_end(vchan, "cannot watch the event channel");
	}
	if (vchan->sock >= 0 && (!was_waiting || vchan->is_server))
		rung = drain_events(vchan);
	if (!was_waiting && !part->map && map_now(vchan))
		return;
	if (part->map)
		shared_take_state(vchan);
	if (part->grant)
		grant_meet_ops->step(vchan, rung);
}

static void refresh(struct vchan *vchan)
{
	if (grant_meet_ops && vchan->state != VCHAN_CLOSED && !grant_meet_ops->alive(vchan))
		vchan->shared.dead = true;
	if (vchan->shared.map)
		shared_take_state(vchan);
	else if (vchan->shared.dead)
		vchan_end(vchan, "the peer's domain is gone");
}

/* An event channel can always be written to, so this makes the descriptor readable once. */
static void poke(struct vchan *vchan)
{
	if (vchan_watch(vchan, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT) == 0)
		vchan->shared.woken = true;
}

static int export(struct vchan *vchan, struct vchan_handle *handle, int fds[VCHAN_FDS_MAX])
{
	struct shared_part *part = &vchan->shared;
	bool used = part->map && (part->ring.tx.own != 0 || part->ring.rx.own != 0);

	/* Ours can be mapped again elsewhere, a foreign domain's cannot. */
	if (part->memory < 0 || used || (part->map && !vchan->is_server)) {
		errno = EBUSY;
		return -1;
	}
	if (!part->notify_on_unmap && (!grant_meet_ops || grant_meet_ops->watch_end(vchan)))
		return -1;
	handle->left_order = part->left_order;
	handle->right_order = part->right_order;
	handle->send_max = part->event_port;
	handle->n_fds = 2;
	fds[0] = vchan->sock;
	fds[1] = part->memory;
	if (part->map)
		(void)munmap(part->map, part->map_len);
	if (part->grant)
		(void)grant_meet_ops->free(part->grant);
	return 0;
}

/* Pages of a device cannot be missing; those of a file can, and end whoever looks at them. */
static bool is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

static int import(struct vchan *vchan, const struct vchan_handle *handle,
                  const int fds[VCHAN_FDS_MAX])
{
	struct shared_part *part = &vchan->shared;

	for (uint32_t i = 2; i < handle->n_fds; i++)
		(void)fd_close(fds[i]);
	part->memory = handle->n_fds > 1 ? fds[1] : -1;
	if (handle->n_fds != 2 || !ring_orders_valid(handle->left_order, handle->right_order) ||
	    !is_device(fds[0]) || !is_device(fds[1])) {
		errno = EINVAL;
		return -1;
	}
	part->left_order = handle->left_order;
	part->right_order = handle->right_order;
	part->event_port = handle->send_max;
	part->notify_on_unmap = true;
	if (map_area(vchan) || vchan_watch(vchan, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT))
		return -1;
	part->memory = fd_close(part->memory);
	part->woken = true;
	part->ring.state = RING_OPEN;
	vchan->state = VCHAN_OPEN;
	return 0;
}

static void detach(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;

	/* A client that never used its channel has told the server that it is there. */
	if (!part->map && vchan->state == VCHAN_OPEN)
		(void)map_now(vchan);
	if (part->map) {
		ring_close(&part->ring);
		(void)munmap(part->map, part->map_len);
	}
	if (part->grant)
		part->grant = grant_meet_ops->free(part->grant);
	(void)fd_close(part->memory);
}

const struct transport_ops transport_grant = {
        .start = start,
        .map = map_now,
        .step = step,
        .refresh = refresh,
        .poke = poke,
        .ring_size = shared_ring_size,
        .readable = shared_readable,
        .writable = shared_writable,
        .read = shared_read,
        .peek = shared_peek,
        .write = shared_write,
        .write_message = shared_write_message,
        .to_fd = shared_to_fd,
        .from_pipe = shared_from_pipe,
        .message_from_fd = shared_message_from_fd,
        .set_patient = shared_set_patient,
        .export = export,
        .import = import,
        .detach = detach,
};
