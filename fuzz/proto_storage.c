/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of the storage service: what a decoder accepts is legal and is encoded again to the same bytes. */
#include "proto/storage.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[STORAGE_ANSWER_LEN];
	struct storage_request q;
	struct storage_answer a;

	if (storage_request_decode(data, len, &q) == 0) {
		CHECK(q.vid[0] == '\0' || storage_vid_legal(q.vid));
		CHECK(q.source[0] == '\0' || storage_vid_legal(q.source));
		CHECK(!strstr(q.vid, "..") || !strstr(q.vid, "/.."));
		CHECK(q.dir[0] == '\0' || storage_dir_legal(q.dir));
		CHECK(storage_request_encode(again, sizeof(again), &q) == (ssize_t)len);
		CHECK(memcmp(again, data, len) == 0);
	}
	if (storage_answer_decode(data, len, &a) == 0) {
		CHECK(storage_answer_encode(again, sizeof(again), &a) == (ssize_t)len);
		CHECK(memcmp(again, data, len) == 0);
	}
	return 0;
}
