/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/service.h"

#include <stdlib.h>
#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"
#include "proto/decision.h"
#include "proto/limits.h"
#include "proto/prompt.h"

/*
 * Questions to people, and notices. The prompter carries them to the GUI domain; what it brings back
 * is compared byte for byte with what was offered and is otherwise a refusal. A source has a bounded
 * number of prompts open and of notices in a time, so that it cannot flood a screen.
 * Source: doc/protocol/policy.md, Prompt service.
 */

#define ICON_MAX 160U /* an icon with each "app" as "disp" */

static uint32_t bucket_of(const char *source)
{
	uint32_t hash = 2166136261U;

	for (; *source; source++)
		hash = (hash ^ (unsigned char)*source) * 16777619U;
	return hash % SERVICE_BUCKETS;
}

/* "app" becomes "disp", everywhere: the icon of a disposable of that template. */
static void disposable_icon(char *dst, const char *icon)
{
	size_t at = 0;

	while (*icon && at + 5 < ICON_MAX) {
		if (strncmp(icon, "app", 3) == 0) {
			memcpy(dst + at, "disp", 4);
			at += 4;
			icon += 3;
		} else {
			dst[at++] = *icon++;
		}
	}
	dst[at] = 0;
}

static uint32_t count_icons(const struct system *system)
{
	uint32_t i, n = system_n_qubes(system);

	for (i = 0; i < system_n_qubes(system); i++)
		n += system_qube(system, i)->template_for_dispvms;
	return n;
}

static void put_icons(struct wire_writer *w, const struct system *system)
{
	char name[SYSTEM_TEXT_MAX + 16], icon[ICON_MAX];
	uint32_t i;

	for (i = 0; i < system_n_qubes(system); i++) {
		const struct system_qube *qube = system_qube(system, i);
		const char *plain = qube->icon ? qube->icon : "";

		prompt_encode_name(w, qube->name);
		prompt_encode_name(w, plain);
		if (!qube->template_for_dispvms)
			continue;
		memcpy(name, "@dispvm:", 8);
		memcpy(name + 8, qube->name, strlen(qube->name) + 1);
		disposable_icon(icon, plain);
		prompt_encode_name(w, name);
		prompt_encode_name(w, icon);
	}
}

/* The name and the argument of a service text; the argument with its "+", "+" alone for none. */
static void split_service(const char *text, char *name, const char **ret_argument)
{
	const char *plus = strchr(text, '+');
	size_t len = plus ? (size_t)(plus - text) : strlen(text);

	memcpy(name, text, len);
	name[len] = 0;
	*ret_argument = plus ? plus : "+";
}

/* A frame in memory of its own size; NULL: no memory. */
static int send_ask(struct asking *asking, const char *guivm)
{
	struct service *s = asking->service;
	const struct system *system = view_system(asking->bound->view);
	const struct offers *offers = asking->offers;
	size_t text = strlen(asking->question.service);
	uint32_t i, icons = count_icons(system);
	size_t max = 4096 + 2 * text + (offers->n + 2UL * icons) * (PROMPT_NAME_MAX + 4);
	char *name = malloc(text + 1);
	void *frame = malloc(max);
	struct wire_writer w = wire_writer(frame, frame && name ? max : 0);
	struct prompt prompt = {.kind = PROMPT_ASK,
	                        .id = asking->prompt_id,
	                        .guivm = guivm,
	                        .target = "",
	                        .n_targets = offers->n,
	                        .n_icons = icons};
	int r = -1;

	if (frame && name) {
		prompt.source = system_qube(system, asking->decision.source)->name;
		split_service(asking->question.service, name, &prompt.argument);
		prompt.service = name;
		if (offers->default_index != NO_ID)
			prompt.target = offers->list[offers->default_index];
		prompt_encode(&w, &prompt);
		for (i = 0; i < offers->n; i++)
			prompt_encode_name(&w, offers->list[i]);
		put_icons(&w, system);
		if (!w.bad && offers->n <= PROMPT_LIST_MAX && icons <= PROMPT_LIST_MAX)
			r = channel_send(&s->prompter, frame, w.len);
	}
	free(frame);
	free(name);
	return r;
}

static void on_timeout(void *arg)
{
	struct asking *asking = arg;

	decision_refuse(&asking->decision);
	asking_finish(asking, &asking->decision, 0);
}

int prompts_ask(struct asking *asking, const char *guivm, const char **ret_reason)
{
	struct service *s = asking->service;
	struct bucket *bucket;

	asking->bucket = bucket_of(asking->question.source);
	bucket = &s->buckets[asking->bucket];
	if (bucket->prompts >= SERVICE_PROMPTS_PER_QUBE) {
		*ret_reason = "it has too many prompts open";
		return -1;
	}
	asking->prompt_id = ++s->next_prompt;
	asking->asked = guivm;
	if (loop_timer_set(s->loop, &asking->timer, LIMIT_PROMPT_MS, on_timeout, asking) ||
	    (s->prompter.fd >= 0 && send_ask(asking, guivm))) {
		*ret_reason = "the prompter cannot take it";
		return -1;
	}
	asking->state = ASKING_PROMPT;
	asking->later = s->prompts;
	if (s->prompts)
		s->prompts->earlier = asking;
	s->prompts = asking;
	bucket->prompts++;
	return 0;
}

static void prompt_closed(struct asking *asking)
{
	struct service *s = asking->service;

	asking->state = ASKING_DECIDED;
	*(asking->earlier ? &asking->earlier->later : &s->prompts) = asking->later;
	if (asking->later)
		asking->later->earlier = asking->earlier;
	asking->earlier = asking->later = NULL;
	s->buckets[asking->bucket].prompts--;
}

void prompts_cancel(struct asking *asking)
{
	struct prompt prompt = {.kind = PROMPT_CANCEL, .id = asking->prompt_id};
	uint8_t frame[16];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	prompt_closed(asking);
	prompt_encode(&w, &prompt);
	if (asking->service->prompter.fd >= 0 &&
	    channel_send(&asking->service->prompter, frame, w.len))
		LOG_QUBE(&asking->service->limit, "a prompt of %s could not be withdrawn",
		         asking->question.source);
}

static struct asking *find_prompt(struct service *s, uint32_t id)
{
	struct asking *asking = s->prompts;

	while (asking && asking->prompt_id != id)
		asking = asking->later;
	return asking;
}

static void take_answer(struct asking *asking, const struct prompt *answer)
{
	static const char yes[] = "allow:";
	const char *choice = "";

	prompt_closed(asking);
	if (answer->unreachable) {
		asking_fail(asking, "the prompt service cannot be reached");
		return;
	}
	if (strcmp(answer->answer, "deny") == 0) {
		decision_refuse(&asking->decision);
	} else {
		if (strncmp(answer->answer, yes, sizeof(yes) - 1) == 0)
			choice = answer->answer + sizeof(yes) - 1;
		decision_choose(asking->bound->view, &asking->decision, asking->offers, choice);
	}
	asking_finish(asking, &asking->decision, DECISION_PROMPTED);
}

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct service *s = arg;
	struct wire_reader r = wire_reader(untrusted_data, len);
	struct prompt answer;
	struct asking *asking;

	if (prompt_decode(&r, &answer) || answer.kind != PROMPT_ANSWER) {
		LOG("a malformed frame from the prompter");
		channel_end(&s->prompter);
		return;
	}
	asking = find_prompt(s, answer.id);
	if (asking)
		take_answer(asking, &answer);
}

static void on_close(void *arg)
{
	LOG("the prompter has ended; open prompts wait for the next one");
}

int prompts_attach(struct service *s, int fd)
{
	struct asking *asking, *later;

	channel_fini(&s->prompter);
	if (channel_init(&s->prompter, s->loop, fd, PROMPT_FRAME_MAX, 4U * PROMPT_FRAME_MAX))
		return -1;
	s->prompter.on_frame = on_frame;
	s->prompter.on_close = on_close;
	s->prompter.arg = s;
	for (asking = s->prompts; asking; asking = later) {
		later = asking->later;
		if (send_ask(asking, asking->asked) == 0)
			continue;
		decision_refuse(&asking->decision);
		asking_finish(asking, &asking->decision, 0);
	}
	return 0;
}

/* One notice more about this source? */
static bool notice_allowed(struct service *s, const char *source)
{
	struct bucket *bucket = &s->buckets[bucket_of(source)];
	uint64_t now = loop_now_ns(), ns = 1000000000U / SERVICE_NOTICES_PER_S;
	uint64_t add;

	if (!bucket->used) {
		bucket->used = true;
		bucket->notices = SERVICE_NOTICES_BURST;
		bucket->notice_ns = now;
	}
	add = (now - bucket->notice_ns) / ns;
	if (add > 0) {
		bucket->notices =
		        (uint32_t)MIN(bucket->notices + add, (uint64_t)SERVICE_NOTICES_BURST);
		bucket->notice_ns += add * ns;
	}
	if (bucket->notices == 0)
		return false;
	bucket->notices--;
	return true;
}

void prompts_notify(struct service *s, const char *guivm, bool allowed, const char *source,
                    const char *service_text, const char *target)
{
	struct prompt prompt = {.kind = PROMPT_NOTIFY,
	                        .allowed = allowed,
	                        .guivm = guivm,
	                        .source = source,
	                        .target = target};
	size_t max = 1024 + 2 * strlen(service_text) + strlen(source) + strlen(target);
	struct wire_writer w;
	char *name;
	void *frame;

	if (!notice_allowed(s, source)) {
		LOG_QUBE(&s->limit, "too many notices about %s: one is not shown", source);
		return;
	}
	name = malloc(strlen(service_text) + 1);
	frame = malloc(max);
	if (name && frame) {
		w = wire_writer(frame, max);
		split_service(service_text, name, &prompt.argument);
		prompt.service = name;
		prompt_encode(&w, &prompt);
		if (w.bad || channel_send(&s->prompter, frame, w.len))
			LOG_QUBE(&s->limit, "a notice about %s could not be sent", source);
	}
	free(frame);
	free(name);
}
