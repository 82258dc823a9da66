/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes of qubes.NotifyUpdates: a number is of digits and blanks alone. */
#include "proto/services/updates.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool any = false;

	if (updates_count_parse((const char *)data, len, &any))
		return 0;
	CHECK(len >= 1 && len <= UPDATES_COUNT_MAX);
	for (size_t i = 0; i < len; i++)
		CHECK(memchr("0123456789 \t\n\v\f\r", data[i], 16));
	return 0;
}
