/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper of a QubesDB: makes the local sockets and the channels, and hands them to the slice, which
 * reads them. It reads no byte of either. A channel that ended is followed by the next one after a pause.
 * It starts the slice once, and then gives up starting anything: a slice that ends is the end of both.
 */
#include "slices/qubesdb/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "proto/keeper.h"
#include "proto/qubesdb.h"
#include "qubesdb/sockets.h"

#define SLICE_FD       3
#define AGAIN_MS       100  /* after a channel that went; chosen */
#define AGAIN_BROKE_MS 1000 /* after one that was ended for what it said; chosen */

static const char *const slice_places[] = {
        "skerry-qubesdb-slice",
        "../libexec/skerry/skerry-qubesdb-slice",
        "../lib/skerry/skerry-qubesdb-slice",
        NULL,
};

struct qdb_keeper {
	const struct keeper_options *options;
	struct loop *loop;
	struct loop_fd slice; /* owned */
	struct loop_fd channel;
	struct loop_timer again;
	struct loop_child child;
	struct vchan *vchan; /* waits for the qube */
};

static void listen_again(void *arg);

static void later(struct qdb_keeper *k, uint64_t delay_ms)
{
	if (loop_timer_set(k->loop, &k->again, delay_ms, listen_again, k))
		loop_stop(k->loop, 1);
}

static int hand_over(struct qdb_keeper *k)
{
	struct keeper_start start = {.domain = (uint32_t)k->options->domid};
	struct vchan_handle handle;
	uint8_t packet[KEEPER_START_LEN];
	int fds[VCHAN_FDS_MAX];
	ssize_t len, r = -1;

	if (vchan_export(k->vchan, &handle, fds))
		return -1;
	k->vchan = NULL;
	start.transport = handle.transport;
	start.is_server = handle.is_server;
	start.left_order = handle.left_order;
	start.right_order = handle.right_order;
	start.send_max = handle.send_max;
	start.n_fds = handle.n_fds;
	len = keeper_encode_start(packet, sizeof(packet), &start);
	if (len > 0)
		r = fd_send_message(k->slice.fd, packet, (size_t)len, fds, handle.n_fds);
	for (uint32_t i = 0; i < handle.n_fds; i++)
		(void)fd_close(fds[i]);
	return r == len ? 0 : -1;
}

static void on_channel(void *arg, uint32_t events)
{
	struct qdb_keeper *k = arg;
	enum vchan_state state = vchan_step(k->vchan);

	(void)events;
	if (state == VCHAN_WAITING)
		return;
	loop_fd_remove(k->loop, &k->channel);
	if (state == VCHAN_OPEN && hand_over(k) == 0)
		return;
	k->vchan = vchan_close(k->vchan);
	later(k, AGAIN_MS);
}

static void listen_again(void *arg)
{
	struct qdb_keeper *k = arg;
	struct vchan_config config;

	if (vchan_config_from_env(&config) == 0) {
		config.own = 0;
		config.peer = k->options->domid;
		config.port = QUBESDB_PORT;
		config.read_min = config.write_min = QUBESDB_RING;
		if (vchan_listen(&config, &k->vchan) == 0) {
			if (loop_fd_add(k->loop, &k->channel, vchan_fd(k->vchan), EPOLLIN,
			                on_channel, k) == 0)
				return;
			k->vchan = vchan_close(k->vchan);
		}
	}
	LOG_ERRNO("the channel to qube %s", k->options->name);
	later(k, AGAIN_BROKE_MS);
}

static void on_slice(void *arg, uint32_t events)
{
	struct qdb_keeper *k = arg;
	uint8_t packet[KEEPER_END_LEN + 1];
	enum keeper_end why;
	ssize_t n = recv(k->slice.fd, packet, sizeof(packet), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || k->vchan || k->again.index || keeper_decode_end(packet, (size_t)n, &why)) {
		LOG(n > 0 ? "the slice sent an illegal packet" : "the slice has ended");
		loop_stop(k->loop, 1);
		return;
	}
	later(k, why == KEEPER_END_CLOSED ? AGAIN_MS : AGAIN_BROKE_MS);
}

static void on_slice_exit(void *arg, int wait_status)
{
	struct qdb_keeper *k = arg;

	if (WIFSIGNALED(wait_status))
		LOG("the slice was killed by signal %d", WTERMSIG(wait_status));
	loop_stop(k->loop, 1);
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	struct qdb_keeper *k = arg;

	(void)signo;
	(void)sender;
	loop_stop(k->loop, 0);
}

/* None, but that a build for tests hands on the attack that it is to make (lib/sandbox/attack.h). */
static char **slice_environment(void)
{
	static char *env[3];
#if SKERRY_ATTACK
	static const char *const names[2] = {"SKERRY_ATTACK", "SKERRY_ATTACK_WORLD"};
	static char text[2][1024];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (!value)
			continue;
		(void)snprintf(text[i], sizeof(text[i]), "%s=%s", names[i], value);
		env[n++] = text[i];
	}
#endif
	return env;
}

/* The slice gets its pair, the two sockets, the log, nothing else. */
NORETURN static void become_slice(const char *path, int pair, int rw, int ro)
{
	static const char *const argv[] = {"skerry-qubesdb-slice", NULL};
	const int from[] = {pair, rw, ro};
	int high[ARRAY_LEN(from)];
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* First out of the way of the numbers that they are to have. */
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		high[i] = fcntl(from[i], F_DUPFD, SLICE_FD + 3);
		if (high[i] < 0)
			_exit(1);
	}
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		if (dup2(high[i], SLICE_FD + (int)i) < 0)
			_exit(1);
	fd_close_from(SLICE_FD + 3, NULL, 0);
	(void)execve(path, (char *const *)(uintptr_t)argv, slice_environment());
	LOG_ERRNO("%s", path);
	_exit(1);
}

static int start_slice(struct qdb_keeper *k, int rw, int ro)
{
	char path[PATH_MAX];
	int pair[2];
	pid_t pid;

	if (path_program(path, sizeof(path), slice_places)) {
		LOG_ERRNO("skerry-qubesdb-slice");
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = fork();
	if (pid == 0)
		become_slice(path, pair[1], rw, ro);
	(void)fd_close(pair[1]);
	if (pid < 0 || loop_child_add(k->loop, &k->child, pid, on_slice_exit, k) ||
	    loop_fd_add(k->loop, &k->slice, pair[0], EPOLLIN, on_slice, k)) {
		(void)fd_close(pair[0]);
		return -1;
	}
	return 0;
}

static int set_up(struct qdb_keeper *k)
{
	const struct keeper_options *o = k->options;
	OWNED_FD int rw = -1;
	OWNED_FD int ro = -1;

	k->loop = loop_new();
	if (!k->loop || loop_signal_add(k->loop, SIGTERM, on_signal, k) ||
	    loop_signal_add(k->loop, SIGINT, on_signal, k) ||
	    sockets_listen(o->name, o->mode, &rw, &ro) || start_slice(k, rw, ro))
		return -1;
	if (o->domid == 0 && sockets_link(o->name))
		return -1;
	if (keeper_confine(o))
		return -1;
	if (o->domid != 0)
		listen_again(k);
	return 0;
}

static void end_slice(struct qdb_keeper *k)
{
	int fd = k->slice.fd;

	if (k->child.pid > 0) {
		(void)kill(k->child.pid, SIGKILL);
		while (waitpid(k->child.pid, NULL, 0) < 0 && errno == EINTR)
			;
		loop_child_remove(k->loop, &k->child);
	}
	loop_fd_remove(k->loop, &k->slice);
	(void)fd_close(fd);
}

int keeper_run(const struct keeper_options *options)
{
	struct qdb_keeper keeper = {.options = options,
	                            .slice = LOOP_FD_EMPTY,
	                            .channel = LOOP_FD_EMPTY,
	                            .child = LOOP_CHILD_EMPTY};
	struct qdb_keeper *k = &keeper;
	int status = 1;

	if (set_up(k))
		LOG_ERRNO("starting the QubesDB of %s", options->name);
	else if (options->ready_fd >= 0 && write(options->ready_fd, "", 1) != 1)
		LOG_ERRNO("the starter could not be told");
	else
		status = loop_run(k->loop);
	loop_fd_remove(k->loop, &k->channel);
	loop_timer_clear(k->loop, &k->again);
	k->vchan = vchan_close(k->vchan);
	if (k->loop) {
		end_slice(k);
		sockets_remove(options->name);
	}
	k->loop = loop_free(k->loop);
	return status == 0 ? 0 : 1;
}
