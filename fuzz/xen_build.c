/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a builder of domains says that a kernel has taken over: any bytes are a call that the maker may make, or none. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/xen_build.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct build_call call;

	if (size > sizeof(call))
		return 0;
	memset(&call, 0xa5, sizeof(call));
	memcpy(&call, data, size);
	for (int pvh = 0; pvh < 2; pvh++) {
		if (!build_call_legal(&call, size, pvh))
			continue;
		/* What the maker relies on. */
		CHECK(size == BUILD_CALL_HEAD + call.len && call.len <= BUILD_DATA_MAX);
		CHECK(call.op > 0 && call.op < BUILD_MAX);
		CHECK(call.op != BUILD_PROCESSOR || call.len == BUILD_PROCESSOR_LEN);
		CHECK(call.op != BUILD_POPULATE || call.len / 8 <= BUILD_FRAMES_MAX);
		CHECK(call.op != BUILD_FAILED ||
		      strlen((const char *)call.data) < (size_t)call.len);
	}
	return 0;
}
