/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memfd transport: the rings of ring.c in one sealed memfd, which the server makes and hands
 * to its client over the rendezvous socket. The socket then stays open: one byte over it is one
 * event, and its end is the peer's death.
 *
 * Why events are bytes on a socket and not an eventfd: the file description of a descriptor that
 * was passed is common to both sides, O_NONBLOCK is a flag of the description, and a write to an
 * eventfd whose counter the peer has filled up waits. So a peer could make us block for ever at a
 * moment of its choice. A socket takes MSG_DONTWAIT for each call, its two ends have nothing in
 * common, and no descriptor more is needed. An event that finds the socket full is dropped: the
 * peer has hundreds unread and will look at the rings.
 *
 * Trust: the peer. A client checks seals and size before it maps, so that no access can fault; it
 * and the server map what they only read without the right to write.
 *
 * Source: doc/protocol/vchan.md, 3.1 to 3.7.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vchan/area.h"
#include "lib/vchan/shared.h"

#define EVENTS (EPOLLIN | EPOLLRDHUP)

/* The server's only message: magic[8] | left_order u32 | right_order u32, with the memfd. */
#define HELLO_LEN 16
static const char hello_magic[8] = "skvchan1";

/*
 * A ring is at least as large as asked for. One for bulk is made larger: with 64 KiB, pieces of
 * 64 KiB leave the two sides asleep in turn. Measured by bench/vchan_ring.c with 2 CPUs and other
 * work on them, against the bare ring of the same size: 64 KiB 0.4 to 0.7 of it (4 to 7 GB/s),
 * 256 KiB no better ratio, 512 KiB 0.7 to 1 (15 to 22 GB/s), 1 MiB the same. Pages that no byte has
 * passed cost nothing. Two things that were measured and are not done: to publish a large piece in
 * parts wakes the peer more often (8 KiB: half as fast), and to look again for some microseconds
 * before sleeping is slower as soon as there is other work for the CPUs.
 */
#define BULK_FROM 65536U
#define BULK_RING (512U << 10)

/* Events taken in one step at most: 16 × 256 bytes; what is left wakes us again (H9). */
#define DRAIN_BYTES 256
#define DRAIN_TIMES 16

static void doorbell(void *arg)
{
	struct vchan *vchan = arg;

	if (vchan->sock >= 0)
		(void)send(vchan->sock, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int map_area(struct vchan *vchan, int memfd, uint32_t left_order, uint32_t right_order)
{
	struct shared_part *part = &vchan->shared;
	uint32_t rx_order = vchan->is_server ? left_order : right_order;
	size_t left = ring_left_offset(left_order);
	size_t right = ring_right_offset(left_order, right_order);
	size_t rx = vchan->is_server ? left : right;
	size_t len = ring_area(left_order, right_order);
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

	if (map == MAP_FAILED)
		return -1;
	part->map = map;
	part->map_len = len;
	if (rx_order >= RING_ORDER_PAGES &&
	    mmap(part->map + rx, (size_t)1 << rx_order, PROT_READ, MAP_SHARED | MAP_FIXED, memfd,
	         (off_t)rx) == MAP_FAILED) {
		(void)munmap(part->map, len);
		part->map = NULL;
		return -1;
	}
	ring_attach(&part->ring, &(struct ring_setup){.page = part->map,
	                                              .left = part->map + left,
	                                              .right = part->map + right,
	                                              .left_order = left_order,
	                                              .right_order = right_order,
	                                              .is_server = vchan->is_server,
	                                              .notify = doorbell,
	                                              .notify_arg = vchan});
	return 0;
}

static size_t ring_for(size_t least)
{
	return least >= BULK_FROM ? MAX(least, (size_t)BULK_RING) : least;
}

static int prepare(struct vchan *vchan, const struct vchan_config *config)
{
	uint32_t left_order, right_order;

	vchan->shared.memory = -1;
	if (!vchan->is_server)
		return 0;
	if (ring_choose_orders(ring_for(config->read_min), ring_for(config->write_min), &left_order,
	                       &right_order))
		return -1;
	vchan->shared.memory = area_make(ring_area(left_order, right_order));
	if (vchan->shared.memory < 0 ||
	    map_area(vchan, vchan->shared.memory, left_order, right_order))
		return -1;
	ring_format(vchan->shared.ring.page, left_order, right_order, NULL, 0);
	vchan->shared.left_order = left_order;
	vchan->shared.right_order = right_order;
	return 0;
}

static int send_hello(struct vchan *vchan)
{
	uint8_t hello[HELLO_LEN];

	memcpy(hello, hello_magic, sizeof(hello_magic));
	le32_put(hello + 8, vchan->shared.left_order);
	le32_put(hello + 12, vchan->shared.right_order);
	return fd_send_message(vchan->sock, hello, sizeof(hello), &vchan->shared.memory, 1) ==
	                       sizeof(hello)
	               ? 0
	               : -1;
}

static int attach(struct vchan *vchan, bool at_once)
{
	if (vchan->is_server && send_hello(vchan))
		return -1;
	return vchan_watch(vchan, EPOLL_CTL_ADD, EVENTS);
}

static int take_memfd(struct vchan *vchan, const uint8_t hello[HELLO_LEN], int untrusted_memfd)
{
	uint32_t left_order = le32_get(hello + 8);
	uint32_t right_order = le32_get(hello + 12);

	if (memcmp(hello, hello_magic, sizeof(hello_magic)) != 0 ||
	    !ring_orders_valid(left_order, right_order)) {
		errno = EPROTO;
		return -1;
	}
	if (area_check(untrusted_memfd, ring_area(left_order, right_order)) ||
	    map_area(vchan, untrusted_memfd, left_order, right_order))
		return -1;
	vchan->shared.left_order = left_order;
	vchan->shared.right_order = right_order;
	return 0;
}

static void receive_hello(struct vchan *vchan)
{
	uint8_t hello[HELLO_LEN];
	int fds[FD_PASS_MAX];
	size_t n_fds;
	ssize_t r = fd_recv_message(vchan->sock, hello, sizeof(hello), fds, &n_fds);

	if (r < 0 && errno == EAGAIN)
		return;
	if (r == HELLO_LEN && n_fds == 1 && take_memfd(vchan, hello, fds[0]) == 0) {
		vchan->shared.memory = fds[0];
		vchan->state = VCHAN_OPEN;
		if (vchan->speaks)
			ring_hello_later(&vchan->shared.ring);
		else
			ring_hello(&vchan->shared.ring);
		return;
	}
	while (r >= 0 && n_fds > 0)
		(void)fd_close(fds[--n_fds]);
	vchan_end(vchan, r == 0 ? "peer closed" : "malformed handshake");
	vchan_unwatch(vchan);
}

static void drain_doorbell(struct vchan *vchan)
{
	uint8_t events[DRAIN_BYTES];
	ssize_t r = sizeof(events);

	for (int i = 0; i < DRAIN_TIMES && r == (ssize_t)sizeof(events); i++)
		r = recv(vchan->sock, events, sizeof(events), MSG_DONTWAIT);
	if (r > 0 || (r < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	vchan->shared.dead = true;
	vchan_unwatch(vchan);
}

static void step(struct vchan *vchan)
{
	if (!vchan->shared.map) {
		if (vchan->state == VCHAN_WAITING)
			receive_hello(vchan);
		return;
	}
	if (vchan->shared.woken) {
		vchan->shared.woken = false;
		if (vchan_watch(vchan, EPOLL_CTL_MOD, EVENTS))
			vchan_end(vchan, "cannot watch the connection");
	}
	drain_doorbell(vchan);
	shared_take_state(vchan);
}

static void refresh(struct vchan *vchan)
{
	struct pollfd look = {.fd = vchan->sock, .events = POLLRDHUP};

	if (!vchan->shared.map)
		return;
	if (!vchan->shared.dead && poll(&look, 1, 0) > 0)
		vchan->shared.dead = true;
	shared_take_state(vchan);
}

/* The client's first event is still to come, and stays until it is taken. */
static void poke(struct vchan *vchan)
{
}

static int export(struct vchan *vchan, struct vchan_handle *handle, int fds[VCHAN_FDS_MAX])
{
	struct shared_part *part = &vchan->shared;

	if (part->memory < 0 || part->ring.tx.own != 0 || part->ring.rx.own != 0) {
		errno = EBUSY;
		return -1;
	}
	handle->left_order = part->left_order;
	handle->right_order = part->right_order;
	handle->n_fds = 2;
	fds[0] = vchan->sock;
	fds[1] = part->memory;
	(void)munmap(part->map, part->map_len);
	return 0;
}

static int import(struct vchan *vchan, const struct vchan_handle *handle,
                  const int fds[VCHAN_FDS_MAX])
{
	for (uint32_t i = 2; i < handle->n_fds; i++)
		(void)fd_close(fds[i]);
	vchan->shared.memory = handle->n_fds > 1 ? fds[1] : -1;
	if (handle->n_fds != 2 || !ring_orders_valid(handle->left_order, handle->right_order)) {
		errno = EINVAL;
		return -1;
	}
	if (area_check(fds[1], ring_area(handle->left_order, handle->right_order)) ||
	    map_area(vchan, fds[1], handle->left_order, handle->right_order) ||
	    vchan_watch(vchan, EPOLL_CTL_ADD, EVENTS | EPOLLOUT))
		return -1;
	/* The exporter may have taken the event of bytes that are there already. */
	vchan->shared.woken = true;
	vchan->shared.left_order = handle->left_order;
	vchan->shared.right_order = handle->right_order;
	vchan->shared.ring.state = RING_OPEN;
	vchan->state = VCHAN_OPEN;
	return 0;
}

static void detach(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;

	if (part->map) {
		ring_close(&part->ring);
		(void)munmap(part->map, part->map_len);
	}
	(void)fd_close(part->memory);
}

const struct transport_ops transport_memfd = {
        .suffix = ".memfd",
        .prepare = prepare,
        .attach = attach,
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
