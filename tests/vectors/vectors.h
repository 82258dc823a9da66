/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Recorded cases of the policy, one JSON object a line; policy/README.md has their form. A case is
 * laid out as files below a directory of its own, replayed, and compared field by field.
 */

enum outcome { PASSED, FAILED };

/* One case being replayed. */
struct vector {
	struct json_object *json;    /* borrowed */
	struct json_object *domains; /* facts of its "system"; NULL: none. Borrowed */
	char root[PATH_MAX];         /* its own directory */
	char etc[PATH_MAX];          /* the three below it */
	char run[PATH_MAX];
	char legacy[PATH_MAX];
	char why[4096]; /* what differs, for a failure */
};

/* By the keys that a case has. Those with "input" are for policy_daemon.py. */
enum outcome vector_eval(struct vector *v);  /* "request" */
enum outcome vector_parse(struct vector *v); /* "expect" */
enum outcome vector_admin(struct vector *v); /* "call" */

/** vector_fail() - FAILED, with both values in v->why */
enum outcome vector_fail(struct vector *v, const char *what, struct json_object *want,
                         struct json_object *got);

/** vector_text() - a member that is text; "" if there is none */
const char *vector_text(struct json_object *object, const char *key);

/** vector_logical() - a path as the cases write it: etc/..., run/..., legacy/... */
const char *vector_logical(const struct vector *v, const char *path, char *out, size_t max);

#endif
