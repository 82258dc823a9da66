/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_CLIENT_REPLY_H
#define TOOLS_CLIENT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tools/client/arena.h"

/*
 * What the Admin API answers (doc/protocol/admin.md): "0 NUL content", "2 NUL TYPE NUL TRACEBACK NUL FORMAT
 * NUL (ARG NUL)*", or nothing at all. Decoders here are pure.
 */

struct admin_reply {
	const char *content; /* a value: bytes, with a NUL behind them; "" if it is an error */
	size_t len;          /* of content */
	const char *error;   /* NULL for a value; the type of the exception otherwise */
	const char *text;    /* of the error, with its arguments put in */
};

/**
 * admin_reply_decode() - what a whole reply says
 * @data:  borrowed for as long as the reply is used; a NUL must stand behind its last byte
 *
 * A reply that is empty is the error QubesDaemonAccessError, one of another form
 * QubesDaemonCommunicationError, as the original's client calls them.
 */
struct admin_reply admin_reply_decode(const char *data, size_t len);

/** admin_reply_error() - an error that this side found itself */
struct admin_reply admin_reply_error(const char *type, const char *text);

/* What an exception means for a command; each answers false for a value. */
enum admin_error_class {
	ADMIN_ERROR_QUBES,   /* the client knows it as a QubesException: told in one line */
	ADMIN_ERROR_FOREIGN, /* ProtocolError, PermissionDenied: the original shows a traceback */
	ADMIN_ERROR_NOT_STARTED, /* the qube does not run (any more) */
	ADMIN_ERROR_NO_PROPERTY,
	ADMIN_ERROR_NO_FEATURE,
	ADMIN_ERROR_NO_TAG,
	ADMIN_ERROR_IN_USE,
	ADMIN_ERROR_STOP_TIMEOUT,
};
bool admin_error_is(const struct admin_reply *reply, enum admin_error_class what);

/** admin_error_shown() - the text as the original's client prints it: KeyErrors have quotes around them */
const char *admin_error_shown(const struct admin_reply *reply);

/** admin_error_trace() - the last line of the original's traceback: "qubesadmin.exc.TYPE: text" */
const char *admin_error_trace(const struct admin_reply *reply);

/* One event: "1 NUL SUBJECT NUL EVENT NUL (KEY NUL VALUE NUL)* NUL". */
#define ADMIN_EVENT_PAIRS_MAX 64

struct admin_event {
	const char *subject, *name;
	size_t n; /* pairs; those beyond the limit are left out */
	const char *keys[ADMIN_EVENT_PAIRS_MAX], *values[ADMIN_EVENT_PAIRS_MAX];
};

/**
 * admin_event_decode() - the first event of a stream
 * Returns its length; 0 if it is not complete yet; -1 if these bytes are no event.
 */
ssize_t admin_event_decode(const char *data, size_t len, struct admin_event *ret);

#endif
