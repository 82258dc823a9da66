/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_QUBESD_ASK_H
#define SERVICES_DOM0_QUBESD_ASK_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * One question to the admin service, as the small programs that serve one call in dom0 ask it: connect,
 * request, half-close, read the answer. Its answers are trusted, and bounded all the same.
 * Source: doc/protocol/services.md, "Questions to qubesd".
 */

#define QUBESD_ANSWER_MAX (1U << 20)
#define QUBESD_SOCKET     "/run/qubesd.sock"
#define QUBESD_MISC       "/run/qubesd.misc.sock"

struct qubesd_question {
	const char *socket; /* absolute; the root prefix is put before it */
	const char *method; /* with +argument */
	const char *source; /* the qube in whose name is asked */
	const char *dest;
	const void *payload;
	size_t payload_len;
};

/**
 * qubesd_ask() - the content of a value
 * @ret_data:  given, to be freed; a NUL stands behind the last byte; NULL if not 0 is returned
 * Errors: 0; 1: qubesd refused, and why is in the log; -1: no answer, logged.
 */
int qubesd_ask(const struct qubesd_question *question, char **ret_data, size_t *ret_len) MUST_CHECK;

#endif
