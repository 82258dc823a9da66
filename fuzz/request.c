/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an agent may answer to a request: byte 0 says after how many bytes the first write is cut,
 * the rest is written and the connection closed. One outcome, and a granted one names a channel.
 */
#include "call/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
	char path[64];
	int listener;
	struct loop *loop;
} agent = {.listener = -1};

static void set_up(void)
{
	char dir[] = "/tmp/sk-fuzz-XXXXXX";

	CHECK(mkdtemp(dir) != NULL);
	(void)snprintf(agent.path, sizeof(agent.path), "%s/agent", dir);
	agent.listener = fd_listen_unix(agent.path, SOCK_STREAM, 0600, 4);
	agent.loop = loop_new();
	CHECK(agent.listener >= 0 && agent.loop);
	log_set_fd(-1);
}

struct answer {
	int n;
	enum request_outcome outcome;
	int domain;
	int port;
};

static void on_done(void *arg, enum request_outcome outcome, int domain, int port)
{
	struct answer *answer = arg;

	*answer = (struct answer){answer->n + 1, outcome, domain, port};
}

static void check_answer(const struct answer *answer, const uint8_t *sent, size_t len)
{
	CHECK(answer->n == 1);
	CHECK((answer->outcome == REQUEST_REFUSED) == (len == 0));
	if (answer->outcome != REQUEST_GRANTED) {
		CHECK(answer->domain == 0 && answer->port == 0);
		return;
	}
	CHECK(len >= 8 && answer->domain >= 0 && answer->port >= 1);
	CHECK((uint32_t)answer->domain == le32_get(sent));
	CHECK((uint32_t)answer->port == le32_get(sent + 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct answer answer = {0};
	struct request_config config = {
	        .source = "",
	        .target = "t",
	        .service = "s",
	        .done = on_done,
	        .arg = &answer,
	};
	struct request *request;
	size_t cut;
	int sock;

	if (agent.listener < 0)
		set_up();
	if (len < 1 || len > 4096)
		return 0;
	config.agent_socket = agent.path;
	CHECK(request_start(agent.loop, &config, &request) == 0);
	sock = accept(agent.listener, NULL, NULL);
	CHECK(sock >= 0);
	cut = MIN((size_t)data[0], len - 1);
	CHECK(fd_write_all(sock, data + 1, cut) == 0);
	CHECK(loop_turn(agent.loop, 0) == 0);
	/* The answer may be complete, and the request need not read what follows. */
	if (answer.n == 0)
		CHECK(fd_write_all(sock, data + 1 + cut, len - 1 - cut) == 0);
	CHECK(shutdown(sock, SHUT_WR) == 0);
	while (answer.n == 0)
		CHECK(loop_turn(agent.loop, -1) == 0);
	CHECK(loop_turn(agent.loop, 0) == 0);
	check_answer(&answer, data + 1, len - 1);
	request_free(request);
	(void)close(sock);
	return 0;
}
