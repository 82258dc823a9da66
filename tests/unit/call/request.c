/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a program that makes many calls at once would hang, mix up two answers, or
 * report the end of a call to dom0 while it still goes on.
 */
#include "call/request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "proto/qrexec.h"
#include "tests/unit/unit.h"

struct agent {
	char dir[32];
	char path[64];
	int listener;
	struct loop *loop;
};

struct answer {
	int n; /* how often done() was called */
	enum request_outcome outcome;
	int domain;
	int port;
	struct request **free_it; /* NULL: keep */
};

static void on_done(void *arg, enum request_outcome outcome, int domain, int port)
{
	struct answer *answer = arg;

	answer->n++;
	answer->outcome = outcome;
	answer->domain = domain;
	answer->port = port;
	if (answer->free_it)
		*answer->free_it = request_free(*answer->free_it);
}

static int set_up(void **state)
{
	struct agent *agent = calloc(1, sizeof(*agent));

	assert_non_null(agent);
	memcpy(agent->dir, "/tmp/sk-request-XXXXXX", 23);
	assert_non_null(mkdtemp(agent->dir));
	(void)snprintf(agent->path, sizeof(agent->path), "%s/agent", agent->dir);
	agent->listener = fd_listen_unix(agent->path, SOCK_STREAM | SOCK_NONBLOCK, 0600, 1);
	assert_true(agent->listener >= 0);
	agent->loop = loop_new();
	assert_non_null(agent->loop);
	*state = agent;
	return 0;
}

static int tear_down(void **state)
{
	struct agent *agent = *state;

	loop_free(agent->loop);
	(void)close(agent->listener);
	(void)unlink(agent->path);
	(void)rmdir(agent->dir);
	free(agent);
	return 0;
}

static struct request *ask(struct agent *agent, const char *target, const char *service,
                           struct answer *answer)
{
	const struct request_config config = {
	        .agent_socket = agent->path,
	        .source = "",
	        .target = target,
	        .service = service,
	        .done = on_done,
	        .arg = answer,
	};
	struct request *request = NULL;

	assert_int_equal(request_start(agent->loop, &config, &request), 0);
	assert_int_equal(answer->n, 0);
	return request;
}

static int take(struct agent *agent)
{
	int sock = -1;

	while (sock < 0) {
		assert_int_equal(loop_turn(agent->loop, 1), 0);
		sock = accept(agent->listener, NULL, NULL);
	}
	return sock;
}

static void turn_until(struct agent *agent, const struct answer *answer)
{
	while (answer->n == 0)
		assert_int_equal(loop_turn(agent->loop, 100), 0);
	assert_int_equal(loop_turn(agent->loop, 0), 0);
	assert_int_equal(answer->n, 1);
}

static void send_answer(int sock, uint32_t domain, uint32_t port, size_t len)
{
	uint8_t body[QREXEC_EXEC_LEN];

	qrexec_encode_exec(body, domain, port);
	assert_int_equal(fd_write_all(sock, body, len), 0);
}

static void test_request_message(void **state)
{
	struct answer answer = {0};
	struct request *request = ask(*state, "$adminvm", "a.B+c", &answer);
	int sock = take(*state);
	uint8_t got[QREXEC_HEADER_LEN + QREXEC_TRIGGER4_LEN + 6];
	uint8_t want[sizeof(got)];

	qrexec_encode_header(want, QREXEC_TRIGGER_SERVICE4, sizeof(got) - QREXEC_HEADER_LEN);
	assert_int_equal(qrexec_encode_trigger4(want + 8, "", "@adminvm", "SOCKET"), QREXEC_OK);
	memcpy(want + 8 + QREXEC_TRIGGER4_LEN, "a.B+c", 6);
	assert_int_equal(fd_read_all(sock, got, sizeof(got)), 0);
	assert_memory_equal(got, want, sizeof(got));
	send_answer(sock, 43, 1024, 8);
	turn_until(*state, &answer);
	assert_int_equal(answer.outcome, REQUEST_GRANTED);
	assert_int_equal(answer.domain, 43);
	assert_int_equal(answer.port, 1024);
	/* The connection says that the call goes on: it must still be open. */
	assert_int_equal(recv(sock, got, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	request_free(request);
	assert_int_equal(recv(sock, got, 1, 0), 0);
	(void)close(sock);
}

static const struct {
	const char *what;
	size_t len;
	uint32_t domain;
	uint32_t port;
	enum request_outcome outcome;
} answers[] = {
        {"nothing", 0, 0, 0, REQUEST_REFUSED},
        {"cut after 1", 1, 43, 513, REQUEST_BROKEN},
        {"cut after 7", 7, 43, 513, REQUEST_BROKEN},
        {"dom0", 8, 0, 513, REQUEST_GRANTED},
        {"port 0", 8, 43, 0, REQUEST_BROKEN},
        {"port 2^31", 8, 43, 1U << 31, REQUEST_BROKEN},
        {"port 2^31 - 1", 8, 43, (1U << 31) - 1, REQUEST_GRANTED},
        {"domain 2^31", 8, 1U << 31, 513, REQUEST_BROKEN},
        {"domain 2^32 - 1", 8, UINT32_MAX, 513, REQUEST_BROKEN},
};

static void test_request_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct answer answer = {0};
		struct request *request = ask(*state, "vault", "svc", &answer);
		int sock = take(*state);
		uint8_t sink[512];

		print_message("# %s\n", answers[i].what);
		assert_true(recv(sock, sink, sizeof(sink), 0) > 0);
		send_answer(sock, answers[i].domain, answers[i].port, answers[i].len);
		(void)close(sock);
		turn_until(*state, &answer);
		assert_int_equal(answer.outcome, answers[i].outcome);
		request_free(request);
	}
}

/* The largest name does not fit in a socket's buffer of 4 KiB: it goes in pieces. */
static void test_request_largest_in_pieces(void **state)
{
	struct answer answer = {0};
	static char name[QREXEC_NAME_MAX];
	static uint8_t got[QREXEC_HEADER_LEN + QREXEC_BODY_MAX];
	struct agent *agent = *state;
	struct request *request;
	size_t len = 0;
	int sock;

	memset(name, 'n', sizeof(name) - 1);
	request = ask(agent, "vault", name, &answer);
	sock = take(agent);
	while (len < sizeof(got)) {
		ssize_t n =
		        recv(sock, got + len, MIN(sizeof(got) - len, (size_t)1000), MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			assert_int_equal(loop_turn(agent->loop, 1), 0);
	}
	assert_int_equal(le32_get(got + 4), QREXEC_BODY_MAX);
	send_answer(sock, 1, 513, 8);
	turn_until(agent, &answer);
	assert_int_equal(answer.outcome, REQUEST_GRANTED);
	request_free(request);
	(void)close(sock);
}

static void test_request_texts(void **state)
{
	static char long_name[QREXEC_NAME_MAX + 1];
	static char long_target[QREXEC_TARGET_LEN + 1];
	struct agent *agent = *state;
	struct request *request = NULL;
	struct request_config config = {.agent_socket = agent->path, .source = "", .done = on_done};
	const struct {
		const char *source;
		const char *target;
		const char *service;
		int error;
	} rows[] = {
	        {"", "vault", "", EINVAL},
	        {"", "vault", long_name, EMSGSIZE},
	        {"", long_target, "svc", EMSGSIZE},
	        {long_target, "vault", "svc", EMSGSIZE},
	};

	memset(long_name, 'n', QREXEC_NAME_MAX);
	memset(long_target, 't', QREXEC_TARGET_LEN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		config.source = rows[i].source;
		config.target = rows[i].target;
		config.service = rows[i].service;
		errno = 0;
		assert_int_equal(request_start(agent->loop, &config, &request), -1);
		assert_int_equal(errno, rows[i].error);
		assert_null(request);
	}
	config.agent_socket = "/nonexistent/agent";
	config.source = "";
	config.target = "vault";
	config.service = "svc";
	assert_int_equal(request_start(agent->loop, &config, &request), -1);
	assert_int_equal(errno, ENOENT);
}

/* More at once than the agent's queue of connections takes, freed from within done(). */
static void test_request_many(void **state)
{
	enum { N = 200 };
	static struct answer answer[N];
	static struct request *request[N];
	struct agent *agent = *state;
	static char name[N][16];

	for (int i = 0; i < N; i++) {
		answer[i] = (struct answer){.free_it = &request[i]};
		(void)snprintf(name[i], sizeof(name[i]), "svc+%d", i);
		request[i] = ask(agent, "vault", name[i], &answer[i]);
	}
	for (int i = 0; i < N; i++) {
		char got[QREXEC_HEADER_LEN + QREXEC_TRIGGER4_LEN + 16] = {0};
		int sock = take(agent);
		int which;

		assert_true(recv(sock, got, sizeof(got) - 1, 0) > 0);
		which = (int)strtol(got + QREXEC_HEADER_LEN + QREXEC_TRIGGER4_LEN + 4, NULL, 10);
		send_answer(sock, (uint32_t)which + 1, (uint32_t)which + 1000, 8);
		turn_until(agent, &answer[which]);
		assert_int_equal(answer[which].outcome, REQUEST_GRANTED);
		assert_int_equal(answer[which].domain, which + 1);
		assert_int_equal(answer[which].port, which + 1000);
		assert_null(request[which]);
		(void)close(sock);
	}
}

static void test_request_given_up(void **state)
{
	struct answer answer = {0};
	struct request *request = ask(*state, "vault", "svc", &answer);
	struct agent *agent = *state;
	int sock = take(agent);
	uint8_t sink[512];

	request_free(request);
	assert_true(recv(sock, sink, sizeof(sink), 0) > 0);
	assert_int_equal(recv(sock, sink, sizeof(sink), 0), 0);
	assert_int_equal(loop_turn(agent->loop, 0), 0);
	assert_int_equal(answer.n, 0);
	assert_null(request_free(NULL));
	(void)close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_request_message, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_answers, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_largest_in_pieces, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_texts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_many, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_given_up, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
