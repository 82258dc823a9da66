/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets between monitor, toolstack, admin and broker: what the decoder takes has legal texts and is
 * encoded again to the same bytes.
 */
#include "proto/monitor.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[MONITOR_PACKET_MAX];
	struct monitor_message message;
	ssize_t n;

	if (monitor_decode(data, len, &message))
		return 0;
	CHECK(monitor_check(&message));
	if (message.kind == MONITOR_CREATE)
		CHECK(strlen(message.create.name) < MONITOR_NAME_LEN &&
		      !strchr(message.create.name, '/') && message.create.name[0] != '-');
	n = monitor_encode(again, sizeof(again), &message);
	CHECK(n >= 0 && (size_t)n == len && memcmp(again, data, len) == 0);
	return 0;
}
