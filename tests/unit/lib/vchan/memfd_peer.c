/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* If this fails, a qube that does not empty its doorbell, or rings ours all the time, stops others. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vchan/vchan.h"
#include "tests/unit/lib/vchan/stock.h"

/*
 * The memfd transport against a peer that is not ours: the rendezvous by hand, then the algorithm of
 * libxenvchan (stock.c) over the memfd, and one byte on the socket for an event.
 */

#define ORDER    12U
#define AREA     (4096U * 3)
#define LIMIT_MS 60000 /* only reached by a bug: then a test fails instead of standing still */

static char dir[] = "/tmp/skerry-memfd-XXXXXX";

struct peer {
	struct stock stock;
	int sock;
};

static void ring_bell(void *arg)
{
	(void)send(((struct peer *)arg)->sock, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Takes events until there is none; whether there was one. */
static bool take_bells(struct peer *peer)
{
	char bells[512];
	bool any = false;

	while (recv(peer->sock, bells, sizeof(bells), MSG_DONTWAIT) > 0)
		any = true;
	return any;
}

static void stock_over(struct peer *peer, int memfd, bool server)
{
	uint8_t *map = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	peer->stock = (struct stock){.page = map,
	                             .left = map + stock_place(ORDER, ORDER, true),
	                             .right = map + stock_place(ORDER, ORDER, false),
	                             .left_order = ORDER,
	                             .right_order = ORDER,
	                             .server = server,
	                             .notify = ring_bell,
	                             .notify_arg = peer};
}

static struct vchan_config config_for(bool server)
{
	return (struct vchan_config){.transport = VCHAN_MEMFD,
	                             .dir = dir,
	                             .own = server ? 1 : 2,
	                             .peer = server ? 2 : 1,
	                             .port = 7,
	                             .read_min = 4096,
	                             .write_min = 4096};
}

static bool has_event(struct vchan *vchan, int ms)
{
	struct pollfd wait = {.fd = vchan_fd(vchan), .events = POLLIN};

	return poll(&wait, 1, ms) == 1;
}

static void next_event(struct vchan *vchan)
{
	assert_true(has_event(vchan, LIMIT_MS));
	(void)vchan_step(vchan);
}

static void rendezvous_path(struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/vchan.1.2.7.memfd", dir);
}

/* Our client, and a server made by hand. */
static struct vchan *client_of(struct peer *peer)
{
	struct vchan_config config = config_for(false);
	uint8_t hello[16] = "skvchan1";
	struct sockaddr_un addr;
	struct vchan *vchan;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int memfd = memfd_create("stock", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	rendezvous_path(&addr);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(vchan_connect(&config, &vchan), 0);
	peer->sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer->sock >= 0);
	assert_int_equal(ftruncate(memfd, AREA), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	stock_over(peer, memfd, true);
	stock_format(peer->stock.page, ORDER, ORDER);
	le32_put(hello + 8, ORDER);
	le32_put(hello + 12, ORDER);
	assert_int_equal(fd_send_message(peer->sock, hello, sizeof(hello), &memfd, 1), 16);
	(void)close(memfd);
	(void)close(listener);
	(void)unlink(addr.sun_path);
	while (vchan_state(vchan) == VCHAN_WAITING)
		next_event(vchan);
	return vchan;
}

/* Our server, and a client made by hand. */
static struct vchan *server_of(struct peer *peer)
{
	struct vchan_config config = config_for(true);
	struct sockaddr_un addr;
	struct vchan *vchan;
	int fds[FD_PASS_MAX];
	uint8_t hello[16];
	size_t n_fds;

	assert_int_equal(vchan_listen(&config, &vchan), 0);
	rendezvous_path(&addr);
	peer->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(peer->sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	next_event(vchan);
	assert_int_equal(vchan_state(vchan), VCHAN_WAITING);
	assert_int_equal(fd_recv_message(peer->sock, hello, sizeof(hello), fds, &n_fds), 16);
	assert_int_equal(n_fds, 1);
	assert_memory_equal(hello, "skvchan1", 8);
	assert_int_equal(le32_get(hello + 8), ORDER);
	assert_int_equal(le32_get(hello + 12), ORDER);
	stock_over(peer, fds[0], false);
	(void)close(fds[0]);
	stock_hello(&peer->stock);
	while (vchan_state(vchan) == VCHAN_WAITING)
		next_event(vchan);
	return vchan;
}

static void end(struct vchan *vchan, struct peer *peer)
{
	(void)vchan_close(vchan);
	assert_false(stock_peer_is_live(&peer->stock));
	(void)munmap(peer->stock.page, AREA);
	(void)close(peer->sock);
}

/* All that the peer can do now: it sends back what comes. */
static void echo_turn(struct peer *peer)
{
	static uint8_t held[700];
	static size_t n_held;

	for (;;) {
		size_t n;

		if (n_held == 0)
			n_held = stock_read(&peer->stock, held, sizeof(held));
		if (n_held == 0)
			return;
		n = stock_write(&peer->stock, held, n_held);
		if (n == 0)
			return;
		memmove(held, held + n, n_held - n);
		n_held -= n;
	}
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 31 >> 3);
}

/* All that we can do now. */
static void our_turn(struct vchan *vchan, uint32_t *sent, uint32_t *got, uint32_t total)
{
	uint8_t buf[1000];
	ssize_t n;

	do {
		for (uint32_t i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(*sent + i);
		n = vchan_write(vchan, buf, MIN(sizeof(buf), (size_t)(total - *sent)));
		assert_true(n >= 0);
		*sent += (uint32_t)n;
	} while (n > 0);
	while ((n = vchan_read(vchan, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++, (*got)++)
			assert_int_equal(buf[i], byte_at(*got));
	}
	assert_int_equal(n, 0);
}

/*
 * 1 MiB there and back. One thread plays both: each moves only after an event of its own. If neither
 * has one before all bytes are through, a wake-up was lost.
 */
static void echo_all(struct vchan *vchan, struct peer *peer)
{
	const uint32_t total = 1U << 20;
	uint32_t sent = 0, got = 0;

	our_turn(vchan, &sent, &got, total);
	while (got < total) {
		bool theirs = take_bells(peer), ours;

		if (theirs)
			echo_turn(peer);
		ours = has_event(vchan, 0);
		if (ours) {
			(void)vchan_step(vchan);
			our_turn(vchan, &sent, &got, total);
		}
		assert_true(ours || theirs);
	}
}

static void test_stock_server(void **state)
{
	struct peer peer;
	struct vchan *vchan = client_of(&peer);

	echo_all(vchan, &peer);
	end(vchan, &peer);
}

static void test_stock_client(void **state)
{
	struct peer peer;
	struct vchan *vchan = server_of(&peer);

	echo_all(vchan, &peer);
	end(vchan, &peer);
}

/*
 * The peer never takes an event, and asks for one each time. A write to it that could wait would
 * stand still here after a few hundred.
 */
static void never_drained(struct vchan *vchan, struct peer *peer)
{
	int waiting = 0;
	char byte;

	for (int i = 0; i < 20000; i++) {
		peer->stock.page[peer->stock.server ? 22 : 23] = 3;
		assert_int_equal(vchan_write(vchan, "x", 1), 1);
		assert_int_equal(stock_read(&peer->stock, &byte, 1), 1);
	}
	assert_int_equal(vchan_state(vchan), VCHAN_OPEN);
	/* Most events found no place, or this shows nothing. */
	while (recv(peer->sock, &byte, 1, MSG_DONTWAIT) == 1)
		waiting++;
	assert_in_range(waiting, 1, 10000);
	/* Before it sleeps it looks, which asks for an event. */
	echo_turn(peer);
	echo_all(vchan, peer);
}

static void test_never_drained(void **state)
{
	struct peer peer;
	struct vchan *vchan = client_of(&peer);

	never_drained(vchan, &peer);
	end(vchan, &peer);
	vchan = server_of(&peer);
	never_drained(vchan, &peer);
	end(vchan, &peer);
}

/* It may also make the descriptor that both hold blocking: there is none. */
static void test_peer_sets_flags(void **state)
{
	struct peer peer;
	struct vchan *vchan = client_of(&peer);

	assert_int_equal(fcntl(peer.sock, F_SETFL, 0), 0);
	never_drained(vchan, &peer);
	end(vchan, &peer);
}

/* A doorbell that never stops: each step is bounded, and the bytes still come through (H9). */
static void test_flood(void **state)
{
	struct peer peer;
	struct vchan *vchan = server_of(&peer);
	char buf[4096];

	for (int i = 0; i < 2000; i++) {
		while (send(peer.sock, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		assert_true(has_event(vchan, 0));
		assert_int_equal(vchan_step(vchan), VCHAN_OPEN);
		assert_int_equal(vchan_readable(vchan, 1), 0);
	}
	assert_int_equal(stock_write(&peer.stock, "through", 7), 7);
	while (vchan_readable(vchan, 7) < 7)
		next_event(vchan);
	assert_int_equal(vchan_read(vchan, buf, sizeof(buf)), 7);
	while (has_event(vchan, 0))
		(void)vchan_step(vchan);
	end(vchan, &peer);
}

/* Out-of-band bytes and descriptors are no events, and wake nobody for ever. */
static void test_strange_bells(void **state)
{
	struct peer peer;
	struct vchan *vchan = server_of(&peer);
	int fds[2] = {0, 1};

	for (int i = 0; i < 100; i++) {
		(void)send(peer.sock, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB);
		assert_int_equal(fd_send_message(peer.sock, "fd", 2, fds, 2), 2);
	}
	for (int i = 0; i < 1000 && has_event(vchan, 0); i++)
		assert_int_equal(vchan_step(vchan), VCHAN_OPEN);
	assert_false(has_event(vchan, 0));
	echo_all(vchan, &peer);
	end(vchan, &peer);
}

/* Whoever handed the channel on has taken the event of the first bytes. */
static void test_event_after_import(void **state)
{
	struct vchan_handle handle;
	int fds[VCHAN_FDS_MAX];
	struct peer peer;
	struct vchan *vchan = server_of(&peer);
	char buf[8];

	assert_int_equal(stock_write(&peer.stock, "early", 5), 5);
	while (has_event(vchan, 0))
		(void)vchan_step(vchan);
	assert_int_equal(vchan_export(vchan, &handle, fds), 0);
	assert_int_equal(vchan_import(&handle, fds, &vchan), 0);
	assert_true(has_event(vchan, 0));
	assert_int_equal(vchan_step(vchan), VCHAN_OPEN);
	assert_false(has_event(vchan, 0));
	assert_int_equal(vchan_read(vchan, buf, sizeof(buf)), 5);
	echo_all(vchan, &peer);
	end(vchan, &peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        {"vchan-memfd a stock server", test_stock_server, NULL, NULL, NULL},
	        {"vchan-memfd a stock client", test_stock_client, NULL, NULL, NULL},
	        {"vchan-memfd a peer that takes no event", test_never_drained, NULL, NULL, NULL},
	        {"vchan-memfd the flags of the socket", test_peer_sets_flags, NULL, NULL, NULL},
	        {"vchan-memfd events without end", test_flood, NULL, NULL, NULL},
	        {"vchan-memfd strange events", test_strange_bells, NULL, NULL, NULL},
	        {"vchan-memfd an event after import", test_event_after_import, NULL, NULL, NULL},
	};
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(LIMIT_MS / 1000 * 2);
	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests_name("memfd_peer", tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
