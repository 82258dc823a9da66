/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBESDB_INPUT_H
#define QUBESDB_INPUT_H

#include "proto/qubesdb.h"

/*
 * One message being received, piece by piece. Data that is longer than any may be is thrown away as
 * it comes, so the message can be refused and the next one read.
 */
struct input {
	struct qubesdb_head head;
	uint32_t got;     /* bytes of head and data so far */
	bool too_long;    /* the data is not kept */
	uint32_t discard; /* of such data, still to come */
	uint8_t bytes[QUBESDB_HEAD_LEN + QUBESDB_DATA_LIMIT];
};

/** input_room() - where the next bytes go, and how many there are room for: at least one */
static inline uint8_t *input_room(struct input *in, size_t *ret_len)
{
	if (in->too_long) {
		*ret_len = in->discard < QUBESDB_DATA_LIMIT ? in->discard : QUBESDB_DATA_LIMIT;
		return in->bytes + QUBESDB_HEAD_LEN;
	}
	*ret_len = in->got < QUBESDB_HEAD_LEN
	                   ? QUBESDB_HEAD_LEN - in->got
	                   : QUBESDB_HEAD_LEN + in->head.untrusted_data_len - in->got;
	return in->bytes + in->got;
}

/** input_add() - len bytes were put there; whether the message is complete now */
static inline bool input_add(struct input *in, size_t len)
{
	if (in->too_long) {
		in->discard -= (uint32_t)len;
		return in->discard == 0;
	}
	in->got += (uint32_t)len;
	if (in->got < QUBESDB_HEAD_LEN)
		return false;
	if (in->got == QUBESDB_HEAD_LEN) {
		qubesdb_decode_head(in->bytes, &in->head);
		in->too_long = in->head.untrusted_data_len >= QUBESDB_DATA_LIMIT;
		in->discard = in->too_long ? in->head.untrusted_data_len : 0;
		return in->head.untrusted_data_len == 0;
	}
	return in->got == QUBESDB_HEAD_LEN + in->head.untrusted_data_len;
}

/** input_data(), input_data_len() - of a complete message that is not too long */
static inline const uint8_t *input_data(const struct input *in)
{
	return in->bytes + QUBESDB_HEAD_LEN;
}

static inline size_t input_data_len(const struct input *in)
{
	return in->got - QUBESDB_HEAD_LEN;
}

static inline void input_next(struct input *in)
{
	in->got = 0;
	in->too_long = false;
	in->discard = 0;
}

#endif
