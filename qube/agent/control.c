/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel: agent side, vchan server. dom0 is trusted with what it asks, yet nothing that
 * it sends can overrun anything, and nothing here waits for it: large messages go in pieces, and a
 * channel that closes is listened for again while the calls go on.
 * Source: doc/protocol/qrexec.md, sections 4 and 11.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/limits.h"
#include "qube/agent/agent.h"
#include "qube/agent/notify.h"

#define CONTROL_RING   4096U
#define HELLO_LIMIT_MS 60000      /* chosen */
#define MESSAGES_TURN  64         /* messages taken before others get their turn; chosen */
#define QUEUE_HIGH     (1U << 20) /* bytes for dom0 above which local users wait; chosen */
#define RETRY_MS       1000       /* pause after a channel could not be made; chosen */
#define ENDED_MS       2          /* how long the end of a call may wait for company; chosen */

/* A command as long as dom0's client may send, with a longer user name put into it. */
#define BODY_MAX (QREXEC_LOCAL_BODY_MAX + 256U)

struct control {
	struct agent *agent;
	struct vchan *vchan;
	struct loop_fd watch;
	struct loop_timer timer; /* HELLO limit, or pause before listening again */
	struct loop_timer ended; /* ends of calls wait in the queue */
	struct loop_defer again;
	bool hello_awaited; /* somebody is there, and the limit runs */
	bool hello_received;
	bool stopped;

	uint8_t *queue; /* owned; messages for dom0, each until it is written to its last byte */
	size_t queue_off;
	size_t queue_len;
	size_t queue_max;
	size_t queue_sent; /* bytes of the first message that are on the channel */

	uint8_t in[QREXEC_HEADER_LEN + BODY_MAX + 1];
	size_t in_len;
};

static void listen_again(void *arg);

/* Out. */

static int queue_add(struct control *c, const void *data, size_t len)
{
	if (c->queue_off > 0 && c->queue_off + c->queue_len + len > c->queue_max) {
		memmove(c->queue, c->queue + c->queue_off, c->queue_len);
		c->queue_off = 0;
	}
	if (c->queue_len + len > c->queue_max) {
		size_t max = MAX(c->queue_max * 2, c->queue_len + len + 4096);
		uint8_t *grown = realloc(c->queue, max);

		if (!grown)
			return -1;
		c->queue = grown;
		c->queue_max = max;
	}
	if (len > 0)
		memcpy(c->queue + c->queue_off + c->queue_len, data, len);
	c->queue_len += len;
	return 0;
}

/* Bytes of the message at this place of the queue. */
static size_t message_len(const struct control *c, size_t at)
{
	return QREXEC_HEADER_LEN + qrexec_decode_header(c->queue + at).len;
}

/* Forgets the messages that are on the channel to the last byte. */
static void drop_sent(struct control *c)
{
	while (c->queue_len > 0 && c->queue_sent >= message_len(c, c->queue_off)) {
		size_t len = message_len(c, c->queue_off);

		c->queue_off += len;
		c->queue_len -= len;
		c->queue_sent -= len;
	}
	if (c->queue_len == 0)
		c->queue_off = 0;
}

/*
 * The channel is gone. Requests of local users go with it: nobody will answer them. That a call has
 * ended is still news: dom0 keeps its port until it hears of it, on whichever channel. What of it
 * was written may not have been read; to hear it twice does dom0 no harm.
 */
static void keep_terminated(struct control *c)
{
	size_t end = c->queue_off + c->queue_len;
	size_t kept = 0;

	for (size_t at = c->queue_off; at < end;) {
		size_t len = message_len(c, at);

		if (qrexec_decode_header(c->queue + at).type == QREXEC_CONNECTION_TERMINATED) {
			memmove(c->queue + kept, c->queue + at, len);
			kept += len;
		}
		at += len;
	}
	c->queue_off = 0;
	c->queue_len = kept;
	c->queue_sent = 0;
}

static void flush_queue(struct control *c)
{
	size_t before = c->queue_len;

	loop_timer_clear(c->agent->loop, &c->ended);
	while (c->queue_len > 0) {
		size_t left = c->queue_len - c->queue_sent;
		ssize_t n = vchan_write(c->vchan, c->queue + c->queue_off + c->queue_sent, left);

		if (n < 0)
			break;
		c->queue_sent += (size_t)n;
		drop_sent(c);
		if (n == 0 && vchan_writable(c->vchan, left) == 0)
			break;
	}
	if (before > QUEUE_HIGH && c->queue_len <= QUEUE_HIGH)
		trigger_control_changed(c->agent, false);
}

static void queue_message(struct control *c, uint32_t type, const void *body, size_t len,
                          const void *more, size_t more_len)
{
	uint8_t header[QREXEC_HEADER_LEN];
	size_t before = c->queue_len;

	if (c->stopped)
		return;
	qrexec_encode_header(header, type, (uint32_t)(len + more_len));
	if (queue_add(c, header, sizeof(header)) || queue_add(c, body, len) ||
	    queue_add(c, more, more_len)) {
		c->queue_len = before;
		LOG("no memory for a message to dom0");
	}
}

void control_send(struct agent *agent, uint32_t type, const void *body, size_t len,
                  const void *more, size_t more_len)
{
	struct control *c = agent->control;

	queue_message(c, type, body, len, more, more_len);
	if (c->hello_received)
		flush_queue(c);
}

static void on_ended(void *arg)
{
	struct control *c = arg;

	if (c->hello_received)
		flush_queue(c);
}

/* Nobody waits for this one, and it wakes three processes: the next message takes it along. */
void control_send_terminated(struct agent *agent, uint32_t domain, uint32_t port)
{
	struct control *c = agent->control;
	uint8_t body[QREXEC_EXEC_LEN];

	qrexec_encode_exec(body, domain, port);
	queue_message(c, QREXEC_CONNECTION_TERMINATED, body, sizeof(body), NULL, 0);
	if (c->ended.index == 0 && c->hello_received &&
	    loop_timer_set(agent->loop, &c->ended, ENDED_MS, on_ended, c))
		flush_queue(c);
}

bool control_ready(const struct agent *agent)
{
	return agent->control->hello_received && agent->control->queue_len <= QUEUE_HIGH;
}

/* In. */

static void fail(struct control *c, const char *why)
{
	LOG("control channel: %s", why);
	loop_stop(c->agent->loop, 1);
}

static int take_hello(struct control *c, const struct qrexec_header *header, const uint8_t *body)
{
	uint32_t version;

	if (qrexec_decode_hello(header, body, QREXEC_VERSION_MIN, &version) != QREXEC_OK) {
		fail(c, "no HELLO, or of a version that is too old");
		return -1;
	}
	c->hello_received = true;
	loop_timer_clear(c->agent->loop, &c->timer);
	flush_queue(c);
	notify_ready();
	trigger_control_changed(c->agent, false);
	return 0;
}

static int take_message(struct control *c, const struct qrexec_header *header, uint8_t *body)
{
	struct qrexec_exec exec;

	if (header->type == QREXEC_SERVICE_REFUSED) {
		char ident[QREXEC_IDENT_LEN + 1] = "";

		memcpy(ident, body, QREXEC_IDENT_LEN);
		trigger_refuse(c->agent, ident);
		return 0;
	}
	/* dom0's command lines end in NUL; one that does not is made to. */
	body[header->len - 1] = '\0';
	exec.domain = le32_get(body);
	exec.port = le32_get(body + 4);
	exec.command = (const char *)body + QREXEC_EXEC_LEN;
	notify_meminfo(c->agent);
	if (header->type == QREXEC_SERVICE_CONNECT)
		trigger_connect(c->agent, exec.command, exec.domain, exec.port);
	else
		calls_start(c->agent, header->type == QREXEC_JUST_EXEC, exec.domain, exec.port,
		            exec.command);
	return 0;
}

static bool header_legal(const struct control *c, const struct qrexec_header *header)
{
	if (!c->hello_received)
		return header->type == QREXEC_HELLO && header->len == QREXEC_HELLO_LEN;
	switch (header->type) {
	case QREXEC_EXEC_CMDLINE:
	case QREXEC_JUST_EXEC:
	case QREXEC_SERVICE_CONNECT:
		return header->len > QREXEC_EXEC_LEN && header->len <= BODY_MAX;
	case QREXEC_SERVICE_REFUSED:
		return header->len == QREXEC_IDENT_LEN;
	default:
		return false;
	}
}

/* Fills in[] up to need bytes. Returns whether they are there. */
static bool fill(struct control *c, size_t need)
{
	while (c->in_len < need) {
		ssize_t n = vchan_read(c->vchan, c->in + c->in_len, need - c->in_len);

		if (n < 0)
			return false;
		if (n == 0 && vchan_readable(c->vchan, 1) == 0)
			return false;
		c->in_len += (size_t)n;
	}
	return true;
}

/* One message, if it is there. 1: done; 0: not yet; -1: the agent ends. */
static int receive(struct control *c)
{
	struct qrexec_header header;
	int r;

	if (!fill(c, QREXEC_HEADER_LEN))
		return 0;
	header = qrexec_decode_header(c->in);
	if (!header_legal(c, &header)) {
		LOG("control channel: type 0x%x, %u bytes", header.type, header.len);
		fail(c, "a message that is not legal here");
		return -1;
	}
	if (!fill(c, QREXEC_HEADER_LEN + header.len))
		return 0;
	c->in_len = 0;
	if (!c->hello_received)
		r = take_hello(c, &header, c->in + QREXEC_HEADER_LEN);
	else
		r = take_message(c, &header, c->in + QREXEC_HEADER_LEN);
	return r ? -1 : 1;
}

static void on_control(void *arg, uint32_t events);

static void on_again(void *arg)
{
	on_control(arg, 0);
}

static void lost(struct control *c);

static void on_hello_limit(void *arg)
{
	struct control *c = arg;

	LOG("control channel: no HELLO within the limit");
	lost(c);
}

static void await_hello(struct control *c)
{
	c->hello_awaited = true;
	if (loop_timer_set(c->agent->loop, &c->timer, deadline_ms(HELLO_LIMIT_MS), on_hello_limit,
	                   c))
		LOG("no memory for a timer");
}

static void lost(struct control *c)
{
	LOG("control channel: %s; waiting for dom0 again", vchan_why(c->vchan));
	loop_fd_remove(c->agent->loop, &c->watch);
	loop_defer_clear(c->agent->loop, &c->again);
	loop_timer_clear(c->agent->loop, &c->timer);
	c->vchan = vchan_close(c->vchan);
	c->hello_received = false;
	c->in_len = 0;
	c->hello_awaited = false;
	keep_terminated(c);
	loop_timer_clear(c->agent->loop, &c->ended);
	trigger_control_changed(c->agent, true);
	listen_again(c);
}

static void on_control(void *arg, uint32_t events)
{
	struct control *c = arg;
	int r = 1;

	(void)events;
	if (vchan_step(c->vchan) == VCHAN_OPEN && !c->hello_awaited)
		await_hello(c);
	if (c->hello_received && c->ended.index == 0)
		flush_queue(c);
	for (int i = 0; i < MESSAGES_TURN && r > 0; i++)
		r = receive(c);
	if (r > 0)
		loop_defer_set(c->agent->loop, &c->again, on_again, c);
	else if (r == 0 && vchan_state(c->vchan) == VCHAN_CLOSED)
		lost(c);
}

/* Our HELLO is written before anybody is there: the channel keeps it for its client. */
static int listen_now(struct control *c)
{
	uint8_t hello[QREXEC_HELLO_MESSAGE_LEN];
	struct vchan_config config;

	if (vchan_config_from_env(&config))
		return -1;
	config.peer = 0;
	config.port = QREXEC_PORT_CONTROL;
	config.read_min = config.write_min = CONTROL_RING;
	if (vchan_listen(&config, &c->vchan))
		return -1;
	qrexec_encode_hello(hello, QREXEC_VERSION);
	if (vchan_write_message(c->vchan, hello, sizeof(hello), NULL, 0) ||
	    loop_fd_add(c->agent->loop, &c->watch, vchan_fd(c->vchan), EPOLLIN, on_control, c)) {
		loop_fd_remove(c->agent->loop, &c->watch);
		c->vchan = vchan_close(c->vchan);
		return -1;
	}
	return 0;
}

static void listen_again(void *arg)
{
	struct control *c = arg;

	if (listen_now(c) == 0)
		return;
	LOG_ERRNO("control channel: cannot listen");
	if (loop_timer_set(c->agent->loop, &c->timer, RETRY_MS, listen_again, c))
		loop_stop(c->agent->loop, 1);
}

int control_start(struct agent *agent)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return -1;
	c->agent = agent;
	c->watch = (struct loop_fd)LOOP_FD_EMPTY;
	agent->control = c;
	return listen_now(c);
}

void control_stop(struct agent *agent)
{
	struct control *c = agent->control;

	c->stopped = true;
	c->hello_received = false;
	loop_timer_clear(agent->loop, &c->ended);
	loop_timer_clear(agent->loop, &c->timer);
	loop_defer_clear(agent->loop, &c->again);
	loop_fd_remove(agent->loop, &c->watch);
	c->vchan = vchan_close(c->vchan);
}
