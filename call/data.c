/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of one end of a data channel: opening with HELLO, the pump, the end. See data_internal.h
 * for how the work is divided. Source: doc/protocol/qrexec.md, sections 4 and 9.
 */
#include "call/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call/data_internal.h"
#include "call/linger.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

/* Steps in a turn of the loop before other calls get theirs. Chosen: about 1 MiB of bulk. */
#define PUMP_STEPS 32

#define LOST_CODE  255 /* the channel closed before an exit code; protocol */

static void pump(struct data_call *call);

static void on_again(void *arg)
{
	pump(arg);
}

static void pump_later(struct data_call *call)
{
	loop_defer_set(call->loop, &call->again, on_again, call);
}

void data_end(struct data_call *call, int status)
{
	if (call->ended)
		return;
	call->ended = true;
	call->status = status;
}

/* Descriptors back as they were found, or closed. */
static void close_end(struct data_call *call, int i, int *fd)
{
	if (*fd < 0)
		return;
	if (call->config.keep_fds) {
		if (call->old_flags[i] >= 0)
			(void)fcntl(*fd, F_SETFL, call->old_flags[i]);
		*fd = -1;
	} else {
		*fd = fd_close(*fd);
	}
}

static void free_call(struct data_call *call)
{
	loop_timer_clear(call->loop, &call->deadline);
	loop_defer_clear(call->loop, &call->again);
	loop_fd_remove(call->loop, &call->vchan_watch);
	loop_fd_remove(call->loop, &call->in_watch);
	loop_fd_remove(call->loop, &call->out_watch);
	loop_fd_remove(call->loop, &call->err_watch);
	if (call->config.linger && call->exit_sent && !call->input_ended && !call->recv_dead)
		linger(call->loop, call->vchan);
	else
		(void)vchan_close(call->vchan);
	if (call->out.fd == call->in.fd)
		call->out.fd = -1;
	if (call->config.keep_fds) {
		local_restore(call->in.fd, call->in.is_socket, call->in.narrow);
		local_restore(call->out.fd, false, call->out.narrow);
	}
	close_end(call, 0, &call->in.fd);
	close_end(call, 1, &call->out.fd);
	close_end(call, 2, call->config.side == DATA_SERVICE ? &call->err.fd : &call->diag.fd);
	backlog_free(&call->in.backlog);
	backlog_free(&call->diag.backlog);
	backlog_free(&call->held);
	bulk_pipe_close(&call->in.pipe);
	bulk_pipe_close(&call->diag.pipe);
	bulk_pipe_close(&call->out.pipe);
	bulk_pipe_close(&call->err.pipe);
	free(call);
}

void data_stop(struct data_call *call)
{
	if (call)
		free_call(call);
}

/* The end. */

static void check_end_caller(struct data_call *call)
{
	bool flushed = !data_sink_busy(&call->in) && !data_sink_busy(&call->diag);

	if (!flushed || (!call->recv_dead && !(call->exit_received && call->input_ended)))
		return;
	if (call->exit_received)
		data_end(call, call->status);
	else
		data_end(call, call->hello_received ? LOST_CODE : DATA_FAILED);
}

static void check_end_service(struct data_call *call)
{
	if (call->exit_sent && call->held.len == 0 && !call->send_dead)
		data_end(call, 0);
	else if (call->send_dead || call->recv_dead)
		data_end(call, call->hello_received ? 1 : DATA_FAILED);
}

static bool check_end(struct data_call *call)
{
	if (!call->ended && call->config.side == DATA_CALLER)
		check_end_caller(call);
	else if (!call->ended)
		check_end_service(call);
	return call->ended;
}

/* Opening. */

static void send_hello(struct data_call *call)
{
	uint8_t message[QREXEC_HELLO_MESSAGE_LEN];

	if (call->hello_sent || (call->config.hello_after && !call->hello_received))
		return;
	/* A caller is the server of the channel, which keeps what is written before its client comes. */
	if (call->config.side == DATA_SERVICE && vchan_state(call->vchan) == VCHAN_WAITING)
		return;
	call->hello_sent = true;
	qrexec_encode_hello(message, QREXEC_VERSION);
	data_put(call, message, sizeof(message));
}

static void on_deadline(void *arg)
{
	struct data_call *call = arg;

	LOG("data channel: %s", vchan_state(call->vchan) == VCHAN_WAITING
	                                ? "nobody came within the limit"
	                                : "no HELLO within the limit");
	data_end(call, DATA_FAILED);
	pump(call);
}

static void pump_steps(struct data_call *call)
{
	bool moved = true;

	for (int i = 0; i < PUMP_STEPS && moved && !call->ended; i++) {
		send_hello(call);
		moved = data_receive_step(call);
		if (!call->ended)
			moved |= data_send_step(call);
		/* What a flush leaves is for the next step, which asks for an event. */
		if (!moved || call->exit_sent)
			moved |= data_flush(call);
		if (check_end(call))
			break;
	}
	(void)data_flush(call);
	if (moved && !call->ended)
		pump_later(call);
}

/* What a service can be told before it is there: it finds this at its first look. */
static void greet(struct data_call *call)
{
	if (call->config.side != DATA_CALLER || call->hello_sent)
		return;
	send_hello(call);
	(void)data_send_step(call);
	(void)data_flush(call);
}

static void pump(struct data_call *call)
{
	if (!call->ended && vchan_state(call->vchan) == VCHAN_WAITING)
		greet(call);
	else if (!call->ended)
		pump_steps(call);
	if (call->ended) {
		void (*done)(void *, int) = call->config.done;
		void *arg = call->config.arg;
		int status = call->status;

		free_call(call);
		done(arg, status);
	}
}

/* Events: note what may be tried, then try. */

static void on_vchan(void *arg, uint32_t events)
{
	struct data_call *call = arg;

	(void)events;
	(void)vchan_step(call->vchan);
	call->dry = false;
	call->full = false;
	pump(call);
}

static void on_in(void *arg, uint32_t events)
{
	struct data_call *call = arg;
	struct data_sink *in = &call->in;

	in->ready = true;
	if (call->out.fd == in->fd && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		call->out.ready = true;
	/* Nobody reads there any more, so the direction is over, sent or not. */
	if (events & (EPOLLHUP | EPOLLERR))
		data_sink_close(call, in);
	pump(call);
}

static void on_out(void *arg, uint32_t events)
{
	struct data_call *call = arg;

	(void)events;
	call->out.ready = true;
	pump(call);
}

static void on_err(void *arg, uint32_t events)
{
	struct data_call *call = arg;

	(void)events;
	call->err.ready = true;
	call->diag.ready = true;
	pump(call);
}

/* Start. */

/* A file that cannot be polled is always ready. */
static int watch(struct data_call *call, struct loop_fd *source, int fd, uint32_t events,
                 void (*fn)(void *, uint32_t))
{
	if (fd < 0 || loop_fd_add(call->loop, source, fd, events | EPOLLET, fn, call) == 0)
		return 0;
	return errno == EPERM ? 0 : -1;
}

static int prepare_fd(struct data_call *call, int i, int fd)
{
	int flags;

	if (fd < 0)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -1;
	if (flags & O_NONBLOCK)
		return 0;
	call->old_flags[i] = flags;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static bool is_socket(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int watch_all(struct data_call *call)
{
	const struct data_config *config = &call->config;
	uint32_t in_events = EPOLLOUT;

	if (prepare_fd(call, 0, config->in_fd) || prepare_fd(call, 1, config->out_fd) ||
	    prepare_fd(call, 2, config->err_fd))
		return -1;
	if (call->in.is_socket)
		in_events |= EPOLLIN | EPOLLRDHUP;
	if (watch(call, &call->in_watch, config->in_fd, in_events, on_in))
		return -1;
	if (config->out_fd != config->in_fd &&
	    watch(call, &call->out_watch, config->out_fd, EPOLLIN | EPOLLRDHUP, on_out))
		return -1;
	if (watch(call, &call->err_watch, config->err_fd,
	          config->side == DATA_SERVICE ? EPOLLIN | EPOLLRDHUP : EPOLLOUT, on_err))
		return -1;
	return loop_fd_add(call->loop, &call->vchan_watch, vchan_fd(call->vchan), EPOLLIN, on_vchan,
	                   call);
}

static struct data_sink make_sink(int fd)
{
	return (struct data_sink){
	        .fd = fd,
	        .ready = true,
	        .closed = fd < 0,
	        .is_socket = is_socket(fd),
	        .pipe = {.read_fd = -1, .write_fd = -1},
	};
}

static struct data_source make_source(int fd, uint32_t type)
{
	return (struct data_source){
	        .fd = fd,
	        .ready = true,
	        .closed = fd < 0,
	        .type = type,
	        .pipe = {.read_fd = -1, .write_fd = -1},
	};
}

static void fill_call(struct data_call *call, struct loop *loop, struct vchan *vchan,
                      const struct data_config *config)
{
	bool service = config->side == DATA_SERVICE;

	*call = (struct data_call){
	        .loop = loop,
	        .vchan = vchan,
	        .config = *config,
	        .vchan_watch = LOOP_FD_EMPTY,
	        .in_watch = LOOP_FD_EMPTY,
	        .out_watch = LOOP_FD_EMPTY,
	        .err_watch = LOOP_FD_EMPTY,
	        .old_flags = {-1, -1, -1},
	        .chunk_max = QREXEC_DATA_MAX_V2,
	        .in = make_sink(config->in_fd),
	        .out = make_source(config->out_fd,
	                           service ? QREXEC_DATA_STDOUT : QREXEC_DATA_STDIN),
	        .err = make_source(service ? config->err_fd : -1, QREXEC_DATA_STDERR),
	        .diag = make_sink(service ? -1 : config->err_fd),
	        .exit_code = config->exit_code,
	        .exit_due =
	                service && (config->no_exit_wait || config->failed || config->just_exec),
	};
	/* A caller without standard input has nothing to say: its end-of-file message is due. */
	call->err.eof_sent = !service;
}

int data_open(struct loop *loop, struct vchan *vchan, const struct data_config *config,
              struct data_call **ret_call)
{
	struct data_call *call = malloc(sizeof(*call));

	if (!call) {
		(void)vchan_close(vchan);
		if (!config->keep_fds) {
			(void)fd_close(config->in_fd);
			if (config->out_fd != config->in_fd)
				(void)fd_close(config->out_fd);
			(void)fd_close(config->err_fd);
		}
		return -1;
	}
	fill_call(call, loop, vchan, config);
	if (watch_all(call) ||
	    (config->open_ms > 0 &&
	     loop_timer_set(loop, &call->deadline, config->open_ms, on_deadline, call))) {
		int saved = errno;

		free_call(call);
		errno = saved;
		return -1;
	}
	if (config->lead)
		data_sink_deliver(call, &call->in, config->lead, config->lead_len);
	call->config.lead = NULL;
	pump_later(call);
	*ret_call = call;
	return 0;
}

void data_process_ended(struct data_call *call, int code)
{
	/* What was only to be started has its answer already. */
	if (call->config.just_exec)
		return;
	call->exit_due = true;
	call->exit_code = code;
	data_sink_close(call, &call->in);
	pump_later(call);
}

void data_use_stdin_socket(struct data_call *call)
{
	if (!call->in.is_socket || call->in.fd < 0 || call->out.fd == call->in.fd)
		return;
	loop_fd_remove(call->loop, &call->out_watch);
	if (!call->config.keep_fds)
		(void)fd_close(call->out.fd);
	call->out.fd = call->in.fd;
	call->out.ready = true;
	call->out.closed = call->out.eof_sent;
	pump_later(call);
}
