/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_EVENTS_H
#define PROTO_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * The event stream of the admin service, one frame after the other:
 *   '1' NUL SUBJECT NUL EVENT NUL (KEY NUL VALUE NUL)* NUL
 * Source: doc/protocol/admin-api.md, Reply. Test: tests/unit/proto/events.c, fuzz/proto_events.c
 */

#define EVENTS_FRAME_MAX 65536U /* bytes of one event; chosen */

struct event {
	const char *subject; /* borrowed; "" for the system */
	const char *name;    /* borrowed: "domain-start", "property-set:guivm" ... */
};

/** events_decode() - the first frame of what came so far: its bytes; 0: not whole yet; -1: not an
 *  event (an exception, or nonsense) */
ssize_t events_decode(const char *data, size_t len, struct event *out) MUST_CHECK;

/** events_change_facts() - may this event change what policy looks at? */
bool events_change_facts(const char *name) MUST_CHECK;

#endif
