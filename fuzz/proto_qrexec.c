/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoders of the qrexec messages: byte 0 is the protocol version, then a header of 8 bytes and
 * the body. What a decoder accepts must be valid, and encoded again it must decode to the same.
 */
#include "proto/qrexec.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct qrexec_trigger first;
static struct qrexec_trigger second;

static void check_text(const char *text, size_t max, bool (*legal)(char))
{
	size_t len = strnlen(text, max);

	CHECK(len < max);
	for (size_t i = 0; i < len; i++)
		CHECK(legal(text[i]));
}

static void check_trigger(const struct qrexec_trigger *t)
{
	check_text(t->source, sizeof(t->source), qrexec_target_char);
	check_text(t->target, sizeof(t->target), qrexec_target_char);
	check_text(t->name, sizeof(t->name), qrexec_name_char);
	check_text((const char *)t->ident, sizeof(t->ident), qrexec_ident_char);
	CHECK(t->name_len == strlen(t->name) && t->name_len >= 1 && t->name[0] != '+');
	CHECK(t->has_source || t->source[0] == '\0');
}

static void encode_again(const struct qrexec_trigger *t)
{
	static uint8_t body[QREXEC_BODY_MAX];
	const struct qrexec_header header = {
	        .type = QREXEC_TRIGGER_SERVICE4,
	        .len = (uint32_t)(QREXEC_TRIGGER4_LEN + t->name_len + 1),
	};

	CHECK(qrexec_encode_trigger4(body, t->source, t->target, (const char *)t->ident) ==
	      QREXEC_OK);
	memcpy(body + QREXEC_TRIGGER4_LEN, t->name, t->name_len + 1);
	CHECK(qrexec_check_agent_header(&header, 4) == QREXEC_OK);
	CHECK(qrexec_decode_trigger(&header, body, &second) == QREXEC_OK);
	CHECK(memcmp(t->source, second.source, sizeof(t->source)) == 0);
	CHECK(memcmp(t->target, second.target, sizeof(t->target)) == 0);
	CHECK(memcmp(t->ident, second.ident, sizeof(t->ident)) == 0);
	CHECK(strcmp(t->name, second.name) == 0);
}

static void agent_message(const struct qrexec_header *header, uint32_t version, const uint8_t *body)
{
	struct qrexec_exec exec;

	if (qrexec_check_agent_header(header, version) != QREXEC_OK)
		return;
	CHECK(header->len <= QREXEC_BODY_MAX);
	if (header->type == QREXEC_CONNECTION_TERMINATED) {
		if (qrexec_decode_terminated(header, body, &exec) == QREXEC_OK)
			CHECK(qrexec_port_legal(exec.port));
		return;
	}
	if (qrexec_decode_trigger(header, body, &first) == QREXEC_OK) {
		check_trigger(&first);
		encode_again(&first);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct qrexec_header header;
	struct qrexec_exec exec;
	uint32_t version;
	uint8_t *body;

	if (len < 1 + QREXEC_HEADER_LEN)
		return 0;
	header = qrexec_decode_header(data + 1);
	len -= 1 + QREXEC_HEADER_LEN;
	/* The length is that of the input, but where it lies the header check must see the lie. */
	if (header.len > QREXEC_BODY_MAX) {
		CHECK(qrexec_check_agent_header(&header, data[0]) != QREXEC_OK);
		return 0;
	}
	header.len = (uint32_t)len;
	body = malloc(len + 1);
	if (!body)
		return 0;
	body = memcpy(body, data + 1 + QREXEC_HEADER_LEN, len);
	agent_message(&header, data[0], body);
	if (qrexec_decode_hello(&header, body, QREXEC_VERSION_MIN, &version) == QREXEC_OK)
		CHECK(version >= QREXEC_VERSION_MIN);
	if (qrexec_decode_exec(&header, body, &exec) == QREXEC_OK) {
		CHECK(exec.command_len >= 1 && exec.command[exec.command_len - 1] == '\0');
		CHECK(exec.command_len == len - QREXEC_EXEC_LEN);
	}
	free(body);
	return 0;
}
