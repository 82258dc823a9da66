/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any argument of qubes.VMExec: what is decoded, encoded again, is the same text. */
#include "proto/services/vmexec.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *arg = malloc(len + 1);
	char *room = malloc(len + 1);
	char *again = malloc(len * 3 + 2);
	struct vmexec_word *words;
	enum vmexec_result r;
	size_t max;
	size_t n;

	CHECK(arg && room && again);
	memcpy(arg, data, len);
	arg[len] = '\0';
	max = vmexec_words(arg);
	words = calloc(max, sizeof(*words));
	CHECK(words);
	r = vmexec_decode(arg, room, strlen(arg) + 1, words, max, &n);
	CHECK(r != VMEXEC_E_ROOM && n <= max);
	if (r == VMEXEC_OK) {
		struct wire_writer w = wire_writer(again, len * 3 + 1);

		CHECK(n == max);
		for (size_t i = 0; i < n; i++)
			vmexec_encode(&w, words[i].text, words[i].len, i == 0);
		CHECK(!w.bad);
		again[w.len] = '\0';
		/* Letters may also be spelled in hexadecimal; the encoder never does. */
		CHECK(w.len <= strlen(arg));
		if (w.len == strlen(arg))
			CHECK(memcmp(again, arg, w.len) == 0);
	}
	free(words);
	free(again);
	free(room);
	free(arg);
	return 0;
}
