/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk from one process to another, as ratios to a plain pipe and to the bare ring: what the
 * transports of lib/vchan cost. Each way moves the same bytes, in pieces of 64 KiB.
 *
 *   pipe      write(2) and read(2) on a pipe
 *   ring      ring.c over shared memory; waiting is sched_yield(2), no event is ever sent
 *   memfd     vchan_write() and vchan_read(), with events
 *   socket    the same over the socket transport
 *   splice    a pipe on both ends of the socket transport: vchan_from_pipe() and vchan_to_fd()
 *
 * usage: bench-vchan-ring
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/vchan/ring.h"
#include "lib/vchan/vchan.h"

#define BULK  (2ULL << 30) /* bytes */
#define PIECE (64U << 10)
#define ORDER 16U
#define RUNS  5

static char piece[PIECE];
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

static void splice_send(enum vchan_transport transport, const int unused[2])
{
	struct vchan *vchan = channel(transport, false);
	int fds[2];
	bool blocked;

	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	for (uint64_t sent = 0; sent < BULK; sent += PIECE) {
		CHECK(write(fds[1], piece, PIECE) == PIECE);
		for (size_t left = PIECE; left > 0;) {
			ssize_t n = vchan_from_pipe(vchan, fds[0], left, &blocked);

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

static void splice_receive(enum vchan_transport transport, const int unused[2])
{
	struct vchan *vchan = channel(transport, true);
	int fds[2];
	bool blocked;

	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	for (uint64_t got = 0; got < BULK;) {
		ssize_t n = vchan_to_fd(vchan, fds[1], PIECE, &blocked);

		CHECK(n >= 0);
		if (n == 0)
			event(vchan);
		else
			CHECK(read(fds[0], piece, (size_t)n) == n);
		got += (uint64_t)n;
	}
	(void)vchan_close(vchan);
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

static uint8_t *shared;

static void no_event(void *arg)
{
}

static void attach(struct ring_pair *ring, bool is_server)
{
	ring_attach(ring, &(struct ring_setup){.page = shared,
	                                       .left = shared + ring_left_offset(ORDER),
	                                       .right = shared + ring_right_offset(ORDER, ORDER),
	                                       .left_order = ORDER,
	                                       .right_order = ORDER,
	                                       .is_server = is_server,
	                                       .notify = no_event});
}

static void ring_send(enum vchan_transport transport, const int fds[2])
{
	struct ring_pair ring;

	attach(&ring, false);
	ring_hello(&ring);
	for (uint64_t sent = 0; sent < BULK;) {
		ssize_t n = ring_write(&ring, piece, PIECE);

		CHECK(n >= 0);
		sent += (uint64_t)n;
		if (n == 0)
			(void)sched_yield();
	}
}

static void ring_receive(enum vchan_transport transport, const int fds[2])
{
	struct ring_pair ring;

	attach(&ring, true);
	for (uint64_t got = 0; got < BULK;) {
		ssize_t n = ring_read(&ring, piece, PIECE);

		CHECK(n >= 0);
		got += (uint64_t)n;
		if (n == 0)
			(void)sched_yield();
	}
}

static const struct way {
	const char *name;
	enum vchan_transport transport;
	void (*send)(enum vchan_transport transport, const int fds[2]);
	void (*receive)(enum vchan_transport transport, const int fds[2]);
} ways[] = {
        {"pipe", VCHAN_SOCKET, pipe_send, pipe_receive},
        {"ring", VCHAN_SOCKET, ring_send, ring_receive},
        {"memfd", VCHAN_MEMFD, vchan_send, vchan_receive},
        {"socket", VCHAN_SOCKET, vchan_send, vchan_receive},
        {"splice", VCHAN_SOCKET, splice_send, splice_receive},
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

int main(void)
{
	double best[ARRAY_LEN(ways)] = {0};

	(void)signal(SIGPIPE, SIG_IGN);
	memset(piece, 'x', sizeof(piece));
	shared = mmap(NULL, ring_area(ORDER, ORDER), PROT_READ | PROT_WRITE,
	              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED && mkdtemp(dir));
	/* The best of some runs, taken in turn: the machine may be busy with other things. */
	for (int run = 0; run < RUNS; run++) {
		for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
			double rate = measure(&ways[i]);

			best[i] = MAX(best[i], rate);
		}
	}
	printf("%-8s %8s %8s %8s\n", "way", "GB/s", "to pipe", "to ring");
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		printf("%-8s %8.2f %8.2f %8.2f\n", ways[i].name, best[i] / 1e9, best[i] / best[0],
		       best[i] / best[1]);
	return rmdir(dir);
}
