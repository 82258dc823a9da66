/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames between the policy service and its helpers, and the events of the admin service: no
 * crash, and what is decoded encodes to the same bytes. */
#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"
#include "proto/decision.h"
#include "proto/events.h"
#include "proto/facts.h"
#include "proto/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[1U << 20];

static void fuzz_facts(const uint8_t *data, size_t size)
{
	struct wire_reader r = wire_reader(data, size);
	struct wire_writer w = wire_writer(out, sizeof(out));
	static struct facts_qube qube;
	struct facts_head head;
	uint32_t i;

	if (facts_decode_head(&r, &head))
		return;
	facts_encode_head(&w, &head);
	for (i = 0; head.kind == FACTS_TABLE && i < head.qubes; i++) {
		if (facts_decode_qube(&r, &qube))
			return;
		facts_encode_qube(&w, &qube);
	}
	if (wire_end(&r))
		CHECK(!w.bad && w.len == size && memcmp(out, data, size) == 0);
}

static void fuzz_prompt(const uint8_t *data, size_t size)
{
	struct wire_reader r = wire_reader(data, size);
	struct wire_writer w = wire_writer(out, sizeof(out));
	struct prompt prompt;
	uint64_t i, names;

	if (prompt_decode(&r, &prompt))
		return;
	prompt_encode(&w, &prompt);
	names = prompt.n_targets + 2ULL * prompt.n_icons;
	for (i = 0; prompt.kind == PROMPT_ASK && i < names && !r.bad; i++)
		prompt_encode_name(&w, prompt_decode_name(&r));
	if (wire_end(&r))
		CHECK(!w.bad && w.len == size && memcmp(out, data, size) == 0);
}

static void fuzz_decision(const uint8_t *data, size_t size)
{
	struct decision_record record;

	if (decision_record_decode(data, size, &record))
		return;
	CHECK(decision_record_encode(out, sizeof(out), &record) == (ssize_t)size);
	CHECK(memcmp(out, data, size) == 0);
}

static void fuzz_events(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct event event, again;
	ssize_t n = events_decode(text, size, &event);
	size_t i;

	CHECK(n <= (ssize_t)size);
	if (n <= 0)
		return;
	CHECK(event.name > text && event.name < text + n);
	(void)(events_change_facts(event.name) ? 1 : 0);
	/* A frame is seen when it is whole and not a byte earlier. */
	for (i = 0; i < (size_t)n && i < 256; i++)
		CHECK(events_decode(text, i, &again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_facts(data + 1, size - 1);
		break;
	case 1:
		fuzz_prompt(data + 1, size - 1);
		break;
	case 2:
		fuzz_decision(data + 1, size - 1);
		break;
	default:
		fuzz_events(data + 1, size - 1);
	}
	return 0;
}
