/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"
#include "proto/facts.h"

/*
 * The service's end of the facts helper. While the helper announces changes (live), a table is used
 * until the helper says that it is stale. While it does not, every question waits for a refresh that
 * began after the question came, so an answer is never older than the question; questions that come
 * meanwhile share the next refresh.
 */

#define TABLE_OFF 6U /* kind, live, generation: what differs between two equal tables */

static void send_refresh(struct service *s)
{
	struct facts_head head = {.kind = FACTS_REFRESH, .generation = ++s->facts.generation};
	uint8_t frame[16];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	facts_encode_head(&w, &head);
	if (channel_send(&s->facts.channel, frame, w.len) == 0) {
		channel_flush(&s->facts.channel);
		s->facts.in_flight = true;
	}
}

static struct system *build_table(struct wire_reader *r, uint32_t qubes)
{
	struct system *system = system_new();
	struct facts_qube q;
	uint32_t i;

	for (i = 0; system && i < qubes; i++) {
		struct system_qube qube;

		if (facts_decode_qube(r, &q))
			return system_unref(system);
		qube = (struct system_qube){
		        .name = q.text[FACTS_NAME],
		        .uuid = q.text[FACTS_UUID][0] ? q.text[FACTS_UUID] : NULL,
		        .type = q.text[FACTS_TYPE],
		        .tags = q.tags,
		        .n_tags = q.n_tags,
		        .template_for_dispvms = q.flags & FACTS_TEMPLATE_FOR_DISPVMS,
		        .internal = q.flags & FACTS_INTERNAL,
		        .running = q.flags & FACTS_RUNNING,
		        .icon = q.text[FACTS_ICON],
		        .default_dispvm = q.text[FACTS_DEFAULT_DISPVM][0]
		                                  ? q.text[FACTS_DEFAULT_DISPVM]
		                                  : NULL,
		        .guivm = q.text[FACTS_GUIVM][0] ? q.text[FACTS_GUIVM] : NULL,
		        .relayvm = q.text[FACTS_RELAYVM][0] ? q.text[FACTS_RELAYVM] : NULL,
		        .transport_rpc =
		                q.text[FACTS_TRANSPORT_RPC][0] ? q.text[FACTS_TRANSPORT_RPC] : NULL,
		};
		if (system_add(system, &qube))
			return system_unref(system);
	}
	if (!system || !wire_end(r) || system_seal(system))
		return system_unref(system);
	return system;
}

static int take_table(struct service *s, const uint8_t *data, size_t len, struct wire_reader *r,
                      uint32_t qubes)
{
	struct facts *f = &s->facts;
	struct system *table;
	uint8_t *copy;

	if (f->table && f->last_len == len &&
	    memcmp(f->last + TABLE_OFF, data + TABLE_OFF, len - TABLE_OFF) == 0)
		return 0;
	copy = malloc(len);
	table = copy ? build_table(r, qubes) : NULL;
	if (!table) {
		free(copy);
		return -1;
	}
	memcpy(copy, data, len);
	free(f->last);
	f->last = copy;
	f->last_len = len;
	system_unref(f->table);
	f->table = table;
	service_bind(s);
	return 0;
}

static void drop_table(struct service *s)
{
	s->facts.fresh = false;
	s->facts.table = system_unref(s->facts.table);
	service_bind(s);
}

/* The helper has answered: those that wait for it go on; those that came later get the next one. */
static void resume(struct service *s, uint32_t generation, enum policy_verdict outcome)
{
	struct facts *f = &s->facts;

	if (generation == f->generation)
		f->in_flight = false;
	service_resume(s, generation, outcome);
	if (s->first && !f->in_flight && !facts_ready(s))
		send_refresh(s);
}

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct service *s = arg;
	struct facts *f = &s->facts;
	struct wire_reader r = wire_reader(untrusted_data, len);
	struct facts_head head;

	if (facts_decode_head(&r, &head) || head.kind == FACTS_REFRESH) {
		LOG("a malformed frame from the facts helper");
		channel_end(&f->channel);
		return;
	}
	if (head.kind == FACTS_STALE) {
		f->fresh = false;
		f->live = head.live;
		if (!f->live && s->first && !f->in_flight)
			send_refresh(s);
		return;
	}
	if (head.kind == FACTS_FAILED || take_table(s, untrusted_data, len, &r, head.qubes)) {
		f->live = false;
		drop_table(s);
		resume(s, head.generation ? head.generation : f->generation,
		       head.kind == FACTS_FAILED && !head.unreachable ? POLICY_REFUSED
		                                                      : POLICY_NO_ANSWER);
		return;
	}
	f->live = head.live;
	f->fresh = head.live && (!f->file || head.generation == f->generation);
	if (f->fresh) {
		/* Nobody has to wait for a later one, those included that came before it was known
		 * that changes are announced. */
		f->in_flight = false;
		service_resume(s, f->generation + 1, POLICY_ALLOWED);
		return;
	}
	resume(s, head.generation, POLICY_ALLOWED);
}

/* Nobody announces changes: the table is of no use until a new helper has brought one. Questions
 * wait for it as long as they wait for any facts. */
static void on_close(void *arg)
{
	struct service *s = arg;

	LOG("the facts helper has ended");
	s->facts.live = s->facts.fresh = s->facts.in_flight = false;
}

bool facts_ready(const struct service *s)
{
	return s->facts.table && s->facts.live && s->facts.fresh;
}

uint32_t facts_want(struct service *s)
{
	struct facts *f = &s->facts;

	if (f->live) {
		/* A table that was announced as stale, or came unasked for, is not what a file's
		 * question waits for: somebody must ask. */
		if (!f->fresh && !f->in_flight)
			send_refresh(s);
		return f->generation;
	}
	if (f->in_flight)
		return f->generation + 1;
	send_refresh(s);
	return f->generation;
}

void facts_file_changed(struct service *s)
{
	s->facts.fresh = false;
	send_refresh(s);
}

int facts_attach(struct service *s, int fd)
{
	channel_fini(&s->facts.channel);
	s->facts.live = s->facts.fresh = s->facts.in_flight = false;
	if (channel_init(&s->facts.channel, s->loop, fd, FACTS_FRAME_MAX, FACTS_FRAME_MAX))
		return -1;
	s->facts.channel.on_frame = on_frame;
	s->facts.channel.on_close = on_close;
	s->facts.channel.arg = s;
	if (s->first)
		send_refresh(s);
	return 0;
}

void facts_fini(struct service *s)
{
	channel_fini(&s->facts.channel);
	s->facts.table = system_unref(s->facts.table);
	free(s->facts.last);
	s->facts.last = NULL;
}
