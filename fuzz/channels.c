/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a domain asks the broker of channels: what is accepted is encoded again to the same bytes. */
#include <string.h>

#include "lib/base/check.h"
#include "lib/vchan/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[BROKER_QUESTION_LEN];
	struct broker_question question;

	if (len == BROKER_QUESTION_LEN && broker_decode_question(data, &question) == 0) {
		CHECK(question.peer < BROKER_DOMAIN_MAX);
		broker_encode_question(again, &question);
		CHECK(memcmp(again, data, len) == 0);
	}
	return 0;
}
