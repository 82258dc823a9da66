/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local client of the daemon that says anything in any pieces: byte 0 is the size of the pieces,
 * byte 1 what the others do: 1: the slice takes nothing, 2: no request waits, 4: every port of the
 * pair is taken, 8: one of them comes back at the end. Whatever goes to the slice must be legal, and
 * a client gets a HELLO and one reply at most.
 */
#include "slices/qrexec/local.c"

#include "lib/base/check.h"

#define OWN  42
#define PEER 43

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct keeper keeper;
static const struct keeper_options options = {.xid = OWN, .name = "fuzzed", .user = "user"};
static bool deaf;
static bool alone;
static unsigned int n_commands;

/* What local.c needs of the rest. */

uint64_t keeper_now_ms(void)
{
	return 1;
}

uint64_t keeper_port_wait_ms(const struct keeper *k, uint32_t domain, uint64_t since_ms)
{
	(void)k;
	(void)domain;
	(void)since_ms;
	return 0;
}

int keeper_socket_path(const struct keeper *k, char *dst, size_t len, const char *name)
{
	(void)k;
	(void)dst;
	(void)len;
	(void)name;
	return -1;
}

int slice_link_command(struct keeper *k, const struct keeper_command *command)
{
	static uint8_t packet[KEEPER_PACKET_MAX];

	(void)k;
	CHECK(keeper_encode_command(packet, sizeof(packet), command) > 0);
	n_commands++;
	return deaf ? -1 : 0;
}

int request_connected(struct keeper *k, const char *ident, size_t body_len)
{
	(void)k;
	CHECK(body_len > 0 && ident[body_len - 1] == '\0');
	return alone ? -1 : 0;
}

static void set_up(uint8_t mode)
{
	uint32_t port;

	log_set_fd(-1);
	if (!keeper.loop)
		keeper.loop = loop_new();
	CHECK(keeper.loop);
	keeper.options = &options;
	keeper.local.fd = -1;
	ports_init(&keeper.ports, OWN, 130000);
	deaf = mode & 1;
	alone = mode & 2;
	n_commands = 0;
	for (int i = 0; mode & 4 && i < QREXEC_PORTS / 2; i++)
		CHECK(ports_take(&keeper.ports, PEER, 1, NULL, &port) == 0);
}

static size_t drain(int fd)
{
	uint8_t out[256];
	ssize_t n = recv(fd, out, sizeof(out), MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

/* The bytes in pieces; what came back. */
static size_t talk(int fd, const uint8_t *data, size_t len, size_t piece)
{
	size_t got = drain(fd);

	for (size_t at = 0; at < len && keeper.local.clients;) {
		ssize_t n = send(fd, data + at, MIN(piece, len - at), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		at += (size_t)n;
		on_client(keeper.local.clients, EPOLLIN);
		got += drain(fd);
	}
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int pair[2];
	size_t got;

	if (len < 2 || len > 100000)
		return 0;
	set_up(data[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	admit(&keeper, pair[0]);
	got = talk(pair[1], data + 2, len - 2, data[0] < 4 ? data[0] + 1U : data[0] * 64U);
	if (data[1] & 8 && keeper.local.clients)
		(void)ports_release(&keeper.ports, PEER, QREXEC_PORT_FIRST + 1, 2, NULL);
	got += drain(pair[1]);
	CHECK(got <= QREXEC_HELLO_MESSAGE_LEN + LOCAL_REPLY_LEN);
	CHECK(n_commands <= 1);
	(void)fd_close(pair[1]);
	for (unsigned int i = 0; keeper.local.clients; i++) {
		CHECK(i < 3);
		on_client(keeper.local.clients, EPOLLIN | EPOLLHUP);
	}
	CHECK(keeper.local.n_clients == 0);
	ports_fini(&keeper.ports);
	return 0;
}
