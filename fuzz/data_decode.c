/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes from the peer of a data channel. Byte 0 chooses the side and its settings, byte 1 whether
 * a good HELLO goes first; the rest is sent and the channel closed. The call ends exactly once, and
 * nothing reaches the local side that is larger than what was sent.
 */
#include "call/data.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

#define TURNS_MAX 10000
#define INPUT_MAX 65536U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void on_done(void *arg, int status)
{
	int *n = arg;

	(void)status;
	(*n)++;
}

static struct vchan *channel(int fd)
{
	struct vchan_handle handle = {.transport = VCHAN_SOCKET, .n_fds = 1, .send_max = 212992};
	struct vchan *vchan;
	int fds[VCHAN_FDS_MAX] = {fd, -1, -1, -1};

	CHECK(fd_set_blocking(fd, false) == 0);
	CHECK(vchan_import(&handle, fds, &vchan) == 0);
	return vchan;
}

static size_t drain(int fd)
{
	static char junk[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	return total;
}

static void send_input(int fd, bool hello, const uint8_t *data, size_t len)
{
	uint8_t message[QREXEC_HELLO_MESSAGE_LEN];

	qrexec_encode_hello(message, QREXEC_VERSION);
	if (hello)
		CHECK(fd_write_all(fd, message, sizeof(message)) == 0);
	CHECK(fd_write_all(fd, data, len) == 0);
	CHECK(shutdown(fd, SHUT_WR) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int peer[2];
	int local[2];
	int n_done = 0;
	size_t got = 0;
	struct loop *loop = loop_new();
	struct data_call *call;
	struct data_config config;

	log_set_fd(-1);
	CHECK(loop);
	if (len < 2 || len > INPUT_MAX) {
		(void)loop_free(loop);
		return 0;
	}
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, local) == 0);
	config = (struct data_config){
	        .side = data[0] & 1 ? DATA_SERVICE : DATA_CALLER,
	        .hello_after = data[0] & 2,
	        .in_fd = local[0],
	        .out_fd = data[0] & 4 ? local[0] : -1,
	        .err_fd = -1,
	        .filter_out = data[0] & 8,
	        .exit_on_client_eof = data[0] & 16,
	        .no_exit_wait = data[0] & 32,
	        .done = on_done,
	        .arg = &n_done,
	};
	send_input(peer[0], data[1] & 1, data + 2, len - 2);
	CHECK(data_open(loop, channel(peer[1]), &config, &call) == 0);
	for (int i = 0; i < TURNS_MAX && n_done == 0; i++) {
		CHECK(loop_turn(loop, 0) == 0);
		got += drain(local[1]);
		(void)drain(peer[0]);
	}
	got += drain(local[1]);
	CHECK(n_done == 1 && got <= len);
	(void)fd_close(peer[0]);
	(void)fd_close(local[1]);
	(void)loop_free(loop);
	return 0;
}
