/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the channel to local descriptors. The peer is hostile: a header is checked before a byte of
 * its body is taken, a body is never larger than the negotiated chunk, and its bytes are only handed
 * on. While the local side takes nothing, nothing more is read from the channel: back-pressure is
 * the transport's. Source: doc/protocol/qrexec.md, 9.1.
 */
#include "call/data_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/trace/trace.h"

#define BAD_CODE 255 /* what a caller sees for an exit code that is none; protocol */

bool data_sink_busy(const struct data_sink *sink)
{
	return sink->backlog.len > 0 || sink->pipe.len > 0;
}

void data_sink_close(struct data_call *call, struct data_sink *sink)
{
	backlog_free(&sink->backlog);
	bulk_pipe_close(&sink->pipe);
	if (sink->closed)
		return;
	sink->closed = true;
	if (sink->fd < 0 || sink != &call->in)
		return;
	if (sink->is_socket) {
		/* Kept open: output may come from it (9.5), and errors end the other direction. */
		(void)shutdown(sink->fd, SHUT_WR);
	} else {
		loop_fd_remove(call->loop, &call->in_watch);
		if (!call->config.keep_fds)
			sink->fd = fd_close(sink->fd);
	}
}

/*
 * The local side took an error. That nobody reads there any more ends the direction and no more.
 * Anything else (a full disk) loses bytes, and a call that lost bytes must not look like one that
 * did not.
 */
static void give_up(struct data_call *call, struct data_sink *sink)
{
	bool unread = errno == EPIPE || errno == ECONNRESET;

	if (!unread)
		LOG_ERRNO("writing what a call received");
	data_sink_close(call, sink);
	if (!unread && sink == &call->in)
		data_end(call, DATA_FAILED);
}

/* The answer of a write or splice to the local side: bytes that went. */
static size_t gave(struct data_call *call, struct data_sink *sink, ssize_t n)
{
	if (n > 0)
		return (size_t)n;
	if (n < 0 && errno == EAGAIN)
		sink->ready = false;
	else if (n < 0 && errno != EINTR)
		give_up(call, sink);
	return 0;
}

void data_sink_deliver(struct data_call *call, struct data_sink *sink, const uint8_t *data,
                       size_t len)
{
	while (len > 0 && !sink->closed && sink->ready && !data_sink_busy(sink)) {
		size_t n = gave(call, sink, write(sink->fd, data, len));

		data += n;
		len -= n;
	}
	if (len > 0 && !sink->closed && backlog_add(&sink->backlog, data, len)) {
		LOG("no memory for a call");
		data_end(call, DATA_FAILED);
	}
}

/* A destination that splice() refuses (a file in append mode, a terminal) is written to. */
static void unsplice(struct data_call *call, struct data_sink *sink)
{
	size_t len = sink->pipe.len;

	sink->no_splice = true;
	while (len > 0) {
		ssize_t n = read(sink->pipe.read_fd, data_scratch, MIN(len, QREXEC_DATA_MAX));

		CHECK(n > 0 && (size_t)n <= len);
		len -= (size_t)n;
		if (backlog_add(&sink->backlog, data_scratch, (size_t)n)) {
			data_end(call, DATA_FAILED);
			break;
		}
	}
	bulk_pipe_close(&sink->pipe);
}

static void flush_sink(struct data_call *call, struct data_sink *sink)
{
	while (sink->ready && !sink->closed && sink->backlog.len > 0) {
		struct backlog *b = &sink->backlog;
		size_t n = gave(call, sink, write(sink->fd, b->data + b->off, b->len));

		if (sink->closed)
			return;
		b->off += n;
		b->len -= n;
		if (b->len == 0)
			backlog_free(b);
	}
	while (sink->ready && !sink->closed && sink->pipe.len > 0) {
		ssize_t n = splice(sink->pipe.read_fd, NULL, sink->fd, NULL, sink->pipe.len,
		                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n < 0 && errno == EINVAL) {
			unsplice(call, sink);
			return;
		}
		sink->pipe.len -= gave(call, sink, n);
		if (sink->closed)
			return;
	}
}

/* Replaces what could drive a terminal, as the original does. */
static void filter(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];

		if ((c < 0x20 || c > 0x7e) && c != '\t' && c != '\n' && c != '\r' && c != '\b' &&
		    c != '\a')
			data[i] = '_';
	}
}

static bool filtered(const struct data_call *call, const struct data_sink *sink)
{
	return sink == &call->in ? call->config.filter_out : call->config.filter_err;
}

/* Messages. */

static void refuse(struct data_call *call, const char *why)
{
	LOG("data channel: %s (type 0x%x, %zu bytes)", why, (unsigned int)call->type, call->left);
	data_end(call, DATA_FAILED);
}

static void input_ended(struct data_call *call)
{
	call->input_ended = true;
	if (data_sink_busy(&call->in))
		call->in.eof_due = true;
	else
		data_sink_close(call, &call->in);
	if (call->config.side == DATA_SERVICE && call->config.exit_on_client_eof)
		data_source_end(call, &call->out);
}

static void begin_input(struct data_call *call)
{
	uint32_t expected =
	        call->config.side == DATA_CALLER ? QREXEC_DATA_STDOUT : QREXEC_DATA_STDIN;

	if (call->type != expected && !call->told_wrong_type) {
		call->told_wrong_type = true;
		LOG("data channel: the peer sends the other direction's type 0x%x",
		    (unsigned int)call->type);
	}
	call->target = &call->in;
	call->bulk = call->left >= DATA_BULK_MIN;
	if (call->bulk && !call->in.wide && !call->in.closed) {
		call->in.wide = true;
		call->in.narrow = local_widen(call->in.fd, call->in.is_socket);
	}
	if (call->left == 0)
		input_ended(call);
}

static void begin_message(struct data_call *call)
{
	bool caller = call->config.side == DATA_CALLER;

	call->target = NULL;
	if (call->left > call->chunk_max) {
		refuse(call, "a message above the limit");
		return;
	}
	switch (call->type) {
	case QREXEC_DATA_STDIN:
	case QREXEC_DATA_STDOUT:
		begin_input(call);
		break;
	case QREXEC_DATA_STDERR:
		if (caller)
			call->target = &call->diag;
		else
			LOG("data channel: STDERR from a caller is ignored");
		break;
	case QREXEC_DATA_EXIT_CODE:
		call->code_len = 0;
		if (!caller)
			LOG("data channel: an exit code from a caller is ignored");
		break;
	default:
		refuse(call, "a message of unknown type");
		break;
	}
}

static void take_exit_code(struct data_call *call)
{
	int32_t code;

	if (call->config.side != DATA_CALLER || call->exit_received)
		return;
	memcpy(&code, call->code, sizeof(code));
	call->exit_received = true;
	call->status = call->code_len < sizeof(call->code) || code < 0 ? BAD_CODE : code;
	data_source_end(call, &call->out);
}

static void end_message(struct data_call *call)
{
	if (call->type == QREXEC_DATA_EXIT_CODE)
		take_exit_code(call);
	call->type = 0;
}

/* data may be changed in place. */
static void take_body(struct data_call *call, uint8_t *data, size_t len)
{
	call->left -= len;
	if (call->type == QREXEC_DATA_EXIT_CODE) {
		size_t n = MIN(len, sizeof(call->code) - call->code_len);

		memcpy(call->code + call->code_len, data, n);
		call->code_len += n;
	} else if (call->target && !call->target->closed) {
		if (filtered(call, call->target))
			filter(data, len);
		data_sink_deliver(call, call->target, data, len);
	}
}

static void take_hello(struct data_call *call, const struct qrexec_header *header,
                       const uint8_t *body)
{
	uint32_t version;
	enum qrexec_error r = qrexec_decode_hello(header, body, QREXEC_VERSION_MIN, &version);

	if (r != QREXEC_OK) {
		LOG("data channel: no HELLO, or of an unsupported version (type 0x%x, %u bytes)",
		    (unsigned int)header->type, (unsigned int)header->len);
		data_end(call, DATA_FAILED);
		return;
	}
	call->hello_received = true;
	vchan_set_patient(call->vchan);
	call->chunk_max = version == 2 ? QREXEC_DATA_MAX_V2 : QREXEC_DATA_MAX;
	loop_timer_clear(call->loop, &call->deadline);
	trace_point(call->config.trace_call, TRACE_DATA_OPEN, 0, NULL);
}

/* Reading. */

/* Until the event that this asks for, looking again is in vain. */
static bool channel_empty(struct data_call *call)
{
	/* Bytes that came in between are there already. */
	if (vchan_readable(call->vchan, 1) > 0)
		return false;
	call->dry = vchan_state(call->vchan) == VCHAN_OPEN;
	return true;
}

/* The answer of a read: whether bytes came. A closed and drained channel sets recv_dead. */
static bool came(struct data_call *call, ssize_t n)
{
	if (n < 0)
		call->recv_dead = true;
	return n > 0;
}

static bool read_ahead(struct data_call *call)
{
	size_t want = call->bulk ? QREXEC_HEADER_LEN : sizeof(call->ahead);
	ssize_t n;

	if (call->dry)
		return false;
	if (call->ahead_off > 0) {
		memmove(call->ahead, call->ahead + call->ahead_off, call->ahead_len);
		call->ahead_off = 0;
	}
	n = vchan_read(call->vchan, call->ahead + call->ahead_len,
	               want > call->ahead_len ? want - call->ahead_len : 1);
	if (!came(call, n))
		return n == 0 && !channel_empty(call);
	call->ahead_len += (size_t)n;
	return true;
}

static bool receive_header(struct data_call *call)
{
	struct qrexec_header header;
	size_t need = QREXEC_HEADER_LEN + (call->hello_received ? 0 : QREXEC_HELLO_LEN);

	if (call->ahead_len < QREXEC_HEADER_LEN)
		return read_ahead(call);
	header = qrexec_decode_header(call->ahead + call->ahead_off);
	/* What a wrong header announces need not ever come. */
	if (!call->hello_received &&
	    (header.type != QREXEC_HELLO || header.len != QREXEC_HELLO_LEN)) {
		take_hello(call, &header, call->ahead);
		return true;
	}
	if (call->ahead_len < need)
		return read_ahead(call);
	call->ahead_off += need;
	call->ahead_len -= need;
	if (!call->hello_received) {
		take_hello(call, &header, call->ahead + call->ahead_off - QREXEC_HELLO_LEN);
		return true;
	}
	call->type = header.type;
	call->left = header.len;
	begin_message(call);
	if (call->left == 0)
		end_message(call);
	return true;
}

/* Straight into the local descriptor, or into a pipe where the transport can only splice. */
static bool receive_bulk(struct data_call *call, struct data_sink *sink)
{
	bool local_blocked = false;
	int fd = call->bulk_via_pipe ? sink->pipe.write_fd : sink->fd;
	ssize_t n = vchan_to_fd(call->vchan, fd, call->left, &local_blocked);

	if (n > 0) {
		CHECK((size_t)n <= call->left);
		call->left -= (size_t)n;
		if (call->bulk_via_pipe) {
			sink->pipe.len += (size_t)n;
			flush_sink(call, sink);
		}
		return true;
	}
	if (n == 0) {
		if (!local_blocked)
			return !channel_empty(call);
		sink->ready = false;
		return false;
	}
	if (errno == EINVAL && !call->bulk_via_pipe && bulk_pipe_open(&sink->pipe) == 0)
		call->bulk_via_pipe = true;
	else if (errno == EINVAL)
		sink->no_splice = true;
	else if (vchan_state(call->vchan) == VCHAN_CLOSED && channel_empty(call))
		call->recv_dead = true;
	else
		give_up(call, sink);
	return true;
}

static bool receive_body(struct data_call *call)
{
	struct data_sink *sink = call->target;
	ssize_t n;

	if (call->ahead_len > 0) {
		size_t len = MIN(call->ahead_len, call->left);

		call->ahead_len -= len;
		call->ahead_off += len;
		take_body(call, call->ahead + call->ahead_off - len, len);
		return true;
	}
	if (call->dry)
		return false;
	if (call->left >= DATA_BULK_MIN / 4 && sink == &call->in && !sink->closed && sink->ready &&
	    !sink->no_splice && !filtered(call, sink))
		return receive_bulk(call, sink);
	n = vchan_read(call->vchan, data_scratch, MIN(call->left, QREXEC_DATA_MAX));
	if (!came(call, n))
		return n == 0 && !channel_empty(call);
	take_body(call, data_scratch, (size_t)n);
	return true;
}

static bool flush_sinks(struct data_call *call)
{
	if (data_sink_busy(&call->in)) {
		flush_sink(call, &call->in);
		if (!data_sink_busy(&call->in) && call->in.eof_due)
			data_sink_close(call, &call->in);
	}
	if (data_sink_busy(&call->diag))
		flush_sink(call, &call->diag);
	return !data_sink_busy(&call->in) && !data_sink_busy(&call->diag);
}

bool data_receive_step(struct data_call *call)
{
	bool moved;

	if (!flush_sinks(call) || call->recv_dead)
		return false;
	if (call->exit_received && call->input_ended)
		return false;
	if (call->left == 0)
		return receive_header(call);
	moved = receive_body(call);
	if (call->left == 0 && !call->ended)
		end_message(call);
	return moved;
}
