/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as what is signed of an image: it has one spelling, so it is written again as the same bytes. */
#include "proto/image/release.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[RELEASE_MAX];
	struct release release;

	if (release_decode((const char *)data, len, &release))
		return 0;
	CHECK(release.version > 0 && release.expires > release.created);
	CHECK(release.n_parts >= 3 && release.n_parts <= RELEASE_PARTS_MAX);
	for (size_t i = 0; i < release.n_parts; i++)
		CHECK(!strchr(release.parts[i].name, '/') && release.parts[i].size > 0);
	CHECK(release_encode(text, &release) == len && memcmp(text, data, len) == 0);
	return 0;
}
