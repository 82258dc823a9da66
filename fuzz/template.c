/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer of qubes.TemplateSearch: what is taken of it is of letters that may stand anywhere. */
#include "proto/services/template.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *answer = (const char *)data;
	struct template_record record;
	enum template_result r;
	size_t at = 0;
	size_t before = 0;

	while ((r = template_next(answer, len, &at, &record)) == TEMPLATE_OK) {
		CHECK(at > before && at <= len);
		before = at;
		CHECK(record.name[0] && !strpbrk(record.name, "/|\n ") && record.name[0] != '-');
		CHECK(record.repository[0] && !strpbrk(record.repository, "/|\n "));
		CHECK(record.untrusted_description + record.description_len <= answer + len);
		CHECK(record.untrusted_url >= answer);
	}
	(void)template_error(r);
	return 0;
}
