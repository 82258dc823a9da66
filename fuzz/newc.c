/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the head of an archive's member: what is read is written, and read again as the same. */
#include "proto/image/newc.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[NEWC_HEAD_LEN];
	struct newc_head head, again;

	if (len < NEWC_HEAD_LEN || newc_decode(data, &head))
		return 0;
	CHECK(head.name_len >= 2 && head.name_len <= NEWC_NAME_MAX);
	newc_encode(bytes, &head);
	CHECK(newc_decode(bytes, &again) == 0 && memcmp(&head, &again, sizeof(head)) == 0);
	if (len == NEWC_HEAD_LEN + head.name_len &&
	    newc_name_check((const char *)data + NEWC_HEAD_LEN, head.name_len) == 0)
		CHECK(strlen((const char *)data + NEWC_HEAD_LEN) < head.name_len);
	return 0;
}
