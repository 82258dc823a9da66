/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any line of qubes.Log: one line comes out, in which nothing drives a terminal. */
#include "proto/services/log_line.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char out[LOG_LINE_MAX_OUT];
	int severity;
	size_t n = log_line_clean((const char *)data, len, out, &severity);

	CHECK(n < sizeof(out) && strlen(out) == n && severity >= 0 && severity < 8);
	for (size_t i = 0; i < n; i++)
		CHECK((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
	return 0;
}
