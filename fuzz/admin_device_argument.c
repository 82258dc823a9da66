/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How requests name devices: argument, NUL, payload. What is kept makes a row that reads back as the same. */
#include "services/admin/device_argument.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *end = memchr(data, 0, len);
	struct assignment *a, *b;
	struct fault f = {0};
	struct text key = {0}, row = {0}, again = {0};
	bool full;

	if (!end)
		return 0;
	a = device_argument("block", (const char *)data, &full, &f);
	if (!a) {
		CHECK(f.type);
		return 0;
	}
	if (device_payload(a, end + 1, len - (size_t)(end + 1 - (const char *)data), "work", &full,
	                   &f)) {
		assignment_key(a, &key);
		assignment_row(a, &row);
		CHECK(!strchr(text_get(&key), '\n'));
		b = assignment_parse(text_get(&key), text_get(&row));
		CHECK(b && b->mode == a->mode && b->n_options == a->n_options);
		CHECK(text_equal(a->port, b->port) && text_equal(a->identity, b->identity));
		assignment_row(b, &again);
		CHECK(text_equal(text_get(&row), text_get(&again)));
		assignment_free(b);
	} else {
		CHECK(f.type);
	}
	assignment_free(a);
	text_free(&key);
	text_free(&row);
	text_free(&again);
	return 0;
}
