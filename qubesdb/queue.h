/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBESDB_QUEUE_H
#define QUBESDB_QUEUE_H

#include <stdlib.h>
#include <string.h>

#include "lib/base/compat.h"
#include "proto/limits.h"
#include "proto/qubesdb.h"

/* Bytes that wait for a reader, in one piece, up to LIMIT_QUBESDB_QUEUE. {0} is an empty one. */
struct queue {
	uint8_t *data;
	size_t from, to, max;
};

static inline size_t queue_len(const struct queue *q)
{
	return q->to - q->from;
}

static inline const uint8_t *queue_data(const struct queue *q)
{
	return q->data + q->from;
}

static inline void queue_fini(struct queue *q)
{
	free(q->data);
	*q = (struct queue){0};
}

static inline void queue_take(struct queue *q, size_t len)
{
	q->from += len;
	if (q->from == q->to)
		queue_fini(q);
}

/** queue_message() - 0, or -1: too much waits, or no memory; nothing was queued then */
static inline MUST_CHECK int queue_message(struct queue *q, enum qubesdb_type type,
                                           const char *path, const void *data, size_t len)
{
	size_t more = QUBESDB_HEAD_LEN + len;

	if (queue_len(q) + more > LIMIT_QUBESDB_QUEUE)
		return -1;
	if (q->max - q->to < more) {
		size_t max = MAX(queue_len(q) * 2 + more, (size_t)4096);
		uint8_t *fresh = malloc(max);

		if (!fresh)
			return -1;
		if (queue_len(q) > 0)
			memcpy(fresh, q->data + q->from, queue_len(q));
		free(q->data);
		*q = (struct queue){.data = fresh, .to = queue_len(q), .max = max};
	}
	qubesdb_encode_head(q->data + q->to, type, path, len);
	if (len > 0)
		memcpy(q->data + q->to + QUBESDB_HEAD_LEN, data, len);
	q->to += more;
	return 0;
}

#endif
