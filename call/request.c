/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request to the agent as a state machine: connecting, sending, waiting, and then only holding
 * the connection open. It does not make the channel and starts no program.
 * Fuzzed by fuzz/request.c, tested by tests/unit/call/request.c and tests/blackbox/client_vm.py.
 */
#include "call/request.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

#define CONNECT_RETRY_MS 2        /* the agent's queue of connections is full; chosen */
#define REQUEST_IDENT    "SOCKET" /* the agent puts its own in place; protocol */

struct request {
	struct loop *loop;
	struct loop_fd source;
	struct loop_timer retry;
	struct loop_defer verdict;
	int sock; /* -1 until connected */
	void (*done)(void *arg, enum request_outcome outcome, int domain, int port);
	void *arg;
	bool decided; /* verdict is set; outcome is valid */
	enum request_outcome outcome;
	uint8_t untrusted_answer[QREXEC_EXEC_LEN];
	size_t answer_len;  /* bytes of it that came */
	char *agent_socket; /* owned; NULL once connected */
	size_t sent;        /* bytes of message */
	size_t message_len;
	uint8_t message[]; /* header and TRIGGER_SERVICE4 */
};

static void report(void *arg)
{
	struct request *request = arg;
	int domain = 0;
	int port = 0;

	if (request->outcome == REQUEST_GRANTED) {
		domain = (int)le32_get(request->untrusted_answer);
		port = (int)le32_get(request->untrusted_answer + 4);
	}
	request->done(request->arg, request->outcome, domain, port);
}

/* The end of the exchange. Reported from the loop, so that request_start() never calls done(). */
static void decide(struct request *request, enum request_outcome outcome)
{
	loop_fd_remove(request->loop, &request->source);
	loop_timer_clear(request->loop, &request->retry);
	request->decided = true;
	request->outcome = outcome;
	loop_defer_set(request->loop, &request->verdict, report, request);
}

/* Any port of a channel will do here: which ones are in use is between dom0 and the peer's agent. */
static bool answer_legal(const uint8_t untrusted_answer[QREXEC_EXEC_LEN])
{
	uint32_t untrusted_domain = le32_get(untrusted_answer);
	uint32_t untrusted_port = le32_get(untrusted_answer + 4);

	return untrusted_domain <= INT_MAX && untrusted_port >= 1 && untrusted_port <= INT_MAX;
}

static void take_answer(struct request *request)
{
	ssize_t n = read(request->sock, request->untrusted_answer + request->answer_len,
	                 sizeof(request->untrusted_answer) - request->answer_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A reset is how a close looks while our message is still unread: it is a refusal too. */
	if (n <= 0 && request->answer_len == 0 && (n == 0 || errno == ECONNRESET)) {
		decide(request, REQUEST_REFUSED);
		return;
	}
	if (n <= 0) {
		LOG("the agent's answer was cut off after %zu bytes", request->answer_len);
		decide(request, REQUEST_BROKEN);
		return;
	}
	request->answer_len += (size_t)n;
	if (request->answer_len < sizeof(request->untrusted_answer))
		return;
	if (answer_legal(request->untrusted_answer)) {
		decide(request, REQUEST_GRANTED);
	} else {
		LOG("the agent's answer names no channel");
		decide(request, REQUEST_BROKEN);
	}
}

static void send_message(struct request *request)
{
	ssize_t n = send(request->sock, request->message + request->sent,
	                 request->message_len - request->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		decide(request, REQUEST_REFUSED);
		return;
	}
	if (n < 0) {
		LOG_ERRNO("send to the agent");
		decide(request, REQUEST_BROKEN);
		return;
	}
	request->sent += (size_t)n;
	if (request->sent == request->message_len)
		loop_fd_set(request->loop, &request->source, EPOLLIN);
}

static void on_agent(void *arg, uint32_t events)
{
	struct request *request = arg;

	if (request->sent < request->message_len)
		send_message(request);
	else
		take_answer(request);
}

/* 0: connected or waiting for a free place; -1 with errno. */
static int connect_agent(struct request *request);

static void on_retry(void *arg)
{
	struct request *request = arg;

	if (connect_agent(request)) {
		LOG_ERRNO("connect to the agent at %s", request->agent_socket);
		decide(request, REQUEST_BROKEN);
	}
}

static int connect_agent(struct request *request)
{
	request->sock = fd_connect_unix(request->agent_socket, SOCK_STREAM | SOCK_NONBLOCK);
	if (request->sock < 0 && errno == EAGAIN)
		return loop_timer_set(request->loop, &request->retry, CONNECT_RETRY_MS, on_retry,
		                      request);
	if (request->sock < 0)
		return -1;
	/* Almost always the whole message fits now, and only the answer is left to wait for. */
	send_message(request);
	if (request->decided)
		return 0;
	return loop_fd_add(request->loop, &request->source, request->sock,
	                   request->sent < request->message_len ? EPOLLOUT : EPOLLIN, on_agent,
	                   request);
}

/* 0, or -1 with errno. The message is complete after it. */
static int fill_message(struct request *request, const struct request_config *config)
{
	char target[QREXEC_TARGET_LEN];
	size_t name_len = strlen(config->service) + 1;

	if (bytes_copy_text(target, sizeof(target), config->target)) {
		errno = EMSGSIZE;
		return -1;
	}
	/* '$' left the legal characters after QSB-038; old callers still write it. */
	for (char *c = target; *c != '\0'; c++) {
		if (*c == '$')
			*c = '@';
	}
	if (qrexec_encode_trigger4(request->message + QREXEC_HEADER_LEN, config->source, target,
	                           REQUEST_IDENT) != QREXEC_OK) {
		errno = EMSGSIZE;
		return -1;
	}
	qrexec_encode_header(request->message, QREXEC_TRIGGER_SERVICE4,
	                     (uint32_t)(QREXEC_TRIGGER4_LEN + name_len));
	memcpy(request->message + QREXEC_HEADER_LEN + QREXEC_TRIGGER4_LEN, config->service,
	       name_len);
	return 0;
}

int request_start(struct loop *loop, const struct request_config *config,
                  struct request **ret_request)
{
	size_t name_len = strlen(config->service) + 1;
	struct request *request;
	size_t message_len;

	if (name_len < 2 || name_len > QREXEC_NAME_MAX) {
		errno = name_len < 2 ? EINVAL : EMSGSIZE;
		return -1;
	}
	message_len = QREXEC_HEADER_LEN + QREXEC_TRIGGER4_LEN + name_len;
	request = calloc(1, sizeof(*request) + message_len);
	if (!request)
		return -1;
	request->loop = loop;
	request->source = (struct loop_fd)LOOP_FD_EMPTY;
	request->sock = -1;
	request->message_len = message_len;
	request->done = config->done;
	request->arg = config->arg;
	request->agent_socket = strdup(config->agent_socket);
	if (!request->agent_socket || fill_message(request, config) || connect_agent(request)) {
		(void)request_free(request);
		return -1;
	}
	*ret_request = request;
	return 0;
}

struct request *request_free(struct request *request)
{
	int saved_errno = errno;

	if (!request)
		return NULL;
	loop_fd_remove(request->loop, &request->source);
	loop_timer_clear(request->loop, &request->retry);
	loop_defer_clear(request->loop, &request->verdict);
	(void)fd_close(request->sock);
	free(request->agent_socket);
	free(request);
	errno = saved_errno;
	return NULL;
}
