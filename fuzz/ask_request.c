/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the prompt service is asked: no crash or leak; what is taken is complete, may be shown, and
 * offers only names that the system knows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "tools/ask_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shown(const char *text)
{
	char shown[ASK_TEXT_MAX + 4];
	size_t i;

	CHECK(text);
	ask_show(shown, text);
	CHECK(strnlen(shown, sizeof(shown)) < sizeof(shown));
	for (i = 0; shown[i]; i++)
		CHECK(shown[i] >= ' ' && shown[i] <= '~');
}

static void check_request(const struct ask_request *request)
{
	size_t i;

	check_shown(request->source);
	check_shown(request->service);
	check_shown(request->argument);
	check_shown(request->target);
	CHECK(request->source[0] && request->service[0]);
	if (request->kind == ASK_NOTICE) {
		check_shown(request->resolution);
		CHECK(request->n_targets == 0);
		return;
	}
	CHECK(request->n_targets <= ASK_TARGETS_MAX);
	for (i = 0; i < request->n_targets; i++) {
		check_shown(request->targets[i]);
		CHECK(i == 0 || strcmp(request->targets[i - 1], request->targets[i]) <= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ask_request request;
	char *text = malloc(size + 1);

	CHECK(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (ask_request_decode(text, size, &request) == 0) {
		check_request(&request);
		ask_request_fini(&request);
	}
	free(text);
	return 0;
}
