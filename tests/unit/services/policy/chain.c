/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a record of the decision log could be changed, removed or added without a trace. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/chain.h"

#define LINES    8
#define LINE_MAX 256

/* A log of two runs: starts are lines 0 and 5. Lines are kept without their newline. */
struct log {
	char line[LINES][LINE_MAX];
	size_t len[LINES];
	struct chain end;
};

static void add(struct log *log, size_t i, const char *body)
{
	ssize_t n = chain_line(&log->end, log->line[i], LINE_MAX, body);

	assert_true(n > 1);
	assert_int_equal(log->line[i][n - 1], '\n');
	log->len[i] = (size_t)n - 1;
}

static void add_start(struct log *log, size_t i)
{
	char hex[CHAIN_HEX_LEN + 1], body[LINE_MAX];

	chain_hex(&log->end, hex);
	(void)snprintf(body, sizeof(body), "2026-01-01T00:00:00.0Z start prev=%s", hex);
	add(log, i, body);
}

static void make(struct log *log)
{
	char body[LINE_MAX];
	size_t i;

	memset(log, 0, sizeof(*log));
	for (i = 0; i < LINES; i++) {
		(void)snprintf(body, sizeof(body), "T%zu allow source=work target=q%zu", i, i);
		if (i == 0 || i == 5)
			add_start(log, i);
		else
			add(log, i, body);
	}
}

/* The first of these lines that is not right; n: none. */
static size_t first_bad(const struct log *log, const size_t *order, size_t n)
{
	struct chain chain = {0};
	size_t i;

	for (i = 0; i < n; i++) {
		struct chain before = chain;
		enum chain_verdict v = chain_check(&chain, log->line[order[i]], log->len[order[i]]);

		if (v == CHAIN_FITS || v == CHAIN_START) {
			assert_int_equal(v == CHAIN_START, order[i] == 0 || order[i] == 5);
			continue;
		}
		/* What is not right moves nothing. */
		assert_memory_equal(&chain, &before, sizeof(chain));
		return i;
	}
	return n;
}

static const size_t in_order[LINES] = {0, 1, 2, 3, 4, 5, 6, 7};

static void whole(void **state UNUSED)
{
	struct log log;

	make(&log);
	assert_int_equal(first_bad(&log, in_order, LINES), LINES);
	assert_int_equal(log.end.sequence, LINES);
}

/* Each bit of each byte of each line. */
static void changed(void **state UNUSED)
{
	struct log log;
	size_t i, at;
	int bit;

	make(&log);
	for (i = 0; i < LINES; i++)
		for (at = 0; at < log.len[i]; at++)
			for (bit = 0; bit < 8; bit++) {
				log.line[i][at] = (char)(log.line[i][at] ^ (1 << bit));
				assert_int_equal(first_bad(&log, in_order, LINES), i);
				log.line[i][at] = (char)(log.line[i][at] ^ (1 << bit));
			}
}

static void removed_and_doubled(void **state UNUSED)
{
	struct log log;
	size_t i, k;

	make(&log);
	for (i = 0; i < LINES - 1; i++) {
		size_t less[LINES - 1], more[LINES + 1];

		for (k = 0; k < LINES - 1; k++)
			less[k] = k < i ? k : k + 1;
		for (k = 0; k < LINES + 1; k++)
			more[k] = k <= i ? k : k - 1;
		assert_int_equal(first_bad(&log, less, LINES - 1), i);
		assert_int_equal(first_bad(&log, more, LINES + 1), i + 1);
	}
}

static void swapped(void **state UNUSED)
{
	struct log log;
	size_t a, b;

	make(&log);
	for (a = 0; a < LINES; a++)
		for (b = a + 1; b < LINES; b++) {
			size_t order[LINES];

			memcpy(order, in_order, sizeof(order));
			order[a] = b;
			order[b] = a;
			/* A later start in front may be that of a log whose older files are gone. */
			assert_int_equal(first_bad(&log, order, LINES), a == 0 && b == 5 ? 1 : a);
		}
}

/* The end may be missing without a trace in the lines: then the head is another one. */
static void cut_short(void **state UNUSED)
{
	struct chain chain = {0};
	struct log log;
	size_t i;

	make(&log);
	for (i = 0; i < LINES; i++) {
		assert_true(i == 0 || memcmp(chain.hash, log.end.hash, CHAIN_HASH_LEN) != 0);
		assert_in_range(chain_check(&chain, log.line[i], log.len[i]), CHAIN_FITS,
		                CHAIN_START);
	}
	assert_memory_equal(&chain, &log.end, sizeof(chain));
	/* A line without its end, of any length, does not fit. */
	for (i = 0; i < log.len[3]; i++) {
		size_t full = log.len[3];

		log.len[3] = i;
		assert_int_equal(first_bad(&log, in_order, LINES), 3);
		log.len[3] = full;
	}
}

/* One who knows the form writes a line of his own, in the place of one or between two. */
static void forged(void **state UNUSED)
{
	struct log log, other;
	struct chain chain;

	make(&log);
	make(&other);
	memset(&chain, 0, sizeof(chain));
	assert_int_equal(chain_check(&chain, log.line[0], log.len[0]), CHAIN_START);
	assert_int_equal(chain_check(&chain, log.line[1], log.len[1]), CHAIN_FITS);
	other.end = chain;
	add(&other, 2, "T2 deny source=work target=q2");
	memcpy(log.line[2], other.line[2], LINE_MAX);
	log.len[2] = other.len[2];
	assert_int_equal(first_bad(&log, in_order, LINES), 3);
	/* A start of his own cuts nothing off. */
	add_start(&other, 2);
	memcpy(log.line[2], other.line[2], LINE_MAX);
	log.len[2] = other.len[2];
	assert_int_equal(first_bad(&log, in_order, LINES), 2);
}

/* A log whose oldest files are gone begins with the start of a later one. */
static void rotated(void **state UNUSED)
{
	const size_t later[] = {5, 6, 7}, wrong[] = {6, 7};
	struct log log;

	make(&log);
	assert_int_equal(first_bad(&log, later, 3), 3);
	assert_int_equal(first_bad(&log, wrong, 2), 0);
}

static void bounds(void **state UNUSED)
{
	struct chain chain = {.sequence = 41}, before = chain;
	char line[LINE_MAX];
	size_t max, need = CHAIN_HEX_LEN + sizeof(" 42 T allow\n");

	for (max = 0; max < need; max++) {
		assert_int_equal(chain_line(&chain, line, max, "T allow"), -1);
		assert_memory_equal(&chain, &before, sizeof(chain));
	}
	assert_int_equal(chain_line(&chain, line, need, "T allow"), (ssize_t)need - 1);
	assert_int_equal(chain.sequence, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whole),     cmocka_unit_test(changed),
	        cmocka_unit_test(swapped),   cmocka_unit_test(removed_and_doubled),
	        cmocka_unit_test(cut_short), cmocka_unit_test(forged),
	        cmocka_unit_test(rotated),   cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
