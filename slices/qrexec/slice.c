/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only code on the trusted side that reads the control bytes of a qube. Every length is checked
 * by its type before a byte of the body is waited for, so a message always fits the buffer; a message
 * may come in any number of pieces and leave in any number of pieces, whatever the ring's size.
 * Fuzzed by fuzz/slice_qrexec.c.
 */
#include "slices/qrexec/slice.h"

#include <string.h>

#include "lib/trace/trace.h"

#define SLICE_READS_MAX 16 /* reads of the channel a turn; chosen */

static uint64_t own_call(const struct slice *s)
{
	return trace_own_id(s->domain, s->serial);
}

/* Hands s->up to the keeper, or leaves it there until the keeper can take it. */
static enum slice_outcome send_up(struct slice *s)
{
	int r;

	if (s->up_len == 0)
		return SLICE_ON;
	r = s->send(s->arg, s->up, s->up_len);
	if (r < 0)
		return SLICE_ORPHANED;
	if (r == 0)
		s->up_len = 0;
	return SLICE_ON;
}

static enum slice_outcome queue_up(struct slice *s, ssize_t len)
{
	if (len < 0)
		return SLICE_ORPHANED; /* our own decoder let something through: fail closed */
	s->up_len = (size_t)len;
	return send_up(s);
}

/* Agent bytes: HELLO. */

static enum slice_outcome handle_hello(struct slice *s, const struct qrexec_header *header,
                                       const uint8_t *untrusted_body)
{
	uint8_t reply[QREXEC_HELLO_MESSAGE_LEN];
	uint32_t version = 0;

	if (qrexec_decode_hello(header, untrusted_body, QREXEC_VERSION_MIN, &version)) {
		LOG("the agent's HELLO is not one of version %u or newer", QREXEC_VERSION_MIN);
		return SLICE_BAD_HELLO;
	}
	s->version = MIN(version, QREXEC_VERSION);
	qrexec_encode_hello(reply, s->version);
	if (vchan_write_message(s->vchan, reply, sizeof(reply), NULL, 0)) {
		LOG("the channel did not take HELLO: %s", vchan_why(s->vchan));
		return SLICE_CLOSED;
	}
	s->state = SLICE_RUNNING;
	return queue_up(s, keeper_encode_open(s->up, sizeof(s->up), s->version));
}

/* Agent bytes: requests. */

static enum slice_outcome refuse(struct slice *s, const struct qrexec_header *header)
{
	uint8_t message[QREXEC_HEADER_LEN + QREXEC_IDENT_LEN];
	int r;

	LOG_QUBE(&s->log_limit, "request 0x%x with a bad ident or name: refused", header->type);
	qrexec_encode_header(message, QREXEC_SERVICE_REFUSED, QREXEC_IDENT_LEN);
	memcpy(message + QREXEC_HEADER_LEN, s->trigger.ident, QREXEC_IDENT_LEN);
	/* Nothing waits in down: can_handle() said so. */
	r = vchan_write_message(s->vchan, message, sizeof(message), NULL, 0);
	if (r < 0)
		return SLICE_CLOSED;
	if (r == 0) {
		trace_point(own_call(s), TRACE_REFUSED, 0, NULL);
		return SLICE_ON;
	}
	memcpy(s->down, message, sizeof(message));
	s->down_at = 0;
	s->down_end = sizeof(message);
	s->down_call = own_call(s);
	s->down_type = QREXEC_SERVICE_REFUSED;
	return SLICE_ON;
}

static enum slice_outcome handle_trigger(struct slice *s, const struct qrexec_header *header,
                                         const uint8_t *untrusted_body)
{
	enum qrexec_error e = qrexec_decode_trigger(header, untrusted_body, &s->trigger);
	struct keeper_request request = {0};

	s->serial++;
	if (e)
		return refuse(s, header);
	request.serial = s->serial;
	request.has_source = s->trigger.has_source;
	memcpy(request.ident, s->trigger.ident, sizeof(request.ident));
	memcpy(request.source, s->trigger.source, sizeof(request.source));
	memcpy(request.target, s->trigger.target, sizeof(request.target));
	request.name_len = (uint32_t)s->trigger.name_len;
	request.name = s->trigger.name;
	trace_point(own_call(s), TRACE_TRIGGER, 0, s->trigger.name);
	return queue_up(s, keeper_encode_request(s->up, sizeof(s->up), &request));
}

static enum slice_outcome handle_terminated(struct slice *s, const struct qrexec_header *header,
                                            const uint8_t *untrusted_body)
{
	struct keeper_terminated message;
	struct qrexec_exec exec = {0};

	if (qrexec_decode_terminated(header, untrusted_body, &exec)) {
		LOG("CONNECTION_TERMINATED for a port that cannot be: the agent is broken");
		return SLICE_BROKEN;
	}
	trace_point(trace_call_id(s->domain, exec.domain, exec.port), TRACE_TERMINATED, exec.port,
	            NULL);
	message = (struct keeper_terminated){.domain = exec.domain, .port = exec.port};
	return queue_up(s, keeper_encode_terminated(s->up, sizeof(s->up), &message));
}

/* A header is judged before its body is waited for. */
static enum slice_outcome check_header(struct slice *s, const struct qrexec_header *header)
{
	if (s->state == SLICE_HELLO) {
		if (header->type == QREXEC_HELLO && header->len == QREXEC_HELLO_LEN)
			return SLICE_ON;
		LOG("the agent began with type 0x%x, length %u: not a HELLO", header->type,
		    header->len);
		return SLICE_BAD_HELLO;
	}
	switch (qrexec_check_agent_header(header, s->version)) {
	case QREXEC_OK:
		return SLICE_ON;
	case QREXEC_E_LENGTH:
		LOG("message 0x%x of the agent has an illegal length %u", header->type,
		    header->len);
		return SLICE_BROKEN;
	case QREXEC_E_TYPE:
	case QREXEC_E_VERSION:
	case QREXEC_E_PORT:
	case QREXEC_E_IDENT:
	case QREXEC_E_NAME:
	default:
		LOG("message 0x%x of the agent is not legal here (protocol %u)", header->type,
		    s->version);
		return SLICE_BROKEN;
	}
}

static enum slice_outcome handle_message(struct slice *s, const struct qrexec_header *header,
                                         const uint8_t *untrusted_body)
{
	if (s->state == SLICE_HELLO)
		return handle_hello(s, header, untrusted_body);
	if (header->type == QREXEC_CONNECTION_TERMINATED)
		return handle_terminated(s, header, untrusted_body);
	return handle_trigger(s, header, untrusted_body);
}

/* May the next message of the agent be handled? Its answer needs room. */
static bool can_handle(const struct slice *s)
{
	return s->up_len == 0 && s->down_at == s->down_end;
}

static enum slice_outcome handle_messages(struct slice *s)
{
	enum slice_outcome outcome = SLICE_ON;
	size_t at = 0;

	s->in_partial = false;
	while (outcome == SLICE_ON && can_handle(s) && s->in_len > at) {
		struct qrexec_header header;

		s->in_partial = true;
		if (s->in_len - at < QREXEC_HEADER_LEN)
			break;
		header = qrexec_decode_header(s->in + at);
		outcome = check_header(s, &header);
		if (outcome != SLICE_ON || s->in_len - at - QREXEC_HEADER_LEN < header.len)
			break;
		s->in_partial = false;
		outcome = handle_message(s, &header, s->in + at + QREXEC_HEADER_LEN);
		at += QREXEC_HEADER_LEN + header.len;
	}
	if (at > 0 && s->in_len > at)
		memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
	return outcome;
}

enum slice_outcome slice_agent(struct slice *s)
{
	enum slice_outcome outcome = slice_flush(s);

	if (outcome == SLICE_ON)
		outcome = handle_messages(s);
	for (int i = 0; i < SLICE_READS_MAX && outcome == SLICE_ON && can_handle(s); i++) {
		ssize_t n;

		/* The first read is tried at once: we were called because something came. */
		if (i > 0 && vchan_readable(s->vchan, 1) == 0 &&
		    vchan_state(s->vchan) == VCHAN_OPEN)
			break;
		n = vchan_read(s->vchan, s->in + s->in_len, sizeof(s->in) - s->in_len);
		if (n < 0) {
			if (s->in_len > 0)
				LOG("the agent ended in the middle of a message");
			return SLICE_CLOSED;
		}
		s->in_len += (size_t)n;
		outcome = handle_messages(s);
	}
	return outcome;
}

/* Keeper to agent. */

bool slice_can_take(const struct slice *s)
{
	return s->state == SLICE_RUNNING && s->down_at == s->down_end;
}

/* The message is built in the packet's own bytes: its head is shorter than the packet's. */
static enum slice_outcome take_command(struct slice *s, const struct keeper_command *c)
{
	size_t at = KEEPER_COMMAND_LEN - QREXEC_EXEC_LEN - QREXEC_HEADER_LEN;

	qrexec_encode_header(s->down + at, c->type, QREXEC_EXEC_LEN + c->command_len);
	qrexec_encode_exec(s->down + at + QREXEC_HEADER_LEN, c->domain, c->port);
	s->down_at = at;
	s->down_end = KEEPER_COMMAND_LEN + c->command_len;
	s->down_call = c->call;
	s->down_type = c->type;
	return slice_flush(s);
}

static enum slice_outcome take_refusal(struct slice *s, const struct keeper_refuse *refusal)
{
	size_t at = KEEPER_REFUSE_LEN - QREXEC_IDENT_LEN - QREXEC_HEADER_LEN;

	qrexec_encode_header(s->down + at, QREXEC_SERVICE_REFUSED, QREXEC_IDENT_LEN);
	s->down_at = at;
	s->down_end = KEEPER_REFUSE_LEN;
	s->down_call = refusal->call;
	s->down_type = QREXEC_SERVICE_REFUSED;
	return slice_flush(s);
}

enum slice_outcome slice_down(struct slice *s, size_t len)
{
	struct keeper_command command;
	struct keeper_refuse refusal;

	switch (keeper_kind(s->down, len)) {
	case KEEPER_COMMAND:
		if (keeper_decode_command(s->down, len, &command) == 0)
			return take_command(s, &command);
		break;
	case KEEPER_REFUSE:
		if (keeper_decode_refuse(s->down, len, &refusal) == 0)
			return take_refusal(s, &refusal);
		break;
	default:
		break;
	}
	LOG("the keeper sent what is not a packet of its own");
	return SLICE_ORPHANED;
}

static void trace_written(const struct slice *s)
{
	enum trace_stage stage = TRACE_EXEC_FORWARDED;

	if (s->down_type == QREXEC_SERVICE_REFUSED)
		stage = TRACE_REFUSED;
	else if (s->down_type == QREXEC_SERVICE_CONNECT)
		stage = TRACE_CONNECT_SENT;
	trace_point(s->down_call, stage, 0, NULL);
}

enum slice_outcome slice_flush(struct slice *s)
{
	while (s->down_at < s->down_end) {
		ssize_t n = vchan_write(s->vchan, s->down + s->down_at, s->down_end - s->down_at);

		if (n < 0)
			return SLICE_CLOSED;
		s->down_at += (size_t)n;
		if (s->down_at == s->down_end)
			trace_written(s);
		else if (n == 0 && vchan_writable(s->vchan, 1) == 0)
			break;
	}
	return send_up(s);
}
