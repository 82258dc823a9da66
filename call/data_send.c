/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From local descriptors to the channel. A message is at most what the channel has room for, so
 * nothing waits here but the rest of a message whose beginning is already on its way. Small reads
 * are copied once; large ones go through a private pipe and are never looked at.
 * Source: doc/protocol/qrexec.md, 9.2 and 9.3.
 */
#include "call/data_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/trace/trace.h"

static void send_died(struct data_call *call)
{
	call->send_dead = true;
	backlog_free(&call->held);
	call->joined_len = 0;
	bulk_pipe_close(&call->out.pipe);
	call->out.closed = true;
	call->err.closed = true;
}

static void put_now(struct data_call *call, const void *data, size_t len)
{
	ssize_t n = 0;

	if (call->held.len == 0)
		n = vchan_write(call->vchan, data, len);
	if (n < 0) {
		send_died(call);
		return;
	}
	if (backlog_add(&call->held, (const uint8_t *)data + n, len - (size_t)n)) {
		LOG("no memory for a call");
		data_end(call, DATA_FAILED);
	}
}

bool data_flush(struct data_call *call)
{
	size_t len = call->joined_len;

	call->joined_len = 0;
	if (len == 0)
		return false;
	put_now(call, call->joined, len);
	return call->held.len > 0;
}

void data_put(struct data_call *call, const void *data, size_t len)
{
	if (call->send_dead)
		return;
	if (len > sizeof(call->joined) - call->joined_len)
		(void)data_flush(call);
	if (len > sizeof(call->joined) || call->held.len > 0 || call->send_dead) {
		if (!call->send_dead)
			put_now(call, data, len);
		return;
	}
	memcpy(call->joined + call->joined_len, data, len);
	call->joined_len += len;
}

bool data_send_idle(const struct data_call *call)
{
	return call->held.len == 0 && call->out.pipe.len == 0;
}

/* Asks for an event when there is room again; until then, trying is in vain. */
static bool has_room(struct data_call *call, size_t wanted)
{
	if (vchan_writable(call->vchan, wanted) > 0)
		return true;
	call->full = vchan_state(call->vchan) == VCHAN_OPEN;
	return false;
}

/* What is already announced to the peer: the held bytes, then the pipe. */
static bool flush_held(struct data_call *call)
{
	struct backlog *held = &call->held;
	ssize_t n;

	if (call->full)
		return false;
	n = vchan_write(call->vchan, held->data + held->off, held->len);
	if (n < 0) {
		send_died(call);
		return true;
	}
	held->off += (size_t)n;
	held->len -= (size_t)n;
	if (held->len == 0)
		backlog_free(held);
	return n > 0 || has_room(call, held->len);
}

static bool flush_pipe(struct data_call *call)
{
	struct bulk_pipe *pipe = &call->out.pipe;
	bool local_blocked = false;
	ssize_t n;

	if (call->full)
		return false;
	n = vchan_from_pipe(call->vchan, pipe->read_fd, pipe->len, &local_blocked);
	if (n < 0) {
		send_died(call);
		return true;
	}
	CHECK((size_t)n <= pipe->len);
	pipe->len -= (size_t)n;
	return n > 0 || has_room(call, pipe->len);
}

void data_source_end(struct data_call *call, struct data_source *source)
{
	bool shared = source == &call->out && source->fd >= 0 && source->fd == call->in.fd;

	if (source->closed)
		return;
	source->closed = true;
	source->ready = false;
	if (shared)
		(void)shutdown(source->fd, SHUT_RD);
	if (shared || source->fd < 0)
		return;
	if (source == &call->out)
		loop_fd_remove(call->loop, &call->out_watch);
	else
		loop_fd_remove(call->loop, &call->err_watch);
	if (!call->config.keep_fds)
		source->fd = fd_close(source->fd);
}

static void put_header(struct data_call *call, uint32_t type, size_t len)
{
	uint8_t header[QREXEC_HEADER_LEN];

	qrexec_encode_header(header, type, (uint32_t)len);
	data_put(call, header, sizeof(header));
}

static void note_first_byte(struct data_call *call)
{
	if (call->first_byte_sent || call->config.side != DATA_SERVICE)
		return;
	call->first_byte_sent = true;
	trace_point(call->config.trace_call, TRACE_FIRST_BYTE, 0, NULL);
}

/* Bytes came in one piece; a piece that large says that there are more. */
static void note_size(struct data_call *call, struct data_source *source, size_t len, size_t least)
{
	source->bulk = len >= least;
	if (!source->bulk || source->wide)
		return;
	source->wide = true;
	/* The other end of a socket sends: its buffer was made with it (spawn.c). */
	if (source->fd != call->in.fd)
		source->narrow = local_widen(source->fd, false);
}

static bool is_terminal(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

static bool terminal_gone(int fd)
{
	int saved = errno;
	/* It answers no question of its own any more: isatty() would say no. */
	bool gone = saved == EIO && is_terminal(fd);

	errno = saved;
	return gone;
}

/* n is the answer of read() or splice(). Returns whether there are bytes. */
static bool took(struct data_call *call, struct data_source *source, ssize_t n)
{
	if (n > 0) {
		note_first_byte(call);
		return true;
	}
	if (n < 0 && errno == EAGAIN) {
		source->ready = false;
		return false;
	}
	if (n < 0 && errno == EINTR)
		return false;
	/* End of file; a socket may say so by ECONNRESET, a terminal that is gone by EIO. */
	if (n < 0 && errno != ECONNRESET && !terminal_gone(source->fd)) {
		/* The peer must not take what came until now for all of it. */
		LOG_ERRNO("reading what a call sends");
		data_end(call, DATA_FAILED);
		return false;
	}
	data_source_end(call, source);
	return false;
}

static void make_header(void *arg, uint8_t *header, size_t len)
{
	const struct data_source *source = arg;

	qrexec_encode_header(header, source->type, (uint32_t)len);
}

/* Whether the transport could; then the source was read into the channel itself. */
static bool send_direct(struct data_call *call, struct data_source *source, size_t max)
{
	ssize_t n;

	if (call->no_direct || !source->bulk)
		return false;
	if (data_flush(call) || call->send_dead)
		return true;
	n = vchan_message_from_fd(call->vchan, source->fd, QREXEC_HEADER_LEN, max, make_header,
	                          source);
	if (n < 0 && errno == EOPNOTSUPP) {
		call->no_direct = true;
		return false;
	}
	if (took(call, source, n))
		note_size(call, source, (size_t)n, DATA_BULK_MIN);
	return true;
}

static void send_copied(struct data_call *call, struct data_source *source, size_t max)
{
	ssize_t n = read(source->fd, data_scratch + QREXEC_HEADER_LEN, max);

	if (!took(call, source, n))
		return;
	note_size(call, source, (size_t)n, DATA_BULK_MIN);
	qrexec_encode_header(data_scratch, source->type, (uint32_t)n);
	data_put(call, data_scratch, QREXEC_HEADER_LEN + (size_t)n);
}

static void send_spliced(struct data_call *call, struct data_source *source, size_t max)
{
	struct bulk_pipe *pipe = &source->pipe;
	ssize_t n;

	n = splice(source->fd, NULL, pipe->write_fd, NULL, max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && errno == EINVAL) {
		source->no_splice = true;
		return;
	}
	if (!took(call, source, n))
		return;
	note_size(call, source, (size_t)n, DATA_BULK_MIN / 2);
	pipe->len = (size_t)n;
	put_header(call, source->type, pipe->len);
	(void)data_flush(call);
	if (call->held.len == 0 && !call->send_dead)
		(void)flush_pipe(call);
}

/*
 * Bytes of a body that the channel has room for; 0: an event is on its way. Where there is plenty to
 * send, small gaps are left to grow: messages that fill them would cost the peer as much as large
 * ones and keep the channel full of them.
 */
static size_t room(struct data_call *call, bool bulk)
{
	size_t taken = call->joined_len + QREXEC_HEADER_LEN;
	size_t wanted = taken + (bulk ? (size_t)call->chunk_max : 1);
	size_t space = vchan_writable(call->vchan, wanted);

	call->room_max = MAX(call->room_max, space);
	if (space <= taken || space < MIN(wanted, call->room_max / 2)) {
		call->full = vchan_state(call->vchan) == VCHAN_OPEN;
		return 0;
	}
	return MIN(space - taken, (size_t)call->chunk_max);
}

static bool send_source(struct data_call *call, struct data_source *source)
{
	size_t max;

	if (!source->ready || source->closed || call->full)
		return false;
	max = room(call, source->bulk);
	if (max == 0)
		return false;
	if (send_direct(call, source, max))
		return true;
	if (source->bulk && !source->no_splice && max >= DATA_BULK_MIN / 4 &&
	    source == &call->out && bulk_pipe_open(&source->pipe) == 0)
		send_spliced(call, source, max);
	else
		send_copied(call, source, max);
	return true;
}

static bool send_prefix(struct data_call *call)
{
	const uint8_t *prefix = call->config.prefix;
	size_t n = MIN(room(call, false), call->config.prefix_len - call->prefix_off);

	if (n == 0)
		return false;
	put_header(call, call->out.type, n);
	data_put(call, prefix + call->prefix_off, n);
	call->prefix_off += n;
	return true;
}

static bool send_eof(struct data_call *call, struct data_source *source)
{
	if (!source->closed || source->eof_sent)
		return false;
	source->eof_sent = true;
	put_header(call, source->type, 0);
	return true;
}

static bool service_over(const struct data_call *call)
{
	bool in_over = call->in.closed || call->config.exit_on_service_eof;

	if (call->config.just_exec || call->config.failed)
		return true;
	return in_over && call->exit_due;
}

static bool send_exit(struct data_call *call)
{
	uint8_t message[QREXEC_HEADER_LEN + 4];
	uint32_t code = (uint32_t)call->exit_code;

	if (call->config.side != DATA_SERVICE || call->exit_sent || !service_over(call))
		return false;
	/* The call is over with this message, and not before the peer was found to be a legal one. */
	if (!call->hello_received)
		return false;
	if (!call->config.just_exec && (!call->out.eof_sent || !call->err.eof_sent))
		return false;
	call->exit_sent = true;
	qrexec_encode_header(message, QREXEC_DATA_EXIT_CODE, 4);
	for (size_t i = 0; i < 4; i++)
		message[QREXEC_HEADER_LEN + i] = (uint8_t)(code >> (8 * i));
	data_put(call, message, sizeof(message));
	trace_point(call->config.trace_call, TRACE_EXIT, code, NULL);
	return true;
}

/* End-of-file messages and the exit code; STDERR's goes first where dom0's order is asked for. */
static bool send_ends(struct data_call *call)
{
	bool moved = false;

	if (call->config.just_exec)
		return send_exit(call);
	if (call->config.side == DATA_SERVICE && call->config.dom0_order)
		moved |= send_eof(call, &call->err);
	moved |= send_eof(call, &call->out);
	if (call->config.side == DATA_SERVICE)
		moved |= send_eof(call, &call->err);
	return moved | send_exit(call);
}

bool data_send_step(struct data_call *call)
{
	bool moved = false;

	if (call->send_dead || call->exit_sent) {
		if (call->send_dead || call->held.len == 0)
			return false;
		return flush_held(call);
	}
	if (call->held.len > 0)
		return flush_held(call);
	if (call->out.pipe.len > 0)
		return flush_pipe(call);
	/* Who says HELLO first goes on in the same breath, in chunks that any version takes. What a
	 * caller was given to read is taken once there is somebody to read it for. */
	if (!call->hello_sent)
		return false;
	if (call->prefix_off < call->config.prefix_len && !call->out.closed && call->hello_received)
		return send_prefix(call);
	moved = send_ends(call);
	if (!data_send_idle(call) || (call->config.side == DATA_CALLER && !call->hello_received))
		return moved;
	moved |= send_source(call, &call->out);
	if (data_send_idle(call) && call->config.side == DATA_SERVICE)
		moved |= send_source(call, &call->err);
	return moved;
}
