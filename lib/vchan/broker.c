/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/broker.h"

#include "lib/base/bytes.h"

int broker_decode_question(const uint8_t data[BROKER_QUESTION_LEN], struct broker_question *out)
{
	uint32_t untrusted_op = le32_get(data + 4);
	uint32_t untrusted_peer = le32_get(data + 8);

	if (le32_get(data) != BROKER_MAGIC || untrusted_peer >= BROKER_DOMAIN_MAX ||
	    (untrusted_op != BROKER_LISTEN && untrusted_op != BROKER_CONNECT))
		return -1;
	*out = (struct broker_question){.op = (enum broker_op)untrusted_op,
	                                .peer = untrusted_peer,
	                                .port = le32_get(data + 12)};
	return 0;
}

void broker_encode_question(uint8_t data[BROKER_QUESTION_LEN], const struct broker_question *in)
{
	le32_put(data, BROKER_MAGIC);
	le32_put(data + 4, (uint32_t)in->op);
	le32_put(data + 8, in->peer);
	le32_put(data + 12, in->port);
}

bool broker_check_answer(const uint8_t data[BROKER_ANSWER_LEN])
{
	return le32_get(data) == BROKER_MAGIC && le32_get(data + 4) == 0;
}

void broker_encode_answer(uint8_t data[BROKER_ANSWER_LEN])
{
	le32_put(data, BROKER_MAGIC);
	le32_put(data + 4, 0);
}
