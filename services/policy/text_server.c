/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "proto/limits.h"

/*
 * One question a connection: policy.sock and the two Eval sockets. A client that does not finish its
 * question in time is closed; one that goes away takes its prompt with it.
 * Source: doc/protocol/policy.md, Request; policy.EvalSimple, policy.EvalGUI.
 */

#define REQUEST_MAX      (3U * POLICY_LINE_MAX) /* bytes of a question; chosen: three full lines */
#define EVAL_HEADER_MAX  (QREXEC_NAME_MAX + 256U)
#define EVAL_PAYLOAD_MAX 96U /* protocol */
#define EVAL_SOURCE_MAX  31U
#define EVAL_TARGET_MAX  63U
#define REPLY_MAX        (QREXEC_NAME_MAX + 4096U)

struct listener {
	struct service *s;
	struct loop_fd source;
	enum text_kind kind;
};

struct client {
	struct owner owner;
	struct service *s;
	enum text_kind kind;
	int fd;
	struct loop_fd source;
	struct loop_timer timer;
	struct loop_defer gone;
	char *data; /* room bytes, and one more for a NUL */
	size_t len, room, looked;
	char *reply; /* what the socket did not take at once */
	size_t reply_at, reply_len;
};

static unsigned int clients;

static void client_free(struct client *c)
{
	char rest[4096];
	int i;

	service_forget(c->s, &c->owner);
	loop_fd_remove(c->s->loop, &c->source);
	loop_timer_clear(c->s->loop, &c->timer);
	loop_defer_clear(c->s->loop, &c->gone);
	/* A close with unread bytes would reach the client as an error instead of an end. */
	for (i = 0; i < 32; i++)
		if (recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	fd_close(c->fd);
	free(c->data);
	free(c->reply);
	free(c);
	clients--;
}

static void free_later(void *arg)
{
	client_free(arg);
}

/* From here on nothing of the client is used; it goes at the end of the turn. */
static void client_done(struct client *c)
{
	loop_fd_remove(c->s->loop, &c->source);
	loop_defer_set(c->s->loop, &c->gone, free_later, c);
}

static void on_timeout(void *arg)
{
	struct client *c = arg;

	LOG_QUBE(&c->s->limit, "a client of the policy sockets is too slow");
	client_done(c);
}

static void send_reply(struct client *c)
{
	while (c->reply_at < c->reply_len) {
		ssize_t n = send(c->fd, c->reply + c->reply_at, c->reply_len - c->reply_at,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		c->reply_at += (size_t)n;
	}
	client_done(c);
}

static void on_writable(void *arg, uint32_t events)
{
	send_reply(arg);
}

/* Almost always the socket takes it all at once; else the rest waits for a while. */
static void reply(struct client *c, const char *text, size_t len)
{
	ssize_t n = send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		n = 0;
	if (n < 0 || (size_t)n == len) {
		client_done(c);
		return;
	}
	c->reply_len = len - (size_t)n;
	c->reply = malloc(c->reply_len);
	loop_fd_remove(c->s->loop, &c->source);
	if (!c->reply ||
	    loop_timer_set(c->s->loop, &c->timer, LIMIT_LOCAL_HELLO_MS, on_timeout, c) ||
	    loop_fd_add(c->s->loop, &c->source, c->fd, EPOLLOUT, on_writable, c)) {
		client_done(c);
		return;
	}
	memcpy(c->reply, text + n, c->reply_len);
}

static void on_answer(struct owner *owner, uint32_t id, const struct policy_answer *answer,
                      bool just)
{
	static char text[REPLY_MAX];
	struct client *c = CONTAINER_OF(owner, struct client, owner);
	ssize_t n;

	/* The Eval sockets end their one line; policy.sock does not. */
	n = policy_encode_text(text, sizeof(text) - 1, answer, just || c->kind != TEXT_POLICY);
	if (n > 0 && c->kind != TEXT_POLICY)
		text[n++] = '\n';
	if (n > 0)
		reply(c, text, (size_t)n);
	else
		client_done(c);
}

static void on_hangup(void *arg, uint32_t events)
{
	client_done(arg);
}

/* The whole question is here: read no more of it, but notice if the client goes. */
static void stop_reading(struct client *c)
{
	loop_timer_clear(c->s->loop, &c->timer);
	loop_fd_set(c->s->loop, &c->source, 0);
	c->source.fn = on_hangup;
}

static void ask_policy(struct client *c)
{
	const struct ask_rules rules = {0};
	struct policy_question question;

	stop_reading(c);
	/* Somebody who only looked whether the service is there. */
	if (c->len == 0) {
		client_done(c);
		return;
	}
	if (policy_decode_question_text(c->data, c->len, &question)) {
		LOG_QUBE(&c->s->limit, "a malformed question on the policy socket");
		client_done(c);
		return;
	}
	service_ask(c->s, &c->owner, &question, &rules);
}

/* A word that may be a qube or a keyword, as the Eval sockets allow them. */
static bool word_legal(const char *text, size_t max)
{
	size_t len = strlen(text);

	return len > 0 && len <= max &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@_.-") ==
	               len;
}

/* "policy.EvalX+SERVICE CALLER …" NUL SOURCE NUL TARGET; -1: not this. */
static int decode_eval(struct client *c, struct policy_question *question, const char **ret_caller)
{
	const char *name = c->kind == TEXT_EVAL_GUI ? "policy.EvalGUI+" : "policy.EvalSimple+";
	size_t header = strnlen(c->data, c->len), payload;
	char *space, *source = c->data + header + 1, *target;

	c->data[c->len] = 0;
	if (header >= c->len || strncmp(c->data, name, strlen(name)) != 0)
		return -1;
	payload = c->len - header - 1;
	target = memchr(source, 0, payload);
	if (payload > EVAL_PAYLOAD_MAX || !target)
		return -1;
	target++;
	if (strlen(target) != payload - (size_t)(target - source))
		return -1;
	space = strchr(c->data, ' ');
	if (!space)
		return -1;
	*space++ = 0;
	*ret_caller = space;
	space[strcspn(space, " ")] = 0;
	*question = (struct policy_question){
	        .flags = POLICY_JUST_EVALUATE | POLICY_ASSUME_YES,
	        .source = source,
	        .requested_source = "",
	        .target = target,
	        .service = c->data + strlen(name),
	};
	if (!question->service[0] || question->service[0] == '+')
		return -1;
	return word_legal(source, EVAL_SOURCE_MAX) && word_legal(target, EVAL_TARGET_MAX) ? 0 : -1;
}

static void ask_eval(struct client *c)
{
	struct ask_rules rules = {.eval = true};
	struct policy_question question;
	const char *caller;

	stop_reading(c);
	if (c->len == 0) {
		client_done(c);
		return;
	}
	if (decode_eval(c, &question, &caller)) {
		LOG_QUBE(&c->s->limit, "a malformed question on a policy.Eval socket");
		client_done(c);
		return;
	}
	if (c->kind == TEXT_EVAL_GUI)
		rules.caller = caller;
	service_ask(c->s, &c->owner, &question, &rules);
}

static size_t request_max(const struct client *c)
{
	return c->kind == TEXT_POLICY ? REQUEST_MAX : EVAL_HEADER_MAX + EVAL_PAYLOAD_MAX;
}

/* Room for more of the question; -1: it is too long. */
static int client_room(struct client *c)
{
	size_t room = c->room ? c->room * 4 : 1024;
	char *data;

	if (c->len < c->room)
		return 0;
	if (c->room >= request_max(c))
		return -1;
	data = realloc(c->data, room + 1);
	if (!data)
		return -1;
	c->data = data;
	c->room = room;
	return 0;
}

static void on_readable(void *arg, uint32_t events)
{
	struct client *c = arg;
	ssize_t n;

	if (client_room(c)) {
		LOG_QUBE(&c->s->limit, "a question on a policy socket is too long");
		client_done(c);
		return;
	}
	n = recv(c->fd, c->data + c->len, c->room - c->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_done(c);
		return;
	}
	c->len += (size_t)n;
	if (c->kind != TEXT_POLICY) {
		if (n == 0)
			ask_eval(c);
		return;
	}
	if (n == 0 || policy_question_text_end(c->data, c->len, c->looked) > 0)
		ask_policy(c);
	c->looked = c->len;
}

static void client_new(struct listener *l, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_close(fd);
		return;
	}
	clients++;
	c->s = l->s;
	c->kind = l->kind;
	c->fd = fd;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	c->owner.done = on_answer;
	if (loop_timer_set(c->s->loop, &c->timer, LIMIT_LOCAL_HELLO_MS, on_timeout, c) ||
	    loop_fd_add(c->s->loop, &c->source, fd, EPOLLIN, on_readable, c))
		client_free(c);
}

static void on_connect(void *arg, uint32_t events)
{
	struct listener *l = arg;
	int fd = -1;

	if (service_look(l->s))
		fd = accept4(l->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (clients >= SERVER_TEXT_CLIENTS) {
		LOG_QUBE(&l->s->limit, "too many clients of the policy sockets");
		fd_close(fd);
		return;
	}
	client_new(l, fd);
}

int text_server_start(struct service *s, int fd, enum text_kind kind)
{
	static struct listener listeners[TEXT_EVAL_GUI + 1];
	struct listener *l = &listeners[kind];

	*l = (struct listener){.s = s, .source = LOOP_FD_EMPTY, .kind = kind};
	return loop_fd_add(s->loop, &l->source, fd, EPOLLIN, on_connect, l);
}
