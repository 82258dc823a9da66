/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer of qubes.GetDate: what is taken as a time is written again as the same text. */
#include "proto/services/date.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	struct timespec time = {0};
	char again[DATE_NS_LEN + 1];
	enum date_result r = date_check(text, len);
	size_t n = len < DATE_NS_LEN ? len : DATE_NS_LEN;

	(void)date_error(r);
	if (date_parse(text, len, &time) == DATE_OK)
		CHECK(time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
	if (r != DATE_OK)
		return 0;
	CHECK(n == DATE_LEN || n == DATE_NS_LEN);
	if (date_parse(text, n, &time) != DATE_OK)
		return 0;
	CHECK(date_write(&time, n == DATE_NS_LEN, again) == n);
	/* A sixtieth second is the next minute's first. */
	if (memcmp(text + 17, "60", 2) != 0)
		CHECK(memcmp(again, text, n) == 0);
	return 0;
}
