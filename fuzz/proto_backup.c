/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of the backup service: what is taken is written again to the same bytes. */
#include "proto/backup.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[BACKUP_PACKET_MAX];
	static struct backup_message m;
	ssize_t n;

	if (len > sizeof(again) || backup_decode(data, len, &m))
		return 0;
	n = backup_encode(again, sizeof(again), &m);
	CHECK(n == (ssize_t)len && memcmp(again, data, len) == 0);
	return 0;
}
