/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets between keeper and slice, from either side: what a decoder accepts is encoded again to the
 * same bytes.
 */
#include "proto/keeper.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t again[KEEPER_PACKET_MAX + 1];

static void same(const uint8_t *data, size_t len, ssize_t n)
{
	CHECK(n >= 0 && (size_t)n == len && memcmp(again, data, len) == 0);
}

static void from_slice(const uint8_t *data, size_t len)
{
	struct keeper_request request;
	struct keeper_terminated terminated;
	enum keeper_end reason;
	uint32_t version;

	if (keeper_decode_open(data, len, &version) == 0)
		same(data, len, keeper_encode_open(again, sizeof(again), version));
	if (keeper_decode_request(data, len, &request) == 0) {
		CHECK(strlen(request.name) == request.name_len && request.name[0] != '+');
		CHECK(strlen(request.target) < sizeof(request.target));
		CHECK(strlen(request.source) < sizeof(request.source));
		CHECK(request.ident[QREXEC_IDENT_LEN - 1] == 0);
		same(data, len, keeper_encode_request(again, sizeof(again), &request));
	}
	if (keeper_decode_terminated(data, len, &terminated) == 0) {
		CHECK(qrexec_port_legal(terminated.port));
		same(data, len, keeper_encode_terminated(again, sizeof(again), &terminated));
	}
	if (keeper_decode_end(data, len, &reason) == 0)
		same(data, len, keeper_encode_end(again, sizeof(again), reason));
}

static void from_keeper(const uint8_t *data, size_t len)
{
	struct keeper_start start;
	struct keeper_command command;
	struct keeper_refuse refuse;

	if (keeper_decode_start(data, len, &start) == 0)
		same(data, len, keeper_encode_start(again, sizeof(again), &start));
	if (keeper_decode_command(data, len, &command) == 0) {
		CHECK(command.command[command.command_len - 1] == '\0');
		same(data, len, keeper_encode_command(again, sizeof(again), &command));
	}
	if (keeper_decode_refuse(data, len, &refuse) == 0)
		same(data, len, keeper_encode_refuse(again, sizeof(again), &refuse));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	(void)keeper_kind(data, len);
	from_slice(data, len);
	from_keeper(data, len);
	return 0;
}
