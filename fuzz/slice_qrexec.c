/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slice's state machine with any bytes from its qube: byte 0 is the size of the pieces that they
 * come in, byte 1 how often the keeper or the channel is full. Every packet that the slice sends must
 * be one that its keeper accepts.
 */
#include "slices/qrexec/slice.h"

#include <string.h>

#include "lib/base/check.h"
#include "tests/unit/slices/fake_vchan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct slice slice;
static struct vchan channel;
static unsigned int busy;
static unsigned int turn;

static int take_packet(void *arg, const void *data, size_t len)
{
	struct keeper_request request;
	struct keeper_terminated terminated;
	uint32_t version;

	(void)arg;
	if (busy && ++turn % (busy + 1) == 0)
		return 1;
	CHECK(keeper_decode_open(data, len, &version) == 0 ||
	      keeper_decode_request(data, len, &request) == 0 ||
	      keeper_decode_terminated(data, len, &terminated) == 0);
	return 0;
}

static void reset(const uint8_t *data, size_t len)
{
	memset(&slice, 0, sizeof(slice));
	memset(&channel, 0, sizeof(channel));
	slice.vchan = &channel;
	slice.send = take_packet;
	slice.log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	channel.in = data;
	channel.in_len = len;
	channel.closed = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum slice_outcome outcome = SLICE_ON;

	if (len < 2)
		return 0;
	log_set_fd(-1);
	reset(data + 2, len - 2);
	channel.piece = data[0];
	busy = data[1];
	for (unsigned int i = 0; outcome == SLICE_ON; i++) {
		CHECK(i < 200000); /* it gets on with its input */
		channel.room = busy && i % (busy + 1) == 0 ? i % 50 : 4096;
		outcome = slice_agent(&slice);
		CHECK(slice.in_len <= sizeof(slice.in));
	}
	CHECK(outcome != SLICE_ORPHANED);
	return 0;
}
