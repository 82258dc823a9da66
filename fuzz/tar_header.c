/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks and extended headers of tar archives: in bounds, and what fits comes back from an encoder. */
#include "lib/tar/header.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct tar_header h, again;

static void one_block(const uint8_t *data)
{
	struct tar_region regions[TAR_REGIONS_NEXT];
	uint8_t block[TAR_BLOCK];
	bool more;
	int n;

	if (tar_header_decode(data, &h) == TAR_OK) {
		CHECK(strlen(h.name) <= 256 && strlen(h.link) <= 100);
		CHECK(h.size <= TAR_SIZE_MAX && h.mode <= 07777 && h.mtime >= 0);
		if (tar_header_encode(block, &h) == 0) {
			CHECK(tar_header_decode(block, &again) == TAR_OK);
			CHECK(again.size == h.size && again.uid == h.uid &&
			      strcmp(again.name, h.name) == 0);
		}
	}
	for (int next = 0; next < 2; next++) {
		n = tar_regions_decode(data, next, regions, &more);
		CHECK(n <= TAR_REGIONS_NEXT);
		for (int i = 0; i < n; i++)
			CHECK(regions[i].offset <= TAR_SIZE_MAX && regions[i].len <= TAR_SIZE_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tar_pax p;
	size_t at = 0;

	for (size_t i = 0; i + TAR_BLOCK <= len && i < 8 * TAR_BLOCK; i += TAR_BLOCK)
		one_block(data + i);
	while (tar_pax_next((const char *)data, len, &at, &p) == TAR_OK) {
		CHECK(at <= len && p.value + p.value_len < (const char *)data + len);
		(void)tar_pax_apply(&p, &h);
		CHECK(h.size <= TAR_SIZE_MAX && strlen(h.name) <= TAR_NAME_MAX);
	}
	return 0;
}
