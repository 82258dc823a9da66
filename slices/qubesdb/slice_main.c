/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qubesdb-slice - the QubesDB of one qube on the trusted side
 *
 * Started by skerry-qubesdb with a socket pair to it as descriptor 3 and the two listening sockets as
 * 4 and 5. Each channel to the qube comes over the pair; when one has ended it says so and waits for the
 * next. The entries stay. It confines itself first, and opens nothing.
 * Exit: 0 the keeper ended, 111 it could not start.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "lib/vchan/vchan.h"
#include "proto/keeper.h"
#include "proto/limits.h"
#include "qubesdb/db.h"

#define KEEPER_FD  3
#define RW_FD      4
#define RO_FD      5
#define EXIT_AGAIN 111
#define MEMORY_MAX (512U << 20)                  /* address space, bytes; chosen */
#define FILES_MAX  (LIMIT_QUBESDB_CLIENTS + 32U) /* descriptors */

struct process {
	struct db db;
	struct loop_fd keeper;
	struct loop_defer drop;
	struct peer *old; /* ended; freed when nobody works with it any more */
};

static struct process process = {.keeper = LOOP_FD_EMPTY};

static void on_synced(void *arg)
{
	(void)arg;
}

static void drop_old(void *arg)
{
	struct process *p = arg;

	p->old = peer_free(p->old);
}

static void on_ended(void *arg, enum peer_end why)
{
	struct process *p = arg;
	uint8_t packet[KEEPER_END_LEN];
	ssize_t len = keeper_encode_end(packet, sizeof(packet),
	                                why == PEER_CLOSED ? KEEPER_END_CLOSED : KEEPER_END_BROKEN);

	p->old = p->db.peer;
	p->db.peer = NULL;
	loop_defer_set(p->db.loop, &p->drop, drop_old, p);
	if (len < 0 || send(KEEPER_FD, packet, (size_t)len, MSG_NOSIGNAL) < 0)
		loop_stop(p->db.loop, 0);
}

static int take_channel(struct process *p)
{
	const struct peer_events events = {.synced = on_synced, .ended = on_ended, .arg = p};
	uint8_t packet[KEEPER_START_LEN];
	struct keeper_start start = {0};
	struct vchan_handle handle;
	struct vchan *vchan;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv_message(KEEPER_FD, packet, sizeof(packet), fds, &n_fds);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0 || keeper_decode_start(packet, (size_t)n, &start) || start.has_trace ||
	    n_fds != start.n_fds || p->db.peer)
		return -1;
	handle = (struct vchan_handle){
	        .transport = start.transport,
	        .is_server = start.is_server,
	        .left_order = start.left_order,
	        .right_order = start.right_order,
	        .send_max = start.send_max,
	        .n_fds = start.n_fds,
	};
	if (vchan_import(&handle, fds, &vchan))
		return -1;
	p->db.peer = peer_new(&p->db, vchan, true, &events);
	return p->db.peer ? 0 : -1;
}

static void on_keeper(void *arg, uint32_t events)
{
	struct process *p = arg;

	(void)events;
	if (take_channel(p))
		loop_stop(p->db.loop, 0);
}

static int confine_slice(void)
{
	static const struct confine_call calls[] = {
	        CONFINE_CALLS_BASE,
	        CONFINE_CALLS_LOOP,
	        {"epoll_create1", "a new channel to the qube"},
	        {"fcntl", "a new channel to the qube: seals of its memory"},
	        {"fstat", "a new channel to the qube: size of its memory"},
	        {"newfstatat", "the same, other C libraries"},
	        {"accept4", "local programs"},
	        {"recvfrom", "local programs; channel of the socket transport"},
	        {"sendto", "local programs; the keeper; channel of the socket transport"},
	        {"sendmsg", "channel of the socket transport"},
	        {"recvmsg", "a new channel from the keeper"},
	        {"ioctl",
	         "how much waits in a socket",
	         1,
	         {{.arg = 1, .mask = ~0ULL, .value = FIONREAD}}},
	        {"ioctl",
	         "how much waits in a socket",
	         1,
	         {{.arg = 1, .mask = ~0ULL, .value = TIOCOUTQ}}},
	        CONFINE_CALLS_GRANT,
	};
	static const struct confine_rights rights = {
	        .name = "skerry-qubesdb-slice",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};

	return confine(&rights);
}

static int set_up(struct process *p)
{
	tzset();
	p->db.loop = loop_new();
	if (!p->db.loop || confine_slice())
		return -1;
	p->db.local = local_new(&p->db, RW_FD, RO_FD);
	if (!p->db.local)
		return -1;
	return loop_fd_add(p->db.loop, &p->keeper, KEEPER_FD, EPOLLIN, on_keeper, p);
}

int main(void)
{
	struct process *p = &process;
	int status;

	log_init("qubesdb-slice");
	if (set_up(p)) {
		LOG_ERRNO("starting");
		return EXIT_AGAIN;
	}
	status = loop_run(p->db.loop);
	loop_defer_clear(p->db.loop, &p->drop);
	p->old = peer_free(p->old);
	p->db.peer = peer_free(p->db.peer);
	p->db.local = local_free(p->db.local);
	entries_fini(&p->db.store);
	p->db.loop = loop_free(p->db.loop);
	return status < 0 ? EXIT_AGAIN : status;
}
