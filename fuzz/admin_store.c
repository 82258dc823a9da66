/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets between admin and store: what is taken is encoded again to the same bytes. */
#include "services/admin/store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[STORE_PACKET_MAX];
	struct store_packet p;
	size_t n;

	if (len > sizeof(again) || store_decode(data, len, &p))
		return 0;
	n = store_encode(again, sizeof(again), &p);
	CHECK(n == len && memcmp(again, data, len) == 0);
	return 0;
}
