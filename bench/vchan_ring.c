/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk from one process to another, as ratios to a plain pipe and to the bare ring: what the
 * transports of lib/vchan cost. Each way moves the same bytes, in pieces of 64 KiB.
 *
 *   pipe      write(2) and read(2) on a pipe
 *   ring      ring.c over shared memory, no system call but to wait: each side sleeps on a futex(2)
 *             until the other one has moved on, told as the rings ask for it
 *   ring64    the same with rings of 64 KiB
 *   spin      the same, but waiting is sched_yield(2), and no event is ever sent
 *   memfd     vchan_write() and vchan_read(), with events
 *   socket    the same over the socket transport
 *   splice    a pipe on both ends of the socket transport: vchan_from_pipe() and vchan_to_fd()
 *   splice1M  the same with pipes of 1 MiB, filled and emptied in pieces of 256 KiB
 *   copy      the same with pipes of 64 KiB, by read(2) and vchan_write(), vchan_read() and write(2)
 *   copymem   the same over memfd
 *   pipemem   as splice over memfd: readv(2) into the ring and writev(2) from it
 *
 * usage: bench-vchan-ring [WAY...]   (pipe and ring always)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/vchan/ring.h"
#include "lib/vchan/vchan.h"

#define BULK  (1ULL << 30) /* bytes */
#define PIECE (64U << 10)
#define BLOCK (256U << 10)
#define ORDER 19U /* as memfd makes a ring that 64 KiB were asked for */
#define RUNS  5

static char piece[BLOCK];
static char dir[] = "/tmp/skerry-bench-XXXXXX";

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void event(struct vchan *vchan)
{
	struct pollfd p = {.fd = vchan_fd(vchan), .events = POLLIN};

	CHECK(poll(&p, 1, -1) == 1 || errno == EINTR);
	(void)vchan_step(vchan);
}

static struct vchan *channel(enum vchan_transport transport, bool is_server)
{
	struct vchan_config config = {.transport = transport,
	                              .dir = dir,
	                              .own = is_server ? 1 : 2,
	                              .peer = is_server ? 2 : 1,
	                              .port = 513,
	                              .read_min = PIECE,
	                              .write_min = PIECE};
	struct vchan *vchan;

	CHECK((is_server ? vchan_listen(&config, &vchan) : vchan_connect(&config, &vchan)) == 0);
	while (vchan_state(vchan) == VCHAN_WAITING)
		event(vchan);
	return vchan;
}

static void vchan_send(enum vchan_transport transport, const int fds[2])
{
	struct vchan *vchan = channel(transport, false);

	for (uint64_t sent = 0; sent < BULK;) {
		ssize_t n = vchan_write(vchan, piece, PIECE);

		CHECK(n >= 0);
		sent += (uint64_t)n;
		if (n == 0)
			event(vchan);
	}
	/* The other side closes when it has all. */
	while (vchan_read(vchan, piece, 1) >= 0)
		event(vchan);
	(void)vchan_close(vchan);
}

static void vchan_receive(enum vchan_transport transport, const int fds[2])
{
	struct vchan *vchan = channel(transport, true);

	for (uint64_t got = 0; got < BULK;) {
		ssize_t n = vchan_read(vchan, piece, PIECE);

		CHECK(n >= 0);
		got += (uint64_t)n;
		if (n == 0)
			event(vchan);
	}
	(void)vchan_close(vchan);
}

/* A pipe with room for one block. */
static void open_pipe(int fds[2], size_t block)
{
	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	if (block > PIECE)
		CHECK(fcntl(fds[0], F_SETPIPE_SZ, (int)(4 * block)) >= (int)block);
}

static void through_send(enum vchan_transport transport, size_t block, bool copy)
{
	struct vchan *vchan = channel(transport, false);
	int fds[2];
	bool blocked;

	open_pipe(fds, block);
	for (uint64_t sent = 0; sent < BULK; sent += block) {
		CHECK(write(fds[1], piece, block) == (ssize_t)block);
		if (copy)
			CHECK(read(fds[0], piece, block) == (ssize_t)block);
		for (size_t left = block; left > 0;) {
			ssize_t n = copy ? vchan_write(vchan, piece + block - left, left)
			                 : vchan_from_pipe(vchan, fds[0], left, &blocked);

			CHECK(n >= 0);
			left -= (size_t)n;
			if (n == 0)
				event(vchan);
		}
	}
	while (vchan_read(vchan, piece, 1) >= 0)
		event(vchan);
	(void)vchan_close(vchan);
}

static void through_receive(enum vchan_transport transport, size_t block, bool copy)
{
	struct vchan *vchan = channel(transport, true);
	int fds[2];
	bool blocked;

	open_pipe(fds, block);
	for (uint64_t got = 0; got < BULK;) {
		ssize_t n = copy ? vchan_read(vchan, piece, block)
		                 : vchan_to_fd(vchan, fds[1], block, &blocked);

		CHECK(n >= 0);
		if (n > 0 && copy)
			CHECK(write(fds[1], piece, (size_t)n) == n);
		if (n == 0)
			event(vchan);
		else
			CHECK(read(fds[0], piece, (size_t)n) == n);
		got += (uint64_t)n;
	}
	(void)vchan_close(vchan);
}

static void splice_send(enum vchan_transport transport, const int unused[2])
{
	through_send(transport, PIECE, false);
}

static void splice_receive(enum vchan_transport transport, const int unused[2])
{
	through_receive(transport, PIECE, false);
}

static void large_send(enum vchan_transport transport, const int unused[2])
{
	through_send(transport, BLOCK, false);
}

static void large_receive(enum vchan_transport transport, const int unused[2])
{
	through_receive(transport, BLOCK, false);
}

static void copy_send(enum vchan_transport transport, const int unused[2])
{
	through_send(transport, PIECE, true);
}

static void copy_receive(enum vchan_transport transport, const int unused[2])
{
	through_receive(transport, PIECE, true);
}

static void pipe_send(enum vchan_transport transport, const int fds[2])
{
	for (uint64_t sent = 0; sent < BULK;) {
		ssize_t n = write(fds[1], piece, PIECE);

		CHECK(n > 0);
		sent += (uint64_t)n;
	}
}

static void pipe_receive(enum vchan_transport transport, const int fds[2])
{
	for (uint64_t got = 0; got < BULK;) {
		ssize_t n = read(fds[0], piece, PIECE);

		CHECK(n > 0);
		got += (uint64_t)n;
	}
}

/* The control page and the rings, then a page with one word a side that its events count up. */
static uint8_t *shared;

static _Atomic uint32_t *bell(bool server)
{
	_Atomic uint32_t *bells = (_Atomic uint32_t *)(void *)(shared + ring_area(ORDER, ORDER));

	return bells + (server ? 0 : 1);
}

static void wake_peer(void *arg)
{
	_Atomic uint32_t *theirs = bell(arg == NULL);

	atomic_fetch_add(theirs, 1);
	(void)syscall(SYS_futex, theirs, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void no_event(void *arg)
{
}

static uint32_t order = ORDER;

static void attach(struct ring_pair *ring, bool is_server, bool sleeps)
{
	ring_attach(ring, &(struct ring_setup){.page = shared,
	                                       .left = shared + ring_left_offset(order),
	                                       .right = shared + ring_right_offset(order, order),
	                                       .left_order = order,
	                                       .right_order = order,
	                                       .is_server = is_server,
	                                       .notify = sleeps ? wake_peer : no_event,
	                                       .notify_arg = is_server ? shared : NULL});
}

static void bare_send(bool sleeps)
{
	_Atomic uint32_t *own = bell(false);
	struct ring_pair ring;

	attach(&ring, false, sleeps);
	ring_hello(&ring);
	for (uint64_t sent = 0; sent < BULK;) {
		uint32_t seen = atomic_load(own);
		ssize_t n = ring_write(&ring, piece, PIECE);

		CHECK(n >= 0);
		sent += (uint64_t)n;
		if (n == 0 && sleeps)
			(void)syscall(SYS_futex, own, FUTEX_WAIT, seen, NULL, NULL, 0);
		else if (n == 0)
			(void)sched_yield();
	}
}

static void bare_receive(bool sleeps)
{
	_Atomic uint32_t *own = bell(true);
	struct ring_pair ring;

	attach(&ring, true, sleeps);
	for (uint64_t got = 0; got < BULK;) {
		uint32_t seen = atomic_load(own);
		ssize_t n = ring_read(&ring, piece, PIECE);

		CHECK(n >= 0);
		got += (uint64_t)n;
		if (n == 0 && sleeps)
			(void)syscall(SYS_futex, own, FUTEX_WAIT, seen, NULL, NULL, 0);
		else if (n == 0)
			(void)sched_yield();
	}
}

static void ring_send(enum vchan_transport transport, const int fds[2])
{
	bare_send(true);
}

static void ring_receive(enum vchan_transport transport, const int fds[2])
{
	bare_receive(true);
}

static void small_send(enum vchan_transport transport, const int fds[2])
{
	order = 16;
	bare_send(true);
}

static void small_receive(enum vchan_transport transport, const int fds[2])
{
	order = 16;
	bare_receive(true);
	order = ORDER;
}

static void spin_send(enum vchan_transport transport, const int fds[2])
{
	bare_send(false);
}

static void spin_receive(enum vchan_transport transport, const int fds[2])
{
	bare_receive(false);
}

static const struct way {
	const char *name;
	enum vchan_transport transport;
	void (*send)(enum vchan_transport transport, const int fds[2]);
	void (*receive)(enum vchan_transport transport, const int fds[2]);
} ways[] = {
        {"pipe", VCHAN_SOCKET, pipe_send, pipe_receive},
        {"ring", VCHAN_SOCKET, ring_send, ring_receive},
        {"ring64", VCHAN_SOCKET, small_send, small_receive},
        {"spin", VCHAN_SOCKET, spin_send, spin_receive},
        {"memfd", VCHAN_MEMFD, vchan_send, vchan_receive},
        {"socket", VCHAN_SOCKET, vchan_send, vchan_receive},
        {"splice", VCHAN_SOCKET, splice_send, splice_receive},
        {"splice1M", VCHAN_SOCKET, large_send, large_receive},
        {"copy", VCHAN_SOCKET, copy_send, copy_receive},
        {"copymem", VCHAN_MEMFD, copy_send, copy_receive},
        {"pipemem", VCHAN_MEMFD, splice_send, splice_receive},
};

/* Bytes a second. */
static double measure(const struct way *way)
{
	double start = now();
	int fds[2];
	pid_t child;

	CHECK(pipe(fds) == 0);
	memset(shared, 0, RING_PAGE);
	ring_format((struct ring_page *)shared, ORDER, ORDER, NULL, 0);
	child = fork();
	if (child == 0) {
		way->send(way->transport, fds);
		_exit(0);
	}
	way->receive(way->transport, fds);
	CHECK(waitpid(child, NULL, 0) == child);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return (double)BULK / (now() - start);
}

/* The first two are what the others are compared with. */
static bool wanted(size_t i, int argc, char **argv)
{
	for (int a = 1; a < argc && i > 1; a++) {
		if (strcmp(argv[a], ways[i].name) == 0)
			return true;
	}
	return i < 2 || argc == 1;
}

int main(int argc, char **argv)
{
	double best[ARRAY_LEN(ways)] = {0};

	(void)signal(SIGPIPE, SIG_IGN);
	memset(piece, 'x', sizeof(piece));
	shared = mmap(NULL, ring_area(ORDER, ORDER) + RING_PAGE, PROT_READ | PROT_WRITE,
	              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED && mkdtemp(dir));
	/* The best of some runs, taken in turn: the machine may be busy with other things. */
	for (int run = 0; run < RUNS; run++) {
		for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
			double rate = wanted(i, argc, argv) ? measure(&ways[i]) : 0;

			best[i] = MAX(best[i], rate);
		}
	}
	printf("%-8s %8s %8s %8s\n", "way", "GB/s", "to pipe", "to ring");
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (wanted(i, argc, argv))
			printf("%-8s %8.2f %8.2f %8.2f\n", ways[i].name, best[i] / 1e9,
			       best[i] / best[0], best[i] / best[1]);
	}
	return rmdir(dir);
}
