/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy-decider - the process that decides
 *
 * Start-up only: takes its descriptors, loads the policy for the first time, and then gives up every
 * right that deciding does not need. Nothing is opened after rights_drop() but policy files, read-only.
 * Started by skerry-policy: starter.h says with which descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/trace/trace.h"
#include "services/policy/rights.h"
#include "services/policy/servers.h"
#include "services/policy/starter.h"

#define DRAIN_MS 1000U /* for the recorder to take what waits at the end; chosen */

static struct service service;
static struct loop_fd control = LOOP_FD_EMPTY;

static void on_change(void *arg)
{
	service_bind(arg);
}

static void on_facts(void *arg)
{
	facts_file_changed(arg);
}

/* Policy that is there but was not readable from inside: a fresh process reads it. */
static void on_denied(void *arg)
{
	service_end(arg, DECIDER_RENEW);
}

/* A helper's channel from the starter. 0; -1: nothing has come, errno says why (0: the end). */
static int take_helper(enum decider_helper *ret_which, int *ret_fd)
{
	int fds[FD_PASS_MAX];
	size_t i, n_fds;
	uint8_t which;
	ssize_t n = fd_recv_message(DECIDER_CONTROL_FD, &which, 1, fds, &n_fds);

	if (n == 1 && n_fds == 1 && which < HELPER_MAX) {
		*ret_which = which;
		*ret_fd = fds[0];
		return 0;
	}
	for (i = 0; n >= 0 && i < n_fds; i++)
		fd_close(fds[i]);
	if (n >= 0)
		errno = 0;
	return -1;
}

static int attach(struct service *s, enum decider_helper which, int fd)
{
	switch (which) {
	case HELPER_FACTS:
		return facts_attach(s, fd);
	case HELPER_PROMPTER:
		return prompts_attach(s, fd);
	case HELPER_RECORDER:
		return record_attach(s, fd);
	case HELPER_MAX:
		break;
	}
	errno = EINVAL;
	return -1;
}

static void on_control(void *arg, uint32_t events)
{
	struct service *s = arg;
	enum decider_helper which;
	int fd;

	if (take_helper(&which, &fd) == 0) {
		if (attach(s, which, fd)) {
			LOG_ERRNO("a new helper cannot be used");
			fd_close(fd);
		}
		return;
	}
	if (errno == EAGAIN || errno == EINTR)
		return;
	loop_fd_remove(s->loop, &control);
	service_end(s, 0);
}

/* All helpers are on their way before this process runs. */
static int take_helpers(struct service *s)
{
	enum decider_helper which;
	int i, fd;

	for (i = 0; i < HELPER_MAX; i++) {
		if (take_helper(&which, &fd))
			return -1;
		if (attach(s, which, fd)) {
			fd_close(fd);
			return -1;
		}
	}
	if (fd_set_blocking(DECIDER_CONTROL_FD, false))
		return -1;
	return loop_fd_add(s->loop, &control, DECIDER_CONTROL_FD, EPOLLIN, on_control, s);
}

static int serve(struct service *s)
{
	static const enum text_kind kinds[] = {[LISTEN_POLICY] = TEXT_POLICY,
	                                       [LISTEN_EVAL] = TEXT_EVAL_SIMPLE,
	                                       [LISTEN_GUI] = TEXT_EVAL_GUI};
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++)
		if (text_server_start(s, DECIDER_LISTEN_FD + (int)i, kinds[i]))
			return -1;
	return calls_server_start(s, DECIDER_LISTEN_FD + LISTEN_CALLS);
}

static int start(struct service *s, const struct policy_place *place, const char *facts_file)
{
	int fd;

	for (fd = DECIDER_CONTROL_FD; fd < DECIDER_LISTEN_FD + LISTEN_MAX; fd++)
		if (fd_set_cloexec(fd, true))
			return -1;
	s->loop = loop_new();
	if (!s->loop)
		return -1;
	service_init(s, s->loop);
	s->facts.file = facts_file;
	s->live.on_change = on_change;
	s->live.on_facts = on_facts;
	s->live.arg = s;
	if (take_helpers(s))
		return -1;
	if (live_init(&s->live, s->loop, place, facts_file)) {
		LOG_ERRNO("changes of the policy cannot be watched");
		return -1;
	}
	return serve(s);
}

/* Nothing is decided any more; records of what was decided are still handed over. */
static void drain(struct service *s)
{
	uint64_t deadline = loop_now_ns() + DRAIN_MS * 1000000ULL;

	do {
		channel_flush(&s->prompter);
		channel_flush(&s->recorder);
	} while (channel_pending(&s->recorder) && loop_now_ns() < deadline &&
	         loop_turn(s->loop, 50) == 0);
}

int main(int argc, char **argv)
{
	struct policy_place place = {.dirs = (const char *const *)argv + 4};
	char trace_dir[PATH_MAX];
	long user;
	int status;

	log_init("skerry-policy");
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return dprintf(STDOUT_FILENO, "%s\n", SKERRY_VERSION) < 0;
	if (argc < 5 || fcntl(DECIDER_CONTROL_FD, F_GETFD) < 0) {
		LOG("%s is started by skerry-policy", argv[0]);
		return 2;
	}
	if (path_make(trace_dir, sizeof(trace_dir), TRACE_DIR, NULL) == 0)
		trace_open(trace_dir, "skerry-policy");
	/* The starter says when to stop, by closing the control socket. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	user = strtol(argv[1], NULL, 10);
	place.legacy_dir = argv[2];
	place.n_dirs = (size_t)argc - 4;
	if (start(&service, &place, argv[3][0] ? argv[3] : NULL) ||
	    (user >= 0 && setuid((uid_t)user))) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	if (rights_drop(&service.live.place, &service.live.inputs))
		return 1;
	service.live.on_denied = on_denied;
	status = loop_run(service.loop);
	drain(&service);
	service_fini(&service);
	live_fini(&service.live);
	loop_free(service.loop);
	return status < 0 ? 1 : status;
}
