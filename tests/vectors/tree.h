/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_VECTORS_TREE_H
#define TESTS_VECTORS_TREE_H

#include "tests/vectors/vectors.h"

/** tree_make() - the case's files below a new directory; paths in v are set. 0, or -1 with errno. */
int tree_make(struct vector *v) MUST_CHECK;
void tree_remove(struct vector *v);

/** tree_bytes() - a text or {"b64"} as bytes; how many */
size_t tree_bytes(const struct vector *v, struct json_object *content, char *out, size_t max);

/** tree_read() - every regular file below one of the three as {logical path: text} (given) */
struct json_object *tree_read(const struct vector *v);

#endif
