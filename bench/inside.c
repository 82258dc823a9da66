/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls without starting a client for each: one process in the calling qube asks the agent and runs
 * the data phase itself, in one event loop, --parallel at a time. What is left is the call.
 *
 * usage: bench-inside --socket PATH --target T --service S [--name N] [--count N] [--parallel P]
 *                     [--hold]
 * --hold: all --parallel calls are kept open at once and ended together (the service must echo).
 * A call that gives anything but status 0 and "ok\n" (--hold: status 0) is counted as wrong or
 * refused; one that is not over after HANG_MS is hung.
 * exit: 0 measured, 1 could not measure, 2 usage
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/stats.h"
#include "call/data.h"
#include "call/request.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"

#define RING    65536U
#define HANG_MS 60000
#define WARM    20

struct inside;

struct one {
	struct inside *inside;
	struct request *request;
	uint64_t began_ns;
	int answer_fd; /* pipe: what the service wrote */
	int hold_fd;   /* --hold: writing end of its standard input */
	bool busy;
};

struct inside {
	struct loop *loop;
	struct request_config request;
	const char *name;
	size_t count;
	size_t parallel;
	bool hold;
	struct one *ones;
	size_t n_started;
	size_t n_ended;
	size_t n_open; /* granted and in the data phase */
	size_t n_refused;
	size_t n_wrong;
	struct vchan_config vchan;
	struct loop_timer hang;
	struct stats stats;
};

static void one_start(struct one *one);

static void one_over(struct one *one)
{
	struct inside *inside = one->inside;

	one->request = request_free(one->request);
	one->answer_fd = fd_close(one->answer_fd);
	one->hold_fd = fd_close(one->hold_fd);
	one->busy = false;
	stats_add(&inside->stats, stats_now_ns() - one->began_ns);
	inside->n_ended++;
	if (inside->n_started < inside->count)
		one_start(one);
	else if (inside->n_ended == inside->count)
		loop_stop(inside->loop, 0);
}

static void one_done(void *arg, int status)
{
	struct one *one = arg;
	char answer[8];
	ssize_t n = read(one->answer_fd, answer, sizeof(answer));

	if (status != 0 || (!one->inside->hold && (n != 3 || memcmp(answer, "ok\n", 3) != 0)))
		one->inside->n_wrong++;
	one_over(one);
}

/* All are open: let them end. */
static void hold_release(struct inside *inside)
{
	stats_print_rate(inside->name, (double)inside->n_open, "calls in flight");
	for (size_t i = 0; i < inside->parallel; i++)
		inside->ones[i].hold_fd = fd_close(inside->ones[i].hold_fd);
}

static int one_open(struct one *one, int domain, int port)
{
	struct vchan_config vchan = one->inside->vchan;
	struct data_config data = {.side = DATA_CALLER,
	                           .out_fd = -1,
	                           .err_fd = -1,
	                           .open_ms = HANG_MS,
	                           .done = one_done,
	                           .arg = one};
	int answer[2], input[2] = {-1, -1};
	struct data_call *call;
	struct vchan *channel;

	vchan.peer = domain;
	vchan.port = port;
	if (pipe2(answer, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	one->answer_fd = answer[0];
	data.in_fd = answer[1];
	if (one->inside->hold) {
		if (pipe2(input, O_CLOEXEC | O_NONBLOCK) < 0)
			return -1;
		one->hold_fd = input[1];
		data.out_fd = input[0];
	}
	if (vchan_listen(&vchan, &channel) < 0)
		return -1;
	return data_open(one->inside->loop, channel, &data, &call);
}

static void one_answered(void *arg, enum request_outcome outcome, int domain, int port)
{
	struct one *one = arg;
	struct inside *inside = one->inside;

	if (outcome != REQUEST_GRANTED) {
		inside->n_refused++;
		one_over(one);
		return;
	}
	if (one_open(one, domain, port) < 0)
		stats_fail("data channel");
	inside->n_open++;
	if (inside->hold && inside->n_open == inside->parallel)
		hold_release(inside);
}

static void one_start(struct one *one)
{
	struct request_config config = one->inside->request;

	config.done = one_answered;
	config.arg = one;
	one->busy = true;
	one->began_ns = stats_now_ns();
	one->inside->n_started++;
	if (request_start(one->inside->loop, &config, &one->request) < 0)
		stats_fail("request");
}

static void all_hung(void *arg)
{
	loop_stop(((struct inside *)arg)->loop, 1);
}

/* count calls; the number that hung. */
static size_t inside_run(struct inside *inside, size_t count)
{
	inside->count = count;
	inside->n_started = inside->n_ended = inside->n_open = 0;
	inside->n_refused = inside->n_wrong = 0;
	stats_init(&inside->stats, count);
	for (size_t i = 0; i < inside->parallel; i++)
		inside->ones[i] = (struct one){.inside = inside, .answer_fd = -1, .hold_fd = -1};
	for (size_t i = 0; i < MIN(inside->parallel, count); i++)
		one_start(&inside->ones[i]);
	while (inside->n_ended < count) {
		size_t before = inside->n_ended;

		if (loop_timer_set(inside->loop, &inside->hang, HANG_MS, all_hung, inside) < 0)
			stats_fail("timer");
		if (loop_run(inside->loop) != 0 && inside->n_ended == before)
			break;
	}
	loop_timer_clear(inside->loop, &inside->hang);
	return count - inside->n_ended;
}

static size_t number(const char *text)
{
	char *end;
	size_t value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "bench-inside: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

static int options_read(struct inside *inside, int argc, char **argv)
{
	static const struct option longs[] = {
	        {"socket", required_argument, NULL, 'a'},
	        {"target", required_argument, NULL, 't'},
	        {"service", required_argument, NULL, 's'},
	        {"name", required_argument, NULL, 'n'},
	        {"count", required_argument, NULL, 'c'},
	        {"parallel", required_argument, NULL, 'p'},
	        {"hold", no_argument, NULL, 'h'},
	        {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'a')
			inside->request.agent_socket = optarg;
		else if (c == 't')
			inside->request.target = optarg;
		else if (c == 's')
			inside->request.service = optarg;
		else if (c == 'n')
			inside->name = optarg;
		else if (c == 'c')
			inside->count = number(optarg);
		else if (c == 'p')
			inside->parallel = number(optarg);
		else if (c == 'h')
			inside->hold = true;
		else
			return -1;
	}
	if (!inside->request.agent_socket || !inside->request.target || !inside->request.service ||
	    inside->parallel == 0 || optind != argc)
		return -1;
	return 0;
}

static void files_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		stats_fail("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		stats_fail("setrlimit");
}

int main(int argc, char **argv)
{
	struct inside inside = {
	        .name = "inside", .count = 1000, .parallel = 1, .request.source = ""};
	char extra[160];
	size_t count, hung;

	log_init("bench-inside");
	if (options_read(&inside, argc, argv) < 0) {
		fprintf(stderr, "usage: bench-inside --socket PATH --target T --service S ...\n");
		return 2;
	}
	files_allow();
	(void)signal(SIGPIPE, SIG_IGN);
	inside.loop = loop_new();
	inside.ones = calloc(inside.parallel, sizeof(*inside.ones));
	if (!inside.loop || !inside.ones || vchan_config_from_env(&inside.vchan) < 0)
		stats_fail("start");
	inside.vchan.read_min = inside.vchan.write_min = RING;
	count = inside.hold ? inside.parallel : inside.count;
	if (!inside.hold) {
		(void)inside_run(&inside, MIN(count, (size_t)WARM));
		stats_fini(&inside.stats);
	}
	hung = inside_run(&inside, count);
	snprintf(extra, sizeof(extra),
	         "\"parallel\":%zu,\"hung\":%zu,\"wrong\":%zu,\"refused\":%zu", inside.parallel,
	         hung, inside.n_wrong, inside.n_refused);
	stats_print_latency(&inside.stats, inside.name, extra);
	return 0;
}
