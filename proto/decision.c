/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/decision.h"

#include "proto/policy.h"
#include "proto/text.h"

/* Frames between the policy service and its recorder. */

ssize_t decision_record_encode(void *out, size_t max, const struct decision_record *record)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u64(&w, record->time_ns);
	wire_put_u8(&w, record->verdict);
	wire_put_u8(&w, record->flags);
	wire_put_u32(&w, record->line);
	wire_put_u32(&w, record->lost);
	text_put(&w, record->true_source);
	text_put(&w, record->source);
	text_put(&w, record->target);
	text_put(&w, record->requested);
	text_put(&w, record->service);
	text_put(&w, record->final);
	text_put(&w, record->file);
	text_put(&w, record->reason);
	text_put(&w, record->asked);
	return w.bad ? -1 : (ssize_t)w.len;
}

int decision_record_decode(const void *data, size_t len, struct decision_record *out)
{
	struct wire_reader r = wire_reader(data, len);

	out->time_ns = wire_u64(&r);
	out->verdict = wire_u8(&r);
	out->flags = wire_u8(&r);
	out->line = wire_u32(&r);
	out->lost = wire_u32(&r);
	out->true_source = text_get(&r, DECISION_TEXT_MAX);
	out->source = text_get(&r, DECISION_TEXT_MAX);
	out->target = text_get(&r, DECISION_TEXT_MAX);
	out->requested = text_get(&r, DECISION_TEXT_MAX);
	out->service = text_get(&r, DECISION_TEXT_MAX);
	out->final = text_get(&r, DECISION_TEXT_MAX);
	out->file = text_get(&r, DECISION_TEXT_MAX);
	out->reason = text_get(&r, DECISION_TEXT_MAX);
	out->asked = text_get(&r, DECISION_TEXT_MAX);
	if (!wire_end(&r) || out->verdict > POLICY_NO_ANSWER || (out->flags & ~DECISION_FLAGS_ALL))
		return -1;
	return 0;
}
