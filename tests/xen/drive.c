/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/xen/drive.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/xen/tap.h"

#define RING           65536U
#define BULK_BYTES     (4U << 20)
#define ROUNDS_MAX     2000U
#define ROUNDS_SECONDS 0.7
#define ROUNDS_OF_ALL  2U
#define ROUNDS_OF_LONG 12U
#define BULK_SECONDS   0.7

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int talk_ask(struct pipe_end *end, enum talk_what what, uint32_t argument)
{
	const uint32_t request[2] = {what, argument};

	return pipe_write(end, request, sizeof(request));
}

int talk_answer(struct pipe_end *end, uint32_t *ret_answer)
{
	return pipe_read(end, ret_answer, sizeof(*ret_answer));
}

/* In pieces that both rings hold: the other side copies as it reads. */
bool drive_echo(struct pipe_end *end, uint32_t len)
{
	static uint8_t out[1024], in[1024];

	if (talk_ask(end, TALK_ECHO, len))
		return false;
	for (uint32_t at = 0; at < len; at += (uint32_t)sizeof(out)) {
		uint32_t n = MIN(len - at, (uint32_t)sizeof(out));

		for (uint32_t i = 0; i < n; i++)
			out[i] = talk_byte(at + i + len);
		if (pipe_write(end, out, n))
			return false;
	}
	for (uint32_t at = 0; at < len; at += (uint32_t)sizeof(in)) {
		uint32_t n = MIN(len - at, (uint32_t)sizeof(in));

		if (pipe_read(end, in, n))
			return false;
		for (uint32_t i = 0; i < n; i++)
			if (in[i] != talk_byte(at + i + len))
				return false;
	}
	return true;
}

static bool source(struct pipe_end *end, uint32_t len)
{
	static uint8_t piece[TALK_PIECE];

	if (talk_ask(end, TALK_SOURCE, len))
		return false;
	for (uint32_t at = 0; at < len;) {
		uint32_t n = MIN(len - at, TALK_PIECE);

		if (pipe_read(end, piece, n))
			return false;
		for (uint32_t i = 0; i < n; i += 509)
			if (piece[i] != talk_byte(i))
				return false;
		at += n;
	}
	return true;
}

static bool sink(struct pipe_end *end, uint32_t len)
{
	static uint8_t piece[TALK_PIECE];
	uint32_t sum = 0, answer;

	if (talk_ask(end, TALK_SINK, len))
		return false;
	for (uint32_t at = 0; at < len;) {
		uint32_t n = MIN(len - at, TALK_PIECE);

		for (uint32_t i = 0; at == 0 && i < n; i++)
			piece[i] = talk_byte(i);
		for (uint32_t i = 0; i < n; i += 61)
			sum = sum * 31 + piece[i];
		if (pipe_write(end, piece, n))
			return false;
		at += n;
	}
	return pipe_read(end, &answer, sizeof(answer)) == 0 && answer == sum;
}

static bool all_sizes(struct pipe_end *end)
{
	static const uint32_t sizes[] = {1, 3, 4, 1023, 1024, 1025, 4096, 30001};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (!drive_echo(end, sizes[i]))
			return false;
	return source(end, 1 << 20) && sink(end, 1 << 20) && source(end, 777777);
}

void drive_pairs(int domid, const char *kind)
{
	static const struct {
		int port;
		enum pipe_library library;
		enum pipe_role role;
		const char *what;
	} rows[] = {
	        {TALK_STOCK_LISTENS, PIPE_OURS, PIPE_CONNECT, "ours connects to a stock server"},
	        {TALK_OURS_LISTENS, PIPE_STOCK, PIPE_CONNECT,
	         "a stock client connects to our server"},
	        {TALK_STOCK_CONNECTS, PIPE_OURS, PIPE_LISTEN, "our server takes a stock client"},
	        {TALK_OURS_CONNECTS, PIPE_STOCK, PIPE_LISTEN, "a stock server takes our client"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pipe_end end;
		bool good = pipe_open(&end, rows[i].library, rows[i].role, 0, domid, rows[i].port,
		                      RING) == 0;

		good = good && all_sizes(&end) && talk_ask(&end, TALK_END, 0) == 0;
		pipe_close(&end);
		(void)tap_result(good, "%s: %s, and all bytes come through both ways", kind,
		                 rows[i].what);
	}
}

struct figures {
	double round_ms, in_mb, out_mb;
};

/* Each for some time and not for some bytes: a machine without hardware help may be a hundred times slower. */
static bool measure(struct pipe_end *end, struct figures *f)
{
	double t = now();
	uint32_t n = 0, rounds = 0;

	for (; rounds < ROUNDS_MAX && now() - t < ROUNDS_SECONDS; rounds++)
		if (!drive_echo(end, 4))
			return false;
	f->round_ms = (now() - t) * 1000 / rounds;
	for (t = now(); now() - t < BULK_SECONDS; n++)
		if (!source(end, BULK_BYTES))
			return false;
	f->in_mb = n * (BULK_BYTES / 1e6) / (now() - t);
	for (t = now(), n = 0; now() - t < BULK_SECONDS; n++)
		if (!sink(end, BULK_BYTES))
			return false;
	f->out_mb = n * (BULK_BYTES / 1e6) / (now() - t);
	return true;
}

static void bench(int domid, const char *kind, size_t rounds_of_all)
{
	static const struct {
		enum pipe_library library;
		int port;
		const char *name;
	} rows[] = {{PIPE_STOCK, TALK_STOCK_BENCH, "stock, blocking"},
	            {PIPE_POLLED, TALK_POLLED_BENCH, "stock, polled"},
	            {PIPE_OURS, TALK_OURS_BENCH, "ours"}};
	struct pipe_end ends[ARRAY_LEN(rows)] = {0};
	struct figures best[ARRAY_LEN(rows)] = {0};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		good = good && pipe_open(&ends[i], rows[i].library, PIPE_CONNECT, 0, domid,
		                         rows[i].port, RING) == 0;
	/* In turn, and the best of each: other work on the machine hits all. */
	for (size_t n = 0; good && n < rounds_of_all * ARRAY_LEN(rows); n++) {
		struct figures f = {0}, *b = &best[n % ARRAY_LEN(rows)];

		good = measure(&ends[n % ARRAY_LEN(rows)], &f);
		b->round_ms = b->round_ms > 0 ? MIN(f.round_ms, b->round_ms) : f.round_ms;
		b->in_mb = MAX(f.in_mb, b->in_mb);
		b->out_mb = MAX(f.out_mb, b->out_mb);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		good = good && talk_ask(&ends[i], TALK_END, 0) == 0;
		pipe_close(&ends[i]);
		tap_note("bench %s %s: round trip %.3f ms, from the qube %.1f MB/s, to the qube "
		         "%.1f MB/s",
		         kind, rows[i].name, best[i].round_ms, best[i].in_mb, best[i].out_mb);
	}
	(void)tap_result(good, "%s: all of them carry bulk both ways", kind);
}

void drive_bench(int domid, const char *kind)
{
	bench(domid, kind, ROUNDS_OF_ALL);
}

void drive_bench_long(int domid, const char *kind)
{
	bench(domid, kind, ROUNDS_OF_LONG);
}
