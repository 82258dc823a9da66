/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qrexec-slice - reads what one qube says on its control channel. Started by its keeper with
 * a socketpair to it as descriptor 3, the log as descriptor 2 and no environment; the channel's
 * descriptors come in the first packet. Then it confines itself and opens nothing more.
 * Exit: 0 the agent or the keeper ended, 100 malformed input from the qube, 111 it could not start.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/loop/loop.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/trace/trace.h"
#include "proto/limits.h"
#include "slices/qrexec/slice.h"

#define KEEPER_FD         3
#define EXIT_MALFORMED    100
#define EXIT_AGAIN        111
#define SLICE_PACKETS_MAX 16          /* packets of the keeper taken a turn; chosen */
#define SLICE_MEMORY_MAX  (64U << 20) /* address space, bytes; chosen */
#define SLICE_FILES_MAX   16          /* descriptors; chosen: it has 8 */
#define SLICE_BUSY_MS     20          /* a channel that is full while the keeper is busy; chosen */

struct process {
	struct loop *loop;
	struct loop_fd keeper;
	struct loop_fd channel;
	struct loop_timer late; /* the agent's message is not complete */
	struct loop_timer busy; /* look again: nothing else would wake us */
	struct slice slice;
};

static struct process process;

static void settle(struct process *p, enum slice_outcome outcome);

/* One packet to the keeper. */
static int send_to_keeper(void *arg, const void *data, size_t len)
{
	(void)arg;
	if (send(KEEPER_FD, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? 1 : -1;
}

static void finish(struct process *p, enum slice_outcome outcome)
{
	uint8_t packet[KEEPER_END_LEN];
	ssize_t len;

	if (outcome != SLICE_ORPHANED) {
		len = keeper_encode_end(packet, sizeof(packet), (enum keeper_end)outcome);
		if (len < 0 || send(KEEPER_FD, packet, (size_t)len, MSG_NOSIGNAL) < 0)
			outcome = SLICE_ORPHANED;
	}
	/* The other descriptor may be ready in this same turn: nothing may be handled any more. */
	loop_fd_remove(p->loop, &p->keeper);
	loop_fd_remove(p->loop, &p->channel);
	loop_timer_clear(p->loop, &p->late);
	loop_timer_clear(p->loop, &p->busy);
	p->slice.vchan = vchan_close(p->slice.vchan);
	loop_stop(p->loop,
	          outcome == SLICE_BAD_HELLO || outcome == SLICE_BROKEN ? EXIT_MALFORMED : 0);
}

static void on_late(void *arg)
{
	LOG("the agent did not finish a message in %d ms", LIMIT_AGENT_MESSAGE_MS);
	finish(arg, SLICE_BROKEN);
}

static void on_busy(void *arg)
{
	struct process *p = arg;

	settle(p, slice_agent(&p->slice));
}

/* What to wait for now. */
static void settle(struct process *p, enum slice_outcome outcome)
{
	struct slice *s = &p->slice;
	bool stuck = s->up_len > 0 || s->down_at < s->down_end;

	if (outcome != SLICE_ON) {
		finish(p, outcome);
		return;
	}
	loop_fd_set(p->loop, &p->keeper,
	            (slice_can_take(s) ? EPOLLIN : 0U) | (s->up_len > 0 ? EPOLLOUT : 0U));
	/*
	 * While a message is stuck, bytes of the agent stay unread and its descriptor stays
	 * ready: it is not watched then, but looked at again after a moment.
	 */
	loop_fd_set(p->loop, &p->channel, stuck ? 0U : EPOLLIN);
	if (!stuck)
		loop_timer_clear(p->loop, &p->busy);
	else if (p->busy.index == 0 && loop_timer_set(p->loop, &p->busy, SLICE_BUSY_MS, on_busy, p))
		finish(p, SLICE_ORPHANED);
	if (!s->in_partial)
		loop_timer_clear(p->loop, &p->late);
	else if (p->late.index == 0 &&
	         loop_timer_set(p->loop, &p->late, deadline_ms(LIMIT_AGENT_MESSAGE_MS), on_late, p))
		finish(p, SLICE_ORPHANED);
}

static void on_channel(void *arg, uint32_t events)
{
	struct process *p = arg;

	(void)events;
	(void)vchan_step(p->slice.vchan);
	settle(p, slice_agent(&p->slice));
}

static void on_keeper(void *arg, uint32_t events)
{
	struct process *p = arg;
	struct slice *s = &p->slice;
	enum slice_outcome outcome = SLICE_ON;

	if (events & EPOLLOUT)
		outcome = slice_agent(s);
	for (int i = 0; i < SLICE_PACKETS_MAX && outcome == SLICE_ON && slice_can_take(s); i++) {
		ssize_t n = recv(KEEPER_FD, s->down, sizeof(s->down), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		outcome = n <= 0 ? SLICE_ORPHANED : slice_down(s, (size_t)n);
	}
	if (outcome == SLICE_ON && !slice_can_take(s) && events & (EPOLLHUP | EPOLLERR))
		outcome = SLICE_ORPHANED;
	settle(p, outcome);
}

/* The first packet, with the channel. */
static int receive_channel(struct slice *s)
{
	uint8_t packet[KEEPER_START_LEN];
	struct keeper_start start = {0};
	struct vchan_handle handle;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv_message(KEEPER_FD, packet, sizeof(packet), fds, &n_fds);

	if (n < 0 || keeper_decode_start(packet, (size_t)n, &start) ||
	    n_fds != start.n_fds + start.has_trace)
		return -1;
	handle = (struct vchan_handle){
	        .transport = start.transport,
	        .is_server = start.is_server,
	        .left_order = start.left_order,
	        .right_order = start.right_order,
	        .send_max = start.send_max,
	        .n_fds = start.n_fds,
	};
	s->domain = start.domain;
	if (start.has_trace)
		trace_adopt(fds[start.n_fds]);
	return vchan_import(&handle, fds, &s->vchan);
}

/* Everything that it needs is open: the rest goes. */
static int confine_slice(void)
{
	static const struct confine_call calls[] = {
	        CONFINE_CALLS_BASE,
	        CONFINE_CALLS_LOOP,
	        {"recvfrom", "keeper; channel of the socket transport"},
	        {"sendto", "keeper; channel of the socket transport"},
	        {"sendmsg", "channel of the socket transport"},
	        {"ioctl",
	         "how much waits in a socket",
	         1,
	         {{.arg = 1, .mask = ~0ULL, .value = SIOCINQ}}},
	        {"ioctl",
	         "how much waits in a socket",
	         1,
	         {{.arg = 1, .mask = ~0ULL, .value = SIOCOUTQ}}},
	        CONFINE_CALLS_GRANT,
	};
	/*
	 * The log, the keeper, and what came or was made since: the channel, the trace, two epolls.
	 * The keeper had closed everything else before this program began.
	 */
	static const int fds[] = {2, KEEPER_FD, 4, 5, 6, 7, 8, 9, 10, 11};
	static const struct confine_rights rights = {
	        .name = "skerry-qrexec-slice",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = SLICE_MEMORY_MAX,
	        .files_max = SLICE_FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	return confine(&rights);
}

static int set_up(struct process *p)
{
	struct slice *s = &p->slice;

	s->send = send_to_keeper;
	s->log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	s->log_limit.burst = LIMIT_LOG_BURST;
	p->keeper = p->channel = (struct loop_fd)LOOP_FD_EMPTY;
	/* Read now: after confinement no file of time zones can be opened. */
	tzset();
	if (receive_channel(s))
		return -1;
	p->loop = loop_new();
	if (!p->loop)
		return -1;
	if (confine_slice())
		return -1;
	if (loop_fd_add(p->loop, &p->keeper, KEEPER_FD, 0, on_keeper, p))
		return -1;
	return loop_fd_add(p->loop, &p->channel, vchan_fd(s->vchan), EPOLLIN, on_channel, p);
}

int main(void)
{
	struct process *p = &process;
	int status;

	log_init("qrexec-slice");
	if (set_up(p)) {
		LOG_ERRNO("starting");
		return EXIT_AGAIN;
	}
	/* The agent may have written before we came. */
	on_channel(p, EPOLLIN);
	status = p->slice.vchan ? loop_run(p->loop) : 0;
	p->loop = loop_free(p->loop);
	return status < 0 ? EXIT_AGAIN : status;
}
