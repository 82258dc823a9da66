/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request to the admin service: its parts lie in its bytes, and its header has no byte of another kind. */
#include "services/admin/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_number(const char *text, size_t len)
{
	struct fault f = {0};
	long long n = 0;

	if (request_number(text, len, true, "N", &n, &f))
		CHECK(!f.type && len > 0);
	else
		CHECK(f.type && f.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1);
	struct request r;
	struct fault f = {0};

	if (!copy)
		abort();
	memcpy(copy, data, len);
	if (request_decode(copy, len, &r) == REQUEST_OK) {
		CHECK(r.untrusted_payload + r.untrusted_payload_len == copy + len);
		CHECK(strlen(r.untrusted_method) + strlen(r.untrusted_arg) + strlen(r.source) <
		      len);
		if (request_name_check(r.source, &f, E_VALUE))
			CHECK(strlen(r.source) <= 31 && !strchr(r.source, '/') &&
			      r.source[0] != '-');
		if (request_uuid_check(r.untrusted_dest))
			CHECK(strlen(r.untrusted_dest) == 36);
		(void)!request_bool(r.untrusted_arg);
		check_number(r.untrusted_arg, strlen(r.untrusted_arg));
	}
	free(copy);
	return 0;
}
