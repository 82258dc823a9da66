/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qrexec-runner - runs the services in dom0 that one qube's calls reach, and moves their
 * bytes. Started by the qube's keeper with a socketpair to it as descriptor 3. It is outside of the
 * keeper because the bytes of the data channels are hostile: who takes it over has the rights of the
 * services that it runs, and no authority over the keeper. doc/protocol/qrexec.md, 5.2 and 10.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/run.h"
#include "call/service.h"
#include "call/spawn.h"
#include "lib/base/bytes.h"
#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "lib/trace/trace.h"
#include "lib/vchan/vchan.h"
#include "proto/limits.h"
#include "proto/qrexec.h"
#include "slices/qrexec/runner_link.h"

#define KEEPER_FD          3
#define RUNNER_PACKETS_MAX 16    /* services started a turn; chosen */
#define RUNNER_RING        65536 /* bytes each way; protocol */

struct runner {
	struct loop *loop;
	struct loop_fd keeper;
	struct loop_timer again;
	unsigned int n_running;
	unsigned int n_unsaid; /* ends that the keeper has not been told */
	bool orphaned;         /* the keeper has ended */
};

static struct runner runner;

/* The keeper counts what runs: it is told of each end. */
static void say_ends(struct runner *r)
{
	static const uint8_t ended = 0;

	while (!r->orphaned && r->n_unsaid > 0) {
		if (send(KEEPER_FD, &ended, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
			break;
		r->n_unsaid--;
	}
	loop_fd_set(r->loop, &r->keeper, r->n_unsaid > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (r->orphaned && r->n_running == 0)
		loop_stop(r->loop, 0);
}

static void on_done(void *arg, int status)
{
	struct runner *r = arg;

	(void)status;
	r->n_running--;
	r->n_unsaid++;
	say_ends(r);
}

static int fill_channel(uint32_t domain, uint32_t port, struct vchan_config *channel)
{
	if (vchan_config_from_env(channel))
		return -1;
	channel->peer = (int)domain;
	channel->port = (int)port;
	channel->read_min = channel->write_min = RUNNER_RING;
	return 0;
}

/* A service that is not found or cannot run is the caller's to hear of: run_start() says so. */
static int start(struct runner *r, uint32_t domain, uint32_t port, const char *line)
{
	static struct service_found found;
	struct service_command command;
	struct vchan_config channel = {0};
	struct run *run = NULL;
	struct run_config config = {
	        .dom0 = true,
	        .early = &channel,
	        .command = &command,
	        .found = &found,
	        .open_ms = deadline_ms(LIMIT_RUNNER_CHANNEL_MS),
	        .trace_call = trace_call_id(0, domain, port),
	        .done = on_done,
	        .arg = r,
	};
	int e;

	config.status = service_parse(line, true, &command);
	if (config.status == 0)
		config.status = service_find(&command, NULL, NULL, &found);
	e = fill_channel(domain, port, &channel);
	if (e == 0)
		e = run_start(r->loop, NULL, &config, &run);
	if (e)
		LOG_ERRNO("%s", line);
	service_command_fini(&command);
	return e;
}

/* From the keeper: trusted, but a packet that is none ends us. */
static int take_packet(struct runner *r, const uint8_t *packet, size_t len)
{
	uint32_t domain;
	uint32_t port;

	if (len <= RUNNER_HEAD_LEN || packet[len - 1] != '\0')
		return -1;
	domain = le32_get(packet);
	port = le32_get(packet + 4);
	if (domain == 0 || domain > INT32_MAX || !qrexec_port_legal(port))
		return -1;
	r->n_running++;
	if (start(r, domain, port, (const char *)packet + RUNNER_HEAD_LEN))
		on_done(r, 1);
	return 0;
}

static void on_keeper(void *arg, uint32_t events)
{
	static uint8_t packet[RUNNER_HEAD_LEN + RUNNER_COMMAND_MAX];
	struct runner *r = arg;

	if (events & EPOLLOUT)
		say_ends(r);
	for (int i = 0; i < RUNNER_PACKETS_MAX; i++) {
		ssize_t n = recv(KEEPER_FD, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || take_packet(r, packet, (size_t)n)) {
			r->orphaned = true;
			loop_fd_remove(r->loop, &r->keeper);
			say_ends(r);
			return;
		}
	}
}

int main(void)
{
	struct runner *r = &runner;
	char dir[PATH_MAX];
	int status;

	log_init("qrexec-runner");
	vchan_use_grant();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	spawn_raise_descriptors();
	if (path_make(dir, sizeof(dir), TRACE_DIR, NULL) == 0)
		trace_open(dir, "qrexec-runner");
	r->keeper = (struct loop_fd)LOOP_FD_EMPTY;
	r->loop = loop_new();
	if (!r->loop || fd_set_cloexec(KEEPER_FD, true) ||
	    loop_fd_add(r->loop, &r->keeper, KEEPER_FD, EPOLLIN, on_keeper, r)) {
		LOG_ERRNO("starting");
		return QREXEC_EXIT_PROBLEM;
	}
	status = loop_run(r->loop);
	r->loop = loop_free(r->loop);
	return status < 0 ? 1 : status;
}
