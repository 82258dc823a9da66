/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/lib/vchan/stock.h"

#include <string.h>

/* Offsets in the control page, 3.1. */
enum { LEFT, RIGHT = 8, CONS = 0, PROD = 4 };
enum { LEFT_ORDER = 16, RIGHT_ORDER = 18, CLI_LIVE = 20, SRV_LIVE, CLI_NOTIFY, SRV_NOTIFY };
enum { NOTIFY_WRITE = 1, NOTIFY_READ = 2 };

#define FULL_BARRIER()  __sync_synchronize()
#define READ_BARRIER()  __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define WRITE_BARRIER() __atomic_thread_fence(__ATOMIC_RELEASE)

static volatile uint32_t *word(const struct stock *s, size_t off)
{
	return (volatile uint32_t *)(void *)(s->page + off);
}

static size_t out(const struct stock *s)
{
	return s->server ? RIGHT : LEFT;
}

static size_t in(const struct stock *s)
{
	return s->server ? LEFT : RIGHT;
}

static uint32_t ring_bytes(const struct stock *s, size_t ring)
{
	return 1U << (ring == LEFT ? s->left_order : s->right_order);
}

void stock_format(uint8_t *page, uint32_t left_order, uint32_t right_order)
{
	page[LEFT_ORDER] = (uint8_t)left_order;
	page[RIGHT_ORDER] = (uint8_t)right_order;
	page[CLI_LIVE] = 2;
	page[SRV_LIVE] = 1;
	page[CLI_NOTIFY] = NOTIFY_WRITE;
}

size_t stock_place(uint32_t left_order, uint32_t right_order, bool left)
{
	uint32_t order = left ? left_order : right_order;

	if (order == 10)
		return 1024;
	if (order == 11)
		return 2048;
	return left || left_order < 12 ? 4096 : 4096 + ((size_t)1 << left_order);
}

void stock_hello(struct stock *s)
{
	s->page[CLI_LIVE] = 1;
	s->page[SRV_NOTIFY] = NOTIFY_WRITE;
	s->requests++;
	FULL_BARRIER();
	s->notify(s->notify_arg);
}

void stock_close(struct stock *s)
{
	s->page[s->server ? SRV_LIVE : CLI_LIVE] = 0;
	FULL_BARRIER();
	s->notify(s->notify_arg);
}

bool stock_peer_is_live(const struct stock *s)
{
	return *(volatile uint8_t *)(s->page + (s->server ? CLI_LIVE : SRV_LIVE)) != 0;
}

/* Step 2: ask the other side. */
static void ask(struct stock *s, uint8_t bit)
{
	uint8_t *theirs = s->page + (s->server ? CLI_NOTIFY : SRV_NOTIFY);

	if (!(__sync_fetch_and_or(theirs, bit) & bit))
		s->requests++;
	FULL_BARRIER();
}

/* Step 5: tell the other side, if it asked. */
static void tell(struct stock *s, uint8_t bit)
{
	uint8_t *ours = s->page + (s->server ? SRV_NOTIFY : CLI_NOTIFY);

	FULL_BARRIER();
	if (__sync_fetch_and_and(ours, (uint8_t)~bit) & bit)
		s->notify(s->notify_arg);
}

static size_t raw_ready(const struct stock *s)
{
	uint32_t ready = *word(s, in(s) + PROD) - *word(s, in(s) + CONS);

	return ready > ring_bytes(s, in(s)) ? 0 : ready;
}

static size_t raw_space(const struct stock *s)
{
	uint32_t size = ring_bytes(s, out(s));
	uint32_t space = size - (*word(s, out(s) + PROD) - *word(s, out(s) + CONS));

	return space > size ? 0 : space;
}

static size_t ready_for(struct stock *s, size_t wanted)
{
	if (raw_ready(s) < wanted)
		ask(s, NOTIFY_WRITE);
	return raw_ready(s);
}

static size_t space_for(struct stock *s, size_t wanted)
{
	if (raw_space(s) < wanted)
		ask(s, NOTIFY_READ);
	return raw_space(s);
}

size_t stock_data_ready(struct stock *s)
{
	return ready_for(s, SIZE_MAX);
}

size_t stock_buffer_space(struct stock *s)
{
	return space_for(s, SIZE_MAX);
}

static void put(struct stock *s, const uint8_t *data, size_t len)
{
	uint8_t *ring = out(s) == LEFT ? s->left : s->right;
	uint32_t size = ring_bytes(s, out(s));
	uint32_t at = *word(s, out(s) + PROD) & (size - 1);
	size_t first = len < size - at ? len : size - at;

	FULL_BARRIER();
	memcpy(ring + at, data, first);
	memcpy(ring, data + first, len - first);
	WRITE_BARRIER();
	*word(s, out(s) + PROD) += (uint32_t)len;
	tell(s, NOTIFY_WRITE);
}

static void get(struct stock *s, uint8_t *data, size_t len)
{
	uint8_t *ring = in(s) == LEFT ? s->left : s->right;
	uint32_t size = ring_bytes(s, in(s));
	uint32_t at = *word(s, in(s) + CONS) & (size - 1);
	size_t first = len < size - at ? len : size - at;

	READ_BARRIER();
	memcpy(data, ring + at, first);
	memcpy(data + first, ring, len - first);
	FULL_BARRIER();
	*word(s, in(s) + CONS) += (uint32_t)len;
	tell(s, NOTIFY_READ);
}

size_t stock_write(struct stock *s, const void *data, size_t len)
{
	size_t space = space_for(s, len);

	if (len > space)
		len = space;
	if (len > 0)
		put(s, data, len);
	return len;
}

size_t stock_read(struct stock *s, void *data, size_t len)
{
	size_t ready = ready_for(s, len);

	if (len > ready)
		len = ready;
	if (len > 0)
		get(s, data, len);
	return len;
}

size_t stock_send(struct stock *s, const void *data, size_t len)
{
	if (space_for(s, len) < len)
		return 0;
	put(s, data, len);
	return len;
}

size_t stock_recv(struct stock *s, void *data, size_t len)
{
	if (ready_for(s, len) < len)
		return 0;
	get(s, data, len);
	return len;
}
