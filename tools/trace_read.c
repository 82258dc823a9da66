/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/trace_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define RING_BYTES_MAX (64U << 20) /* chosen: far above any ring of ours */

static const char *const stage_texts[TRACE_STAGE_MAX] = {
        [TRACE_NONE] = "-",
        [TRACE_TRIGGER] = "request decoded",
        [TRACE_ASK_POLICY] = "policy asked",
        [TRACE_VERDICT] = "verdict received",
        [TRACE_TARGET_START] = "target being started",
        [TRACE_TARGET_CONNECT] = "target's daemon reached",
        [TRACE_EXEC_SENT] = "command taken",
        [TRACE_EXEC_FORWARDED] = "command to the agent",
        [TRACE_PORT] = "port known",
        [TRACE_CONNECT_SENT] = "connect to the caller",
        [TRACE_REFUSED] = "refused to the caller",
        [TRACE_SERVICE_SPAWN] = "service started",
        [TRACE_DATA_OPEN] = "data channel open",
        [TRACE_FIRST_BYTE] = "first byte",
        [TRACE_EXIT] = "exit code sent",
        [TRACE_TERMINATED] = "port released",
        [TRACE_POLICY_DECIDED] = "policy decided",
        [TRACE_ASK_SHOWN] = "prompt shown",
        [TRACE_ASK_ANSWERED] = "prompt answered",
};

const char *trace_stage_text(uint32_t stage)
{
	return stage < TRACE_STAGE_MAX && stage_texts[stage] ? stage_texts[stage] : "?";
}

/* A fixed field to a printable string: a ring of a qube's agent is written by the qube. */
static void text_copy(char out[41], const char untrusted_text[40])
{
	size_t i;

	for (i = 0; i < 40 && untrusted_text[i] != '\0'; i++)
		out[i] = untrusted_text[i] >= 0x20 && untrusted_text[i] < 0x7f ? untrusted_text[i]
		                                                               : '_';
	out[i] = '\0';
}

static uint8_t *file_read(const char *dir, const char *name, size_t *ret_len)
{
	char path[4096];
	OWNED_FD int fd = -1;
	struct stat st;
	uint8_t *data;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct trace_head) ||
	    st.st_size > (off_t)RING_BYTES_MAX) {
		errno = EBADMSG;
		return NULL;
	}
	data = malloc((size_t)st.st_size);
	if (!data || fd_read_all(fd, data, (size_t)st.st_size) < 0) {
		free(data);
		return NULL;
	}
	*ret_len = (size_t)st.st_size;
	return data;
}

/* The records of one ring onto the end of set->events. 0, or -1 with errno ENOMEM. */
static int ring_add(struct trace_set *set, const uint8_t *data, size_t len)
{
	size_t n = (len - sizeof(struct trace_head)) / sizeof(struct trace_record);
	struct trace_head head;
	struct trace_event *grown;

	memcpy(&head, data, sizeof(head));
	if (memcmp(head.magic, TRACE_MAGIC, sizeof(head.magic)) != 0)
		return 0;
	grown = realloc(set->events, (set->n_events + n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	set->events = grown;
	set->n_rings++;
	for (size_t i = 0; i < n; i++) {
		struct trace_event *event = &set->events[set->n_events];
		struct trace_record untrusted_record;

		memcpy(&untrusted_record, data + sizeof(head) + i * sizeof(untrusted_record),
		       sizeof(untrusted_record));
		if (untrusted_record.time_ns == 0 || untrusted_record.stage == TRACE_NONE ||
		    untrusted_record.stage >= TRACE_STAGE_MAX)
			continue;
		event->time_ns = untrusted_record.time_ns;
		event->call = untrusted_record.call;
		event->stage = untrusted_record.stage;
		event->detail = untrusted_record.detail;
		event->pid = head.pid;
		text_copy(event->process, head.name);
		text_copy(event->text, untrusted_record.text);
		set->n_events++;
	}
	return 0;
}

static int event_order(const void *a, const void *b)
{
	const struct trace_event *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* The newest call of an id. Open addressing; never more than half full. */
struct id_map {
	uint64_t *ids;
	size_t *calls; /* index + 1; 0: free */
	size_t size;   /* power of two */
};

static size_t *id_slot(struct id_map *map, uint64_t id)
{
	size_t i = (size_t)(id * 0x9e3779b97f4a7c15ULL >> 32) & (map->size - 1);

	while (map->calls[i] != 0 && map->ids[i] != id)
		i = (i + 1) & (map->size - 1);
	map->ids[i] = id;
	return &map->calls[i];
}

static bool call_has(const struct trace_set *set, const struct trace_call *call, uint32_t stage)
{
	for (size_t i = 0; i < call->n_events; i++)
		if (set->events[call->events[i]].stage == stage)
			return true;
	return false;
}

static int call_append(struct trace_call *call, size_t event)
{
	/* Grows at each power of two, so the capacity need not be kept. */
	if ((call->n_events & (call->n_events - 1)) == 0) {
		size_t *grown =
		        realloc(call->events, MAX((size_t)1, call->n_events * 2) * sizeof(*grown));

		if (!grown)
			return -1;
		call->events = grown;
	}
	call->events[call->n_events++] = event;
	return 0;
}

/*
 * Ids with the highest bit are a process's own and are never used twice; that of a channel comes
 * back with its port, and then its second command begins another call.
 */
static bool starts_call(const struct trace_set *set, const struct trace_call *call,
                        const struct trace_event *event)
{
	if (event->call >> 63 || event->stage != TRACE_EXEC_SENT)
		return false;
	for (size_t i = 0; i < call->n_events; i++) {
		const struct trace_event *other = &set->events[call->events[i]];

		if (other->stage == TRACE_EXEC_SENT && other->call == event->call)
			return true;
	}
	return false;
}

static int index_order(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The calling side learnt the channel's id: what the service side wrote under it joins this call. */
static int call_link(struct trace_set *set, struct id_map *map, size_t call_index, uint64_t id)
{
	size_t *slot = id_slot(map, id);
	struct trace_call *call = &set->calls[call_index];

	if (*slot != 0 && *slot != call_index + 1) {
		struct trace_call *other = &set->calls[*slot - 1];

		/* A call of its own, made before on the same port, keeps its events. */
		if (!call_has(set, other, TRACE_TRIGGER) &&
		    !call_has(set, other, TRACE_TERMINATED)) {
			for (size_t i = 0; i < other->n_events; i++)
				if (call_append(call, other->events[i]) < 0)
					return -1;
			if (call->events)
				qsort(call->events, call->n_events, sizeof(*call->events),
				      index_order);
			other->n_events = 0;
			other->merged_into = call_index + 1;
		}
	}
	*slot = call_index + 1;
	return 0;
}

static int event_place(struct trace_set *set, struct id_map *map, size_t index)
{
	const struct trace_event *event = &set->events[index];
	size_t *slot = id_slot(map, event->call);

	if (*slot == 0 || starts_call(set, &set->calls[*slot - 1], event)) {
		set->calls[set->n_calls].id = event->call;
		*slot = ++set->n_calls;
	}
	if (call_append(&set->calls[*slot - 1], index) < 0)
		return -1;
	if (event->stage == TRACE_PORT && event->text[0] != '\0') {
		char *end;
		uint64_t id = strtoull(event->text, &end, 16);

		if (*end == '\0' && id != event->call)
			return call_link(set, map, *slot - 1, id);
	}
	return 0;
}

static int calls_make(struct trace_set *set)
{
	struct id_map map = {.size = 64};
	int r = 0;

	/* Each event brings two ids at most. */
	while (map.size < set->n_events * 4)
		map.size *= 2;
	map.ids = calloc(map.size, sizeof(*map.ids));
	map.calls = calloc(map.size, sizeof(*map.calls));
	set->calls = calloc(set->n_events + 1, sizeof(*set->calls));
	if (!map.ids || !map.calls || !set->calls)
		r = -1;
	for (size_t i = 0; i < set->n_events && r == 0; i++)
		r = event_place(set, &map, i);
	free(map.ids);
	free(map.calls);
	return r;
}

int trace_set_read(const char *dir, struct trace_set *out)
{
	DIR *folder = opendir(dir);
	const struct dirent *entry;
	int r = 0;

	*out = (struct trace_set){0};
	if (!folder)
		return -1;
	while (r == 0 && (entry = readdir(folder))) {
		size_t len;
		uint8_t *data;

		if (entry->d_name[0] == '.')
			continue;
		data = file_read(dir, entry->d_name, &len);
		if (!data) {
			LOG_ERRNO("trace ring %s/%s left out", dir, entry->d_name);
			continue;
		}
		r = ring_add(out, data, len);
		free(data);
	}
	closedir(folder);
	if (r == 0 && out->n_events > 0)
		qsort(out->events, out->n_events, sizeof(*out->events), event_order);
	if (r == 0)
		r = calls_make(out);
	if (r < 0)
		trace_set_fini(out);
	return r;
}

void trace_set_fini(struct trace_set *set)
{
	for (size_t i = 0; set->calls && i < set->n_calls; i++)
		free(set->calls[i].events);
	free(set->calls);
	free(set->events);
	*set = (struct trace_set){0};
}
