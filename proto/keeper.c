/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeper and slice: packets to checked structs and back. The keeper holds its slice for hostile, so
 * each rule that the slice applied to the qube's bytes is applied here again.
 * Fuzzed by fuzz/proto_keeper.c.
 */
#include "proto/keeper.h"

#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

#define VCHAN_FDS_LIMIT 4U

static ssize_t finish(const struct wire_writer *w)
{
	return w->bad ? -1 : (ssize_t)w->len;
}

uint32_t keeper_kind(const void *data, size_t len)
{
	return len < 4 ? 0 : le32_get(data);
}

/* Reads the kind too, so that a decoder can be called on any packet. */
static struct wire_reader begin(const void *data, size_t len, enum keeper_kind kind)
{
	struct wire_reader r = wire_reader(data, len);

	if (wire_u32(&r) != (uint32_t)kind)
		r.bad = true;
	return r;
}

ssize_t keeper_encode_start(void *out, size_t max, const struct keeper_start *in)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, KEEPER_START);
	wire_put_u32(&w, in->domain);
	wire_put_u32(&w, in->transport);
	wire_put_u32(&w, in->is_server);
	wire_put_u32(&w, in->left_order);
	wire_put_u32(&w, in->right_order);
	wire_put_u32(&w, in->send_max);
	wire_put_u32(&w, in->n_fds);
	wire_put_u32(&w, in->has_trace);
	return finish(&w);
}

int keeper_decode_start(const void *data, size_t len, struct keeper_start *out)
{
	struct wire_reader r = begin(data, len, KEEPER_START);

	out->domain = wire_u32(&r);
	out->transport = wire_u32(&r);
	out->is_server = wire_u32(&r);
	out->left_order = wire_u32(&r);
	out->right_order = wire_u32(&r);
	out->send_max = wire_u32(&r);
	out->n_fds = wire_u32(&r);
	out->has_trace = wire_u32(&r);
	if (!wire_end(&r) || out->is_server > 1 || out->has_trace > 1 || out->n_fds == 0 ||
	    out->n_fds > VCHAN_FDS_LIMIT)
		return -1;
	return 0;
}

static int command_legal(const struct keeper_command *c)
{
	if (c->type != QREXEC_EXEC_CMDLINE && c->type != QREXEC_JUST_EXEC &&
	    c->type != QREXEC_SERVICE_CONNECT)
		return 0;
	return qrexec_port_legal(c->port) && c->command_len > 0 &&
	       c->command_len <= KEEPER_COMMAND_MAX && c->command &&
	       c->command[c->command_len - 1] == '\0';
}

ssize_t keeper_encode_command(void *out, size_t max, const struct keeper_command *in)
{
	struct wire_writer w = wire_writer(out, max);

	if (!command_legal(in))
		return -1;
	wire_put_u32(&w, KEEPER_COMMAND);
	wire_put_u32(&w, in->type);
	wire_put_u32(&w, in->domain);
	wire_put_u32(&w, in->port);
	wire_put_u64(&w, in->call);
	wire_put_u32(&w, in->command_len);
	wire_put_bytes(&w, in->command, in->command_len);
	return finish(&w);
}

int keeper_decode_command(const void *data, size_t len, struct keeper_command *out)
{
	struct wire_reader r = begin(data, len, KEEPER_COMMAND);

	out->type = wire_u32(&r);
	out->domain = wire_u32(&r);
	out->port = wire_u32(&r);
	out->call = wire_u64(&r);
	out->command_len = wire_u32(&r);
	out->command = (const char *)wire_bytes(&r, out->command_len);
	return wire_end(&r) && command_legal(out) ? 0 : -1;
}

ssize_t keeper_encode_refuse(void *out, size_t max, const struct keeper_refuse *in)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, KEEPER_REFUSE);
	wire_put_u64(&w, in->call);
	wire_put_bytes(&w, in->ident, sizeof(in->ident));
	return finish(&w);
}

int keeper_decode_refuse(const void *data, size_t len, struct keeper_refuse *out)
{
	struct wire_reader r = begin(data, len, KEEPER_REFUSE);

	out->call = wire_u64(&r);
	wire_copy(&r, out->ident, sizeof(out->ident));
	return wire_end(&r) ? 0 : -1;
}

ssize_t keeper_encode_open(void *out, size_t max, uint32_t version)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, KEEPER_OPEN);
	wire_put_u32(&w, version);
	return finish(&w);
}

int keeper_decode_open(const void *data, size_t len, uint32_t *ret_version)
{
	struct wire_reader r = begin(data, len, KEEPER_OPEN);
	uint32_t untrusted_version = wire_u32(&r);

	if (!wire_end(&r) || untrusted_version < QREXEC_VERSION_MIN ||
	    untrusted_version > QREXEC_VERSION)
		return -1;
	*ret_version = untrusted_version;
	return 0;
}

int keeper_ident_legal(const uint8_t ident[QREXEC_IDENT_LEN])
{
	size_t i = 0;

	while (i < QREXEC_IDENT_LEN && qrexec_ident_char((char)ident[i]))
		i++;
	if (i == QREXEC_IDENT_LEN)
		return 0;
	while (i < QREXEC_IDENT_LEN && ident[i] == 0)
		i++;
	return i == QREXEC_IDENT_LEN;
}

static int field_legal(const char field[QREXEC_TARGET_LEN])
{
	size_t i = 0;

	while (i < QREXEC_TARGET_LEN && qrexec_target_char(field[i]))
		i++;
	if (i == QREXEC_TARGET_LEN)
		return 0;
	while (i < QREXEC_TARGET_LEN && field[i] == '\0')
		i++;
	return i == QREXEC_TARGET_LEN;
}

static int request_legal(const struct keeper_request *q)
{
	if (q->has_source > 1 || q->unused != 0 || q->name_len == 0 ||
	    q->name_len >= QREXEC_NAME_MAX || !q->name || q->name[0] == '+' ||
	    q->name[q->name_len] != '\0')
		return 0;
	for (uint32_t i = 0; i < q->name_len; i++) {
		if (!qrexec_name_char(q->name[i]))
			return 0;
	}
	if (!q->has_source && q->source[0] != '\0')
		return 0;
	return keeper_ident_legal(q->ident) && field_legal(q->source) && field_legal(q->target);
}

ssize_t keeper_encode_request(void *out, size_t max, const struct keeper_request *in)
{
	struct wire_writer w = wire_writer(out, max);

	if (!request_legal(in))
		return -1;
	wire_put_u32(&w, KEEPER_REQUEST);
	wire_put_u32(&w, in->serial);
	wire_put_u32(&w, in->has_source);
	wire_put_bytes(&w, in->ident, sizeof(in->ident));
	wire_put_bytes(&w, in->source, sizeof(in->source));
	wire_put_bytes(&w, in->target, sizeof(in->target));
	wire_put_u32(&w, in->name_len);
	wire_put_u32(&w, in->unused);
	wire_put_bytes(&w, in->name, in->name_len + 1U);
	return finish(&w);
}

int keeper_decode_request(const void *data, size_t len, struct keeper_request *out)
{
	struct wire_reader r = begin(data, len, KEEPER_REQUEST);

	out->serial = wire_u32(&r);
	out->has_source = wire_u32(&r);
	wire_copy(&r, out->ident, sizeof(out->ident));
	wire_copy(&r, out->source, sizeof(out->source));
	wire_copy(&r, out->target, sizeof(out->target));
	out->name_len = wire_u32(&r);
	out->unused = wire_u32(&r);
	if (out->name_len >= QREXEC_NAME_MAX)
		return -1;
	out->name = (const char *)wire_bytes(&r, out->name_len + 1U);
	return wire_end(&r) && request_legal(out) ? 0 : -1;
}

ssize_t keeper_encode_terminated(void *out, size_t max, const struct keeper_terminated *in)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, KEEPER_TERMINATED);
	wire_put_u32(&w, in->domain);
	wire_put_u32(&w, in->port);
	return finish(&w);
}

int keeper_decode_terminated(const void *data, size_t len, struct keeper_terminated *out)
{
	struct wire_reader r = begin(data, len, KEEPER_TERMINATED);

	out->domain = wire_u32(&r);
	out->port = wire_u32(&r);
	return wire_end(&r) && qrexec_port_legal(out->port) ? 0 : -1;
}

ssize_t keeper_encode_end(void *out, size_t max, enum keeper_end reason)
{
	struct wire_writer w = wire_writer(out, max);

	wire_put_u32(&w, KEEPER_END);
	wire_put_u32(&w, (uint32_t)reason);
	return finish(&w);
}

int keeper_decode_end(const void *data, size_t len, enum keeper_end *ret_reason)
{
	struct wire_reader r = begin(data, len, KEEPER_END);
	uint32_t untrusted_reason = wire_u32(&r);

	if (!wire_end(&r) || untrusted_reason == 0 || untrusted_reason > KEEPER_END_MAX)
		return -1;
	*ret_reason = (enum keeper_end)untrusted_reason;
	return 0;
}
