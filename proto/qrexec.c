/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoders of the qrexec messages. The bytes are hostile: lengths are checked before a body is read
 * (qrexec_check_agent_header), every text gets its terminator before it is looked at, and what a
 * decoder hands on holds only characters of the listed classes.
 * Fuzzed by fuzz/proto_qrexec.c.
 */
#include "proto/qrexec.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "lib/wire/reader.h"

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

bool qrexec_name_char(char c)
{
	return is_plain(c) || c == '+';
}

bool qrexec_target_char(char c)
{
	return is_plain(c) || c == '@' || c == ':';
}

bool qrexec_ident_char(char c)
{
	return is_plain(c) || c == ' ';
}

bool qrexec_port_legal(uint32_t port)
{
	return port >= QREXEC_PORT_FIRST && port <= QREXEC_PORT_LAST;
}

struct qrexec_header qrexec_decode_header(const uint8_t data[QREXEC_HEADER_LEN])
{
	return (struct qrexec_header){.type = le32_get(data), .len = le32_get(data + 4)};
}

void qrexec_encode_header(uint8_t out[QREXEC_HEADER_LEN], uint32_t type, uint32_t len)
{
	le32_put(out, type);
	le32_put(out + 4, len);
}

enum qrexec_error qrexec_decode_hello(const struct qrexec_header *header, const uint8_t *body,
                                      uint32_t version_min, uint32_t *ret_version)
{
	uint32_t untrusted_version;

	if (header->type != QREXEC_HELLO)
		return QREXEC_E_TYPE;
	if (header->len != QREXEC_HELLO_LEN)
		return QREXEC_E_LENGTH;
	untrusted_version = le32_get(body);
	if (untrusted_version < version_min)
		return QREXEC_E_VERSION;
	*ret_version = untrusted_version;
	return QREXEC_OK;
}

void qrexec_encode_hello(uint8_t out[QREXEC_HELLO_MESSAGE_LEN], uint32_t version)
{
	qrexec_encode_header(out, QREXEC_HELLO, QREXEC_HELLO_LEN);
	le32_put(out + QREXEC_HEADER_LEN, version);
}

enum qrexec_error qrexec_check_agent_header(const struct qrexec_header *header, uint32_t version)
{
	uint32_t len = header->len;

	switch (header->type) {
	case QREXEC_TRIGGER_SERVICE:
		if (version >= 3)
			return QREXEC_E_TYPE;
		return len == QREXEC_TRIGGER2_LEN ? QREXEC_OK : QREXEC_E_LENGTH;
	case QREXEC_TRIGGER_SERVICE3:
		if (version < 3)
			return QREXEC_E_TYPE;
		/* A name of no bytes at all is a broken sender, not a bad request (QSB-089). */
		return len > QREXEC_TRIGGER3_LEN && len - QREXEC_TRIGGER3_LEN <= QREXEC_NAME_MAX
		               ? QREXEC_OK
		               : QREXEC_E_LENGTH;
	case QREXEC_TRIGGER_SERVICE4:
		if (version < 4)
			return QREXEC_E_TYPE;
		return len > QREXEC_TRIGGER4_LEN && len - QREXEC_TRIGGER4_LEN <= QREXEC_NAME_MAX
		               ? QREXEC_OK
		               : QREXEC_E_LENGTH;
	case QREXEC_CONNECTION_TERMINATED:
		return len == QREXEC_EXEC_LEN ? QREXEC_OK : QREXEC_E_LENGTH;
	default:
		return QREXEC_E_TYPE;
	}
}

/* A NUL is forced at the end, so the result is always terminated; the tail is zeroed. */
static void sanitise_field(char *out, const uint8_t *untrusted, size_t len, bool (*legal)(char))
{
	size_t i;

	for (i = 0; i < len - 1 && untrusted[i] != 0; i++)
		out[i] = legal((char)untrusted[i]) ? (char)untrusted[i] : '_';
	memset(out + i, 0, len - i);
}

static bool ident_legal(const uint8_t untrusted_ident[QREXEC_IDENT_LEN])
{
	size_t i = 0;

	while (i < QREXEC_IDENT_LEN && qrexec_ident_char((char)untrusted_ident[i]))
		i++;
	if (i == QREXEC_IDENT_LEN)
		return false;
	for (; i < QREXEC_IDENT_LEN; i++) {
		if (untrusted_ident[i] != 0)
			return false;
	}
	return true;
}

/* The name of protocols 3 and 4 fills its bytes exactly: one NUL, the last. */
static bool name_framed(const uint8_t *untrusted_name, size_t len)
{
	return memchr(untrusted_name, 0, len) == untrusted_name + len - 1;
}

static enum qrexec_error take_name(struct qrexec_trigger *out, const uint8_t *untrusted_name,
                                   size_t len)
{
	size_t n = 0;

	while (n < len && untrusted_name[n] != 0) {
		out->name[n] =
		        qrexec_name_char((char)untrusted_name[n]) ? (char)untrusted_name[n] : '_';
		n++;
	}
	if (n == 0 || n >= QREXEC_NAME_MAX || out->name[0] == '+')
		return QREXEC_E_NAME;
	out->name[n] = '\0';
	out->name_len = n;
	return QREXEC_OK;
}

enum qrexec_error qrexec_decode_trigger(const struct qrexec_header *header, const uint8_t *body,
                                        struct qrexec_trigger *out)
{
	struct wire_reader r = wire_reader(body, header->len);
	const uint8_t *untrusted_source = NULL;
	const uint8_t *untrusted_target;
	const uint8_t *untrusted_ident;
	const uint8_t *untrusted_name;
	size_t target_len = QREXEC_TARGET_LEN;
	size_t name_len;

	if (header->type == QREXEC_TRIGGER_SERVICE) {
		untrusted_name = wire_bytes(&r, 64);
		name_len = 63; /* the forced NUL */
		target_len = 32;
		untrusted_target = wire_bytes(&r, target_len);
		untrusted_ident = wire_bytes(&r, QREXEC_IDENT_LEN);
	} else {
		if (header->type == QREXEC_TRIGGER_SERVICE4)
			untrusted_source = wire_bytes(&r, QREXEC_TARGET_LEN);
		untrusted_target = wire_bytes(&r, target_len);
		untrusted_ident = wire_bytes(&r, QREXEC_IDENT_LEN);
		name_len = wire_left(&r);
		untrusted_name = wire_bytes(&r, name_len);
	}
	memset(out->ident, 0, sizeof(out->ident));
	if (!wire_end(&r) || !untrusted_name || !untrusted_target || !untrusted_ident)
		return QREXEC_E_NAME; /* not after qrexec_check_agent_header() */
	memcpy(out->ident, untrusted_ident, sizeof(out->ident));
	if (!ident_legal(untrusted_ident))
		return QREXEC_E_IDENT;
	if (header->type != QREXEC_TRIGGER_SERVICE &&
	    (name_len == 0 || !name_framed(untrusted_name, name_len)))
		return QREXEC_E_NAME;
	memset(out->target, 0, sizeof(out->target));
	memset(out->source, 0, sizeof(out->source));
	out->has_source = untrusted_source != NULL;
	if (untrusted_source)
		sanitise_field(out->source, untrusted_source, QREXEC_TARGET_LEN,
		               qrexec_target_char);
	sanitise_field(out->target, untrusted_target, target_len, qrexec_target_char);
	return take_name(out, untrusted_name, name_len);
}

enum qrexec_error qrexec_encode_trigger4(uint8_t out[QREXEC_TRIGGER4_LEN], const char *source,
                                         const char *target, const char *ident)
{
	int bad = bytes_copy_text((char *)out, QREXEC_TARGET_LEN, source);

	bad |= bytes_copy_text((char *)out + QREXEC_TARGET_LEN, QREXEC_TARGET_LEN, target);
	bad |= bytes_copy_text((char *)out + 2 * QREXEC_TARGET_LEN, QREXEC_IDENT_LEN, ident);
	return bad ? QREXEC_E_LENGTH : QREXEC_OK;
}

enum qrexec_error qrexec_decode_terminated(const struct qrexec_header *header, const uint8_t *body,
                                           struct qrexec_exec *out)
{
	struct wire_reader r = wire_reader(body, header->len);
	uint32_t untrusted_domain = wire_u32(&r);
	uint32_t untrusted_port = wire_u32(&r);

	if (!wire_end(&r))
		return QREXEC_E_LENGTH;
	if (!qrexec_port_legal(untrusted_port))
		return QREXEC_E_PORT;
	*out = (struct qrexec_exec){.domain = untrusted_domain, .port = untrusted_port};
	return QREXEC_OK;
}

enum qrexec_error qrexec_decode_exec(const struct qrexec_header *header, const uint8_t *body,
                                     struct qrexec_exec *out)
{
	size_t len = header->len;

	if (len <= QREXEC_EXEC_LEN || len > QREXEC_LOCAL_BODY_MAX || body[len - 1] != 0)
		return QREXEC_E_LENGTH;
	*out = (struct qrexec_exec){
	        .domain = le32_get(body),
	        .port = le32_get(body + 4),
	        .command = (const char *)body + QREXEC_EXEC_LEN,
	        .command_len = len - QREXEC_EXEC_LEN,
	};
	return QREXEC_OK;
}

void qrexec_encode_exec(uint8_t out[QREXEC_EXEC_LEN], uint32_t domain, uint32_t port)
{
	le32_put(out, domain);
	le32_put(out + 4, port);
}
