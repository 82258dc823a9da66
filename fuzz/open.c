/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any name field of qubes.OpenInVM and any line of qubes.OpenURL. */
#include "proto/services/open.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char field[OPEN_NAME_LEN] = {0};
	char again[OPEN_NAME_LEN];
	struct open_name out;
	struct open_name same;

	memcpy(field, data, len < sizeof(field) ? len : sizeof(field));
	if (open_name_decode(field, &out) == 0) {
		CHECK(*out.name && strlen(out.name) < OPEN_NAME_LEN && !strchr(out.name, '/'));
		CHECK(strcmp(out.name, ".") != 0 && strcmp(out.name, "..") != 0);
		open_name_encode(out.name, out.view_only, again);
		CHECK(open_name_decode(again, &same) == 0);
		CHECK(same.view_only || !out.view_only);
	}
	if (open_url_legal((const char *)data, len)) {
		CHECK(len > 6 && !memchr(data, ' ', len) && !memchr(data, '\0', len));
		CHECK(memcmp(data, "http", 4) == 0 || memcmp(data, "ftp:", 4) == 0);
	}
	return 0;
}
