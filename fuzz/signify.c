/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a key or as signatures: none of what a fuzzer makes has signed anything. */
#include "proto/image/signify.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct signify_keys keys = {
	        .n = 1,
	        .needed = 1,
	        .keys = {{.id = {0x9f, 0x1c, 0x6d, 0xf0, 0x92, 0x6e, 0x7a, 0xfe},
	                  .key = {0x70, 0x85, 0xd2, 0x99, 0x21, 0x79, 0xfb, 0x2b, 0x19, 0xad, 0xa8,
	                          0x27, 0xb3, 0x11, 0x03, 0x9c, 0xbd, 0xed, 0x4a, 0x19, 0xfd, 0x58,
	                          0xc5, 0x46, 0xb5, 0x26, 0xb2, 0x8e, 0x1d, 0x33, 0x9a, 0xd9}}}};
	struct signify_signature signatures[SIGNIFY_KEYS_MAX];
	struct signify_key key;
	size_t n;

	if (signify_key_decode((const char *)data, len, &key) == 0)
		CHECK(len <= SIGNIFY_FILE_MAX && memchr(data, '\n', len));
	if (signify_signatures_decode((const char *)data, len, signatures, &n))
		return 0;
	CHECK(n <= SIGNIFY_KEYS_MAX);
	CHECK(signify_count(&keys, signatures, n, "another text\n", 13) == 0);
	return 0;
}
