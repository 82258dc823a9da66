/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_TRACE_READ_H
#define TOOLS_TRACE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/trace/trace.h"

/*
 * The trace rings of all processes, put together to calls. A ring is read as a copy; a record that
 * its writer is changing meanwhile is left out.
 */

struct trace_event {
	uint64_t time_ns;
	uint64_t call;  /* id as written */
	uint32_t stage; /* enum trace_stage; < TRACE_STAGE_MAX */
	uint32_t detail;
	uint32_t pid;
	char process[41]; /* NUL-terminated, printable */
	char text[41];    /* NUL-terminated, printable */
};

struct trace_call {
	uint64_t id;    /* that of the first event */
	size_t *events; /* indices into trace_set.events, in the order of time; owned */
	size_t n_events;
	size_t merged_into; /* index + 1 of the call that took this one's events; 0: none */
};

struct trace_set {
	struct trace_event *events; /* sorted by time */
	size_t n_events;
	struct trace_call *calls; /* in the order of their first events */
	size_t n_calls;
	size_t n_rings;
};

/**
 * trace_set_read() - every ring below dir
 * Errors: 0; -1 with errno (no such folder, no memory). Unreadable rings are skipped with a log line.
 */
int trace_set_read(const char *dir, struct trace_set *out) MUST_CHECK;
void trace_set_fini(struct trace_set *set);

/** trace_stage_text() - a stage in words; static */
const char *trace_stage_text(uint32_t stage);

#endif
