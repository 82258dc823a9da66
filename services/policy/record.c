/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/service.h"

#include <string.h>
#include <time.h>

#include "lib/base/bytes.h"
#include "proto/decision.h"

/*
 * Tells the recorder about each decision, after it was answered. The recorder confirms how many it
 * has written. If it is behind or gone, records are counted as lost, and the next one that gets
 * through says how many: a gap is never silent. Decisions go on without a recorder: otherwise a full
 * disk, or whoever can fill it, would stop every call.
 */

#define QUEUE_MAX (1U << 20) /* bytes; chosen, some 7,000 records */

/* How many records it has written since it started. */
static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct service *s = arg;
	uint32_t written;

	if (len == 4) {
		written = le32_get(untrusted_data);
		if (written - s->records_written <= s->records_sent - s->records_written) {
			s->records_written = written;
			if (written == s->records_sent)
				s->lost_told = 0;
			return;
		}
	}
	LOG("a malformed frame from the recorder");
	channel_end(&s->recorder);
}

/* What it did not confirm may be in the log or not: counted as lost. */
static void on_close(void *arg)
{
	struct service *s = arg;
	uint32_t unsure = s->records_sent - s->records_written;

	LOG("the recorder has ended; %u records may be missing in the decision log", unsure);
	s->lost_records += unsure + s->lost_told;
}

int record_attach(struct service *s, int fd)
{
	channel_fini(&s->recorder);
	s->records_sent = s->records_written = s->lost_told = 0;
	if (channel_init(&s->recorder, s->loop, fd, DECISION_FRAME_MAX, QUEUE_MAX))
		return -1;
	s->recorder.on_frame = on_frame;
	s->recorder.on_close = on_close;
	s->recorder.arg = s;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void add_decision(struct decision_record *record, const struct service *s,
                         const struct decision *d)
{
	const struct policy *policy = view_policy(s->bound->view);

	record->source = d->source_text ? d->source_text : record->source;
	record->requested = d->requested.text;
	if (d->kind == DECISION_ALLOW)
		record->final = d->target.text;
	else
		record->reason = refusal_name(d->reason);
	if (d->rule) {
		record->file = policy_file_name(policy, d->rule->file);
		record->line = d->rule->line;
	}
}

/* A record on its way has taken along the count of those lost before. */
static void sent(struct service *s)
{
	s->records_sent++;
	s->lost_told += s->lost_records;
	s->lost_records = 0;
}

void record_decision(struct service *s, const struct policy_question *question,
                     const struct decision *decision, enum policy_verdict verdict,
                     unsigned int flags, const char *reason, const char *asked)
{
	static uint8_t frame[DECISION_FRAME_MAX];
	struct decision_record record = {
	        .time_ns = now_ns(),
	        .verdict = (uint8_t)verdict,
	        .flags = (uint8_t)flags,
	        .lost = s->lost_records,
	        .true_source = question->source,
	        .source = question->source,
	        .target = question->target,
	        .requested = "",
	        .service = question->service,
	        .final = "",
	        .file = "",
	        .reason = reason ? reason : "",
	        .asked = asked ? asked : "",
	};
	ssize_t n;

	if (decision)
		add_decision(&record, s, decision);
	n = decision_record_encode(frame, sizeof(frame), &record);
	if (n >= 0 && channel_send(&s->recorder, frame, (size_t)n) == 0)
		sent(s);
	else
		s->lost_records++;
}
