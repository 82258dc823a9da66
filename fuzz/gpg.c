/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any block of qubes.Gpg: what is let through names no file, and its descriptors do not meet. The rest of
 * the input are heads of frames. */
#include "proto/services/gpg.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_request(const struct gpg_request *request)
{
	uint8_t block[GPG_BLOCK];
	struct gpg_request same;

	CHECK(request->n_inputs >= 1 && request->n_inputs <= GPG_FDS_MAX);
	CHECK(request->n_outputs >= 2 && request->n_outputs <= GPG_FDS_MAX);
	for (size_t i = 0; i < request->n_inputs; i++) {
		for (size_t k = 0; k < request->n_outputs; k++)
			CHECK(request->inputs[i] != request->outputs[k]);
	}
	for (size_t i = 0; i < request->n; i++) {
		CHECK(strcmp(request->args[i], "--homedir") != 0);
		CHECK(strncmp(request->args[i], "--photo-viewer", 14) != 0 || i > 0);
	}
	CHECK(gpg_request_encode(request->args, request->n, block) == 0);
	CHECK(gpg_request_decode(block, &same) == GPG_OK && same.n == request->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct gpg_request request;
	uint8_t block[GPG_BLOCK] = {0};
	struct gpg_frame frame;
	enum gpg_result r;
	size_t at;

	memcpy(block, data, MIN(len, sizeof(block)));
	r = gpg_request_decode(block, &request);
	if (r == GPG_OK) {
		CHECK(request.n <= GPG_ARGS_MAX);
		r = gpg_request_check(&request, &at);
		if (r == GPG_OK)
			check_request(&request);
	}
	(void)gpg_error(r);
	for (; len >= GPG_FRAME_HEAD; data += GPG_FRAME_HEAD, len -= GPG_FRAME_HEAD) {
		if (gpg_frame_decode(data, 3, len & 1, &frame) == 0)
			CHECK(frame.len <= GPG_FRAME_MAX && frame.index < 3 && frame.index >= -256);
	}
	return 0;
}
