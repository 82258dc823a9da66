/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qube's side of a test: it answers what dom0 asks. */
#include "tests/xen/talk.h"

static uint8_t piece[TALK_PIECE];

static int echo(struct pipe_end *end, uint32_t len)
{
	while (len > 0) {
		uint32_t n = MIN(len, TALK_PIECE);

		if (pipe_read(end, piece, n) || pipe_write(end, piece, n))
			return -1;
		len -= n;
	}
	return 0;
}

static int sink(struct pipe_end *end, uint32_t len)
{
	uint32_t sum = 0;

	while (len > 0) {
		uint32_t n = MIN(len, TALK_PIECE);

		if (pipe_read(end, piece, n))
			return -1;
		for (uint32_t i = 0; i < n; i += 61)
			sum = sum * 31 + piece[i];
		len -= n;
	}
	return pipe_write(end, &sum, sizeof(sum));
}

static int source(struct pipe_end *end, uint32_t len)
{
	for (uint64_t at = 0; at < len;) {
		uint32_t n = MIN((uint32_t)(len - at), TALK_PIECE);

		/* The pattern of the first piece only: what is measured is the channel. */
		if (at == 0)
			for (uint32_t i = 0; i < n; i++)
				piece[i] = talk_byte(i);
		if (pipe_write(end, piece, n))
			return -1;
		at += n;
	}
	return 0;
}

/* Those that are answered with one number; 0, or -1: it is none of them, or the peer is gone. */
static int answer(struct pipe_end *end, uint32_t what, uint32_t argument)
{
	uint32_t value;

	switch (what) {
	case TALK_MEET:
		value = talk_meet(argument);
		break;
	case TALK_STATE:
		value = talk_wait_state(argument);
		break;
	case TALK_NET:
		value = talk_net(argument);
		break;
	case TALK_MEMORY:
		value = talk_memory();
		break;
	default:
		return -1;
	}
	return pipe_write(end, &value, sizeof(value));
}

int talk_serve(struct pipe_end *end)
{
	uint32_t request[2];
	int r = 0;

	while (r == 0 && (r = pipe_read(end, request, sizeof(request))) == 0) {
		if (request[0] == TALK_ECHO)
			r = echo(end, request[1]);
		else if (request[0] == TALK_SINK)
			r = sink(end, request[1]);
		else if (request[0] == TALK_SOURCE)
			r = source(end, request[1]);
		else if (request[0] == TALK_END)
			return 0;
		else
			r = answer(end, request[0], request[1]);
	}
	return r;
}
