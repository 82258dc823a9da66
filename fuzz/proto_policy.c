/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every form of a question and an answer: no crash, and decode, encode, decode gives the same. */
#include <string.h>

#include "lib/base/check.h"
#include "proto/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char text[POLICY_LINE_MAX * 4], encoded[POLICY_LINE_MAX * 4];
static struct policy_answer first, second;

static void check_same(const struct policy_question *a, const struct policy_question *b)
{
	CHECK(a->flags == b->flags && a->id == b->id && a->call == b->call);
	CHECK(strcmp(a->source, b->source) == 0 && strcmp(a->target, b->target) == 0);
	CHECK(strcmp(a->service, b->service) == 0);
	CHECK(strcmp(a->requested_source, b->requested_source) == 0);
}

static void fuzz_question_text(const uint8_t *data, size_t size)
{
	static char copy[sizeof(encoded)];
	struct policy_question a, b;
	size_t end;
	ssize_t n;

	if (size >= POLICY_LINE_MAX)
		return;
	memcpy(text, data, size);
	end = policy_question_text_end(text, size, 0);
	CHECK(end <= size);
	if (policy_decode_question_text(text, size, &a))
		return;
	n = policy_encode_question_text(encoded, sizeof(encoded), &a);
	CHECK(n > 0 && policy_question_text_end(encoded, (size_t)n, 0) == (size_t)n);
	memcpy(copy, encoded, (size_t)n);
	CHECK(policy_decode_question_text(copy, (size_t)n, &b) == 0);
	check_same(&a, &b);
}

static void fuzz_question_packet(const uint8_t *data, size_t size)
{
	struct policy_question a, b;
	ssize_t n;

	if (policy_decode_question(data, size, &a))
		return;
	n = policy_encode_question(encoded, sizeof(encoded), &a);
	CHECK(n == (ssize_t)size && memcmp(encoded, data, size) == 0);
	CHECK(policy_decode_question(encoded, (size_t)n, &b) == 0);
	check_same(&a, &b);
}

static void fuzz_answer_text(const uint8_t *data, size_t size)
{
	ssize_t n;

	if (policy_decode_text(data, size, &first))
		return;
	n = policy_encode_text(encoded, sizeof(encoded), &first, false);
	if (n < 0)
		return; /* not ASCII: read, but never written */
	CHECK(policy_decode_text(encoded, (size_t)n, &second) == 0);
	CHECK(memcmp(&first, &second, sizeof(first)) == 0);
}

static void fuzz_answer_packet(const uint8_t *data, size_t size)
{
	ssize_t n;

	if (policy_decode_answer(data, size, &first))
		return;
	n = policy_encode_answer(encoded, sizeof(encoded), &first);
	CHECK(n == (ssize_t)size && memcmp(encoded, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_question_text(data + 1, size - 1);
		break;
	case 1:
		fuzz_question_packet(data + 1, size - 1);
		break;
	case 2:
		fuzz_answer_text(data + 1, size - 1);
		break;
	default:
		fuzz_answer_packet(data + 1, size - 1);
	}
	return 0;
}
