/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls by starting a client for each, as the original was measured: posix_spawn with stdin and
 * stdout on /dev/null, time from the start to the wait. A call that has not ended after --timeout
 * seconds is hung: killed and counted. Any exit status but --expect is wrong: counted.
 *
 * usage: bench-calls --name NAME [--count N] [--parallel P] [--warm N] [--timeout S] [--expect E]
 *                    -- PROGRAM [ARG ...]
 * exit: 0 measured (the counts tell what went wrong), 1 could not measure, 2 usage
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/stats.h"

struct running {
	pid_t pid; /* 0: free */
	uint64_t began_ns;
	bool killed;
};

struct run {
	const char *name;
	char **argv;
	size_t count;
	size_t parallel;
	uint64_t timeout_ns;
	int expect;
	struct running *running; /* parallel of them */
	size_t n_running;
	size_t n_started;
	size_t n_hung;
	size_t n_wrong;
	int last_wrong; /* wait status */
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	struct stats stats;
};

static void spawn_prepare(struct run *run)
{
	sigset_t none;

	sigemptyset(&none);
	errno = posix_spawn_file_actions_init(&run->actions);
	if (errno == 0)
		errno = posix_spawn_file_actions_addopen(&run->actions, 0, "/dev/null", O_RDWR, 0);
	if (errno == 0)
		errno = posix_spawn_file_actions_adddup2(&run->actions, 0, 1);
	if (errno == 0)
		errno = posix_spawnattr_init(&run->attr);
	if (errno == 0)
		errno = posix_spawnattr_setsigmask(&run->attr, &none);
	if (errno == 0)
		errno = posix_spawnattr_setflags(&run->attr, POSIX_SPAWN_SETSIGMASK);
	if (errno != 0)
		stats_fail("posix_spawn");
}

static void call_start(struct run *run)
{
	struct running *slot = run->running;

	while (slot->pid != 0)
		slot++;
	slot->killed = false;
	slot->began_ns = stats_now_ns();
	errno = posix_spawnp(&slot->pid, run->argv[0], &run->actions, &run->attr, run->argv,
	                     environ);
	if (errno != 0)
		stats_fail(run->argv[0]);
	run->n_running++;
	run->n_started++;
}

static void call_ended(struct run *run, pid_t pid, int status)
{
	for (size_t i = 0; i < run->parallel; i++) {
		struct running *slot = &run->running[i];

		if (slot->pid != pid)
			continue;
		stats_add(&run->stats, stats_now_ns() - slot->began_ns);
		if (!slot->killed && (!WIFEXITED(status) || WEXITSTATUS(status) != run->expect)) {
			run->n_wrong++;
			run->last_wrong = status;
		}
		slot->pid = 0;
		run->n_running--;
		return;
	}
}

static void calls_reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		call_ended(run, pid, status);
	if (pid < 0 && errno != ECHILD)
		stats_fail("waitpid");
}

static void hung_kill(struct run *run)
{
	uint64_t now = stats_now_ns();

	for (size_t i = 0; i < run->parallel; i++) {
		struct running *slot = &run->running[i];

		if (slot->pid != 0 && !slot->killed && now - slot->began_ns > run->timeout_ns) {
			slot->killed = true;
			run->n_hung++;
			(void)kill(slot->pid, SIGKILL);
		}
	}
}

static void calls_run(struct run *run, size_t count)
{
	const struct timespec tick = {.tv_sec = 1};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	run->n_started = run->n_hung = run->n_wrong = 0;
	stats_init(&run->stats, count);
	while (run->n_started < count || run->n_running > 0) {
		while (run->n_started < count && run->n_running < run->parallel)
			call_start(run);
		if (sigtimedwait(&child, NULL, &tick) < 0 && errno != EAGAIN && errno != EINTR)
			stats_fail("sigtimedwait");
		calls_reap(run);
		hung_kill(run);
	}
}

static size_t number(const char *text)
{
	char *end;
	size_t value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "bench-calls: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"name", required_argument, NULL, 'n'},
	        {"count", required_argument, NULL, 'c'},
	        {"parallel", required_argument, NULL, 'p'},
	        {"warm", required_argument, NULL, 'w'},
	        {"timeout", required_argument, NULL, 't'},
	        {"expect", required_argument, NULL, 'e'},
	        {0},
	};
	struct run run = {.name = "calls", .count = 1000, .parallel = 1};
	size_t warm = 5, timeout_s = 30;
	char extra[160];
	int c;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			run.name = optarg;
			break;
		case 'c':
			run.count = number(optarg);
			break;
		case 'p':
			run.parallel = number(optarg);
			break;
		case 'w':
			warm = number(optarg);
			break;
		case 't':
			timeout_s = number(optarg);
			break;
		case 'e':
			run.expect = (int)number(optarg);
			break;
		default:
			return 2;
		}
	}
	if (optind >= argc || run.parallel == 0)
		return 2;
	run.argv = argv + optind;
	run.timeout_ns = timeout_s * 1000000000ULL;
	run.running = calloc(run.parallel, sizeof(*run.running));
	if (!run.running)
		stats_fail("memory");
	spawn_prepare(&run);
	calls_run(&run, warm);
	stats_fini(&run.stats);
	calls_run(&run, run.count);
	snprintf(extra, sizeof(extra),
	         "\"parallel\":%zu,\"hung\":%zu,\"wrong\":%zu,\"last_wrong\":%d", run.parallel,
	         run.n_hung, run.n_wrong,
	         WIFEXITED(run.last_wrong) ? WEXITSTATUS(run.last_wrong)
	                                   : 128 + WTERMSIG(run.last_wrong));
	stats_print_latency(&run.stats, run.name, extra);
	stats_fini(&run.stats);
	free(run.running);
	return 0;
}
