/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/service.h"

#include <string.h>
#include <time.h>

#include "proto/decision.h"

/*
 * Tells the recorder about each decision, after it was answered. If the recorder is behind, records
 * are counted as lost and the next one that gets through says how many: a gap is never silent.
 */

#define QUEUE_MAX (1U << 20) /* bytes; chosen, some 7,000 records */

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct service *s = arg;

	LOG("a frame from the recorder, which has nothing to say");
	loop_stop(s->loop, s->exit_status = 1);
}

static void on_close(void *arg)
{
	struct service *s = arg;

	LOG("the recorder has ended");
	loop_stop(s->loop, s->exit_status = 1);
}

int record_init(struct service *s, int fd)
{
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
		s->lost_records = 0;
	else
		s->lost_records++;
}
