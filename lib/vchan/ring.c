/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/ring.h"

#include <errno.h>
#include <string.h>

#include "lib/base/check.h"

/*
 * Every access to what both sides write is sequentially consistent. That gives each "full barrier"
 * of the protocol: a request for an event and the look at the index that follows it cannot change
 * places, nor can the store of an index and the look at the requests that follows it. On x86 they
 * are locked instructions, which order them against a libxenvchan on the other side as well.
 */

#define RINGS_EACH_MAX ((size_t)1 << RING_ORDER_MAX)

static uint32_t order_for(size_t bytes, uint32_t least)
{
	uint32_t order = least;

	while (((size_t)1 << order) < bytes)
		order++;
	return order;
}

int ring_choose_orders(size_t read_min, size_t write_min, uint32_t *ret_left, uint32_t *ret_right)
{
	if (read_min > RINGS_EACH_MAX || write_min > RINGS_EACH_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (read_min <= 1024 && write_min <= 2048) {
		*ret_left = 10;
		*ret_right = 11;
	} else if (read_min <= 2048 && write_min <= 1024) {
		*ret_left = 11;
		*ret_right = 10;
	} else if (read_min <= 2048) {
		*ret_left = 11;
		*ret_right = order_for(write_min, RING_ORDER_PAGES);
	} else {
		*ret_left = order_for(read_min, RING_ORDER_PAGES);
		*ret_right = write_min <= 2048 ? 11 : order_for(write_min, RING_ORDER_PAGES);
	}
	return 0;
}

static size_t own_pages(uint32_t order)
{
	return order < RING_ORDER_PAGES ? 0 : (size_t)1 << (order - RING_ORDER_PAGES);
}

bool ring_orders_valid(uint32_t left_order, uint32_t right_order)
{
	uint32_t least = MIN(left_order, right_order);
	size_t list_end, list_max;

	if (least < RING_ORDER_MIN || MAX(left_order, right_order) > RING_ORDER_MAX)
		return false;
	if (left_order == right_order && least < RING_ORDER_PAGES)
		return false;
	list_end = offsetof(struct ring_page, grants) +
	           4 * (own_pages(left_order) + own_pages(right_order));
	list_max = least < RING_ORDER_PAGES ? (size_t)1 << least : RING_PAGE;
	return list_end <= list_max;
}

int ring_load_orders(const struct ring_page *page, uint32_t *ret_left, uint32_t *ret_right)
{
	uint32_t left = atomic_load(&page->left_order);
	uint32_t right = atomic_load(&page->right_order);

	if (!ring_orders_valid(left, right)) {
		errno = EPROTO;
		return -1;
	}
	*ret_left = left;
	*ret_right = right;
	return 0;
}

size_t ring_load_grants(const struct ring_page *page, uint32_t left_order, uint32_t right_order,
                        uint32_t ret_grants[RING_GRANTS_MAX])
{
	size_t n = own_pages(left_order) + own_pages(right_order);

	CHECK(n <= RING_GRANTS_MAX);
	for (size_t i = 0; i < n; i++)
		ret_grants[i] = atomic_load(&page->grants[i]);
	return n;
}

/* A ring inside the control page lies at the offset that is its size. */
size_t ring_left_offset(uint32_t left_order)
{
	return left_order < RING_ORDER_PAGES ? (size_t)1 << left_order : RING_PAGE;
}

size_t ring_right_offset(uint32_t left_order, uint32_t right_order)
{
	if (right_order < RING_ORDER_PAGES)
		return (size_t)1 << right_order;
	return RING_PAGE * (1 + own_pages(left_order));
}

size_t ring_area(uint32_t left_order, uint32_t right_order)
{
	return RING_PAGE * (1 + own_pages(left_order) + own_pages(right_order));
}

void ring_format(struct ring_page *page, uint32_t left_order, uint32_t right_order,
                 const uint32_t *grants, size_t n_grants)
{
	CHECK(n_grants <= RING_GRANTS_MAX);
	atomic_store(&page->left_order, (uint16_t)left_order);
	atomic_store(&page->right_order, (uint16_t)right_order);
	for (size_t i = 0; i < n_grants; i++)
		atomic_store(&page->grants[i], grants[i]);
	atomic_store(&page->cli_notify, RING_NOTIFY_WRITE);
	atomic_store(&page->srv_live, RING_LIVE_HERE);
	atomic_store(&page->cli_live, RING_LIVE_AWAITED);
}

void ring_attach(struct ring_pair *ring, const struct ring_setup *setup)
{
	struct ring_page *page = setup->page;
	struct ring_way left = {.data = setup->left, .size = 1U << setup->left_order};
	struct ring_way right = {.data = setup->right, .size = 1U << setup->right_order};

	*ring = (struct ring_pair){
	        .page = page,
	        .notify = setup->notify,
	        .notify_arg = setup->notify_arg,
	        .is_server = setup->is_server,
	        .state = setup->is_server ? RING_WAITING : RING_OPEN,
	};
	left.own_at = setup->is_server ? &page->left_cons : &page->left_prod;
	left.peer_at = setup->is_server ? &page->left_prod : &page->left_cons;
	right.own_at = setup->is_server ? &page->right_prod : &page->right_cons;
	right.peer_at = setup->is_server ? &page->right_cons : &page->right_prod;
	ring->rx = setup->is_server ? left : right;
	ring->tx = setup->is_server ? right : left;
}

static void notify(struct ring_pair *ring)
{
	ring->hello_due = false;
	ring->notify(ring->notify_arg);
}

void ring_hello_later(struct ring_pair *ring)
{
	atomic_store(&ring->page->cli_live, RING_LIVE_HERE);
	atomic_store(&ring->page->srv_notify, RING_NOTIFY_WRITE);
	ring->hello_due = true;
}

void ring_hello(struct ring_pair *ring)
{
	ring_hello_later(ring);
	notify(ring);
}

void ring_close(struct ring_pair *ring)
{
	ring->state = RING_CLOSED;
	atomic_store(ring->is_server ? &ring->page->srv_live : &ring->page->cli_live,
	             RING_LIVE_GONE);
	notify(ring);
}

static void break_off(struct ring_pair *ring, const char *why)
{
	ring->state = RING_CLOSED;
	ring->broken = why;
}

enum ring_state ring_update(struct ring_pair *ring)
{
	uint8_t live;

	if (ring->state == RING_CLOSED)
		return RING_CLOSED;
	live = atomic_load(ring->is_server ? &ring->page->cli_live : &ring->page->srv_live);
	if (live == RING_LIVE_HERE)
		ring->state = RING_OPEN;
	else if (live == RING_LIVE_GONE)
		ring->state = RING_CLOSED;
	else if (live != RING_LIVE_AWAITED || ring->state != RING_WAITING)
		ring->state = RING_CLOSED;
	return ring->state;
}

/* Asks the peer for an event; the bits are addressed to it. */
static void request(struct ring_pair *ring, uint8_t bit)
{
	atomic_fetch_or(ring->is_server ? &ring->page->cli_notify : &ring->page->srv_notify, bit);
	if (ring->hello_due)
		notify(ring);
}

/* Sends the event that the peer asked for. It may set the bit at will: that costs one event. */
static void answer(struct ring_pair *ring, uint8_t bit)
{
	_Atomic uint8_t *asked =
	        ring->is_server ? &ring->page->srv_notify : &ring->page->cli_notify;

	if ((atomic_fetch_and(asked, (uint8_t)~bit) & bit) || ring->hello_due)
		notify(ring);
}

/* Bytes to read. The writer's index may only go forward, and never past what fits (H4, H6). */
static uint32_t look_rx(struct ring_pair *ring)
{
	struct ring_way *rx = &ring->rx;
	uint32_t untrusted_prod = atomic_load(rx->peer_at);
	uint32_t unread = rx->peer - rx->own;

	if (untrusted_prod - rx->peer > rx->size - unread) {
		break_off(ring, "corrupt ring index");
		return 0;
	}
	rx->peer = untrusted_prod;
	return rx->peer - rx->own;
}

/* Room to write. The reader's index may only go forward, and never past what was written. */
static uint32_t look_tx(struct ring_pair *ring)
{
	struct ring_way *tx = &ring->tx;
	uint32_t untrusted_cons = atomic_load(tx->peer_at);
	uint32_t unread = tx->own - tx->peer;

	if (untrusted_cons - tx->peer > unread) {
		break_off(ring, "corrupt ring index");
		return 0;
	}
	tx->peer = untrusted_cons;
	return tx->size - (tx->own - tx->peer);
}

size_t ring_readable(struct ring_pair *ring, size_t wanted)
{
	uint32_t ready;

	if (ring->broken)
		return 0;
	ready = look_rx(ring);
	if (ready < wanted && !ring->broken) {
		request(ring, RING_NOTIFY_WRITE);
		ready = look_rx(ring);
	}
	return ready;
}

size_t ring_writable(struct ring_pair *ring, size_t wanted)
{
	uint32_t room;

	if (ring->state == RING_CLOSED)
		return 0;
	room = look_tx(ring);
	if (room < wanted && !ring->broken) {
		request(ring, RING_NOTIFY_READ);
		room = look_tx(ring);
	}
	return ring->broken ? 0 : room;
}

static void make_spans(const struct ring_way *way, uint32_t len, struct iovec spans[2])
{
	uint32_t at = way->own & (way->size - 1);
	uint32_t first = MIN(len, way->size - at);

	spans[0] = (struct iovec){.iov_base = way->data + at, .iov_len = first};
	spans[1] = (struct iovec){.iov_base = way->data, .iov_len = len - first};
}

/* The live byte is looked at before the index: what was written before the end is not lost (H14). */
ssize_t ring_rx_spans(struct ring_pair *ring, size_t len, struct iovec spans[2])
{
	enum ring_state state = ring_update(ring);
	size_t n = ring_readable(ring, len);

	if (ring->broken || (n == 0 && state == RING_CLOSED)) {
		errno = EPIPE;
		return -1;
	}
	n = MIN(n, len);
	make_spans(&ring->rx, (uint32_t)n, spans);
	return (ssize_t)n;
}

ssize_t ring_tx_spans(struct ring_pair *ring, size_t len, struct iovec spans[2])
{
	size_t n;

	if (ring_update(ring) != RING_CLOSED) {
		n = ring_writable(ring, len);
		n = MIN(n, len);
		if (!ring->broken) {
			make_spans(&ring->tx, (uint32_t)n, spans);
			return (ssize_t)n;
		}
	}
	errno = EPIPE;
	return -1;
}

static void move_on(struct ring_way *way, size_t len)
{
	way->own += (uint32_t)len;
	atomic_store(way->own_at, way->own);
}

void ring_rx_done(struct ring_pair *ring, size_t len)
{
	CHECK(len <= ring->rx.peer - ring->rx.own);
	move_on(&ring->rx, len);
	if (!ring->patient || ring->rx.peer - ring->rx.own <= ring->rx.size / 2)
		answer(ring, RING_NOTIFY_READ);
}

void ring_tx_done(struct ring_pair *ring, size_t len)
{
	CHECK(len <= ring->tx.size - (ring->tx.own - ring->tx.peer));
	move_on(&ring->tx, len);
	answer(ring, RING_NOTIFY_WRITE);
}

/*
 * The one place where ring contents are copied; not inlined, so that the test with a scribbling
 * peer can tell ThreadSanitizer that here, and only here, the other side races by nature.
 */
__attribute__((noinline)) static void ring_copy(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

ssize_t ring_peek(struct ring_pair *ring, void *buf, size_t len)
{
	struct iovec spans[2];
	ssize_t n = ring_rx_spans(ring, len, spans);

	if (n <= 0)
		return n;
	ring_copy(buf, spans[0].iov_base, spans[0].iov_len);
	ring_copy((uint8_t *)buf + spans[0].iov_len, spans[1].iov_base, spans[1].iov_len);
	return n;
}

ssize_t ring_read(struct ring_pair *ring, void *buf, size_t len)
{
	ssize_t n = ring_peek(ring, buf, len);

	if (n > 0)
		ring_rx_done(ring, (size_t)n);
	return n;
}

void ring_put(struct iovec spans[2], const void *data, size_t len)
{
	for (int i = 0; i < 2 && len > 0; i++) {
		size_t n = MIN(len, spans[i].iov_len);

		ring_copy(spans[i].iov_base, data, n);
		spans[i].iov_base = (uint8_t *)spans[i].iov_base + n;
		spans[i].iov_len -= n;
		data = (const uint8_t *)data + n;
		len -= n;
	}
}

ssize_t ring_write(struct ring_pair *ring, const void *buf, size_t len)
{
	struct iovec spans[2];
	ssize_t n = ring_tx_spans(ring, len, spans);

	if (n <= 0)
		return n;
	ring_put(spans, buf, (size_t)n);
	ring_tx_done(ring, (size_t)n);
	return n;
}

int ring_write_whole(struct ring_pair *ring, const struct iovec parts[2])
{
	size_t len = parts[0].iov_len + parts[1].iov_len;
	struct iovec spans[2];
	ssize_t n;

	if (len > ring->tx.size) {
		errno = EMSGSIZE;
		return -1;
	}
	n = ring_tx_spans(ring, len, spans);
	if (n < 0)
		return -1;
	if ((size_t)n < len)
		return 1;
	ring_put(spans, parts[0].iov_base, parts[0].iov_len);
	ring_put(spans, parts[1].iov_base, parts[1].iov_len);
	ring_tx_done(ring, len);
	return 0;
}
