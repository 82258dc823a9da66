/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Setting this qube's clock: qubes.SetDateTime takes a time from dom0; qvm-sync-clock asks for one with
 * qubes.GetDate and believes no more of the answer than that it is a time later than a fixed day.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "proto/services/date.h"

#define NEAR_S   2  /* dom0's time within this of ours changes nothing; protocol */
#define TEXT_MAX 64 /* bytes of a time at most; chosen */
#define SERVICE  "qubes.GetDate+nanoseconds"

static bool only_print;

static int set_clock(const struct timespec *time)
{
	char text[DATE_NS_LEN + 1];

	if (only_print) {
		size_t len = date_write(time, true, text);

		return len == 0 || fd_write_all(STDOUT_FILENO, text, len) ? 1 : 0;
	}
	if (clock_settime(CLOCK_REALTIME, time)) {
		LOG_ERRNO("the clock cannot be set");
		return 1;
	}
	return 0;
}

/* One line from dom0. */
static int set_date_time(void)
{
	static struct input in;
	char line[TEXT_MAX];
	struct timespec time;
	struct timespec now;
	ssize_t n;

	input_init(&in, STDIN_FILENO);
	n = input_line(&in, line, sizeof(line));
	if (n < 0) {
		LOG_ERRNO("read");
		return 1;
	}
	if (date_parse(line, (size_t)n, &time) != DATE_OK) {
		LOG("not a time: %.*s", (int)n, line);
		return 1;
	}
	if (clock_gettime(CLOCK_REALTIME, &now)) {
		LOG_ERRNO("the time");
		return 1;
	}
	if (llabs((long long)time.tv_sec - (long long)now.tv_sec) <= NEAR_S)
		return 0;
	return set_clock(&time);
}

static int use_answer(const char *data, size_t len)
{
	enum date_result r = date_check(data, len);
	struct timespec time;

	if (r == DATE_OK)
		r = date_parse(data, len, &time);
	if (r == DATE_E_LENGTH)
		(void)fprintf(stderr, "%s (expected %d or %d bytes, got %zu), aborting!\n",
		              date_error(r), DATE_LEN, DATE_NS_LEN, len);
	else if (r != DATE_OK)
		(void)fprintf(stderr, "%s, aborting!\n", date_error(r));
	return r == DATE_OK ? set_clock(&time) : 1;
}

/* Up to DATE_NS_LEN bytes; what follows is not read. */
static ssize_t read_answer(int fd, char *data)
{
	size_t len = 0;

	while (len < DATE_NS_LEN) {
		ssize_t n = read(fd, data + len, DATE_NS_LEN - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int ask(const char *target, int *ret_fd, pid_t *ret_pid)
{
	static char client[] = "qrexec-client-vm";
	static char dashes[] = "--";
	static char service[] = SERVICE;
	char *words[] = {client, dashes, strdup(target), service, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	int error = ENOMEM;

	if (words[2] && pipe2(ends, O_CLOEXEC) == 0) {
		(void)posix_spawn_file_actions_init(&actions);
		error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		if (!error)
			error = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
		if (!error)
			error = posix_spawnp(ret_pid, client, &actions, NULL, words, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
		(void)close(ends[1]);
		*ret_fd = ends[0];
		if (error)
			(void)close(ends[0]);
	}
	free(words[2]);
	errno = error;
	return error ? -1 : 0;
}

static int sync_clock(const char *target)
{
	char data[DATE_NS_LEN];
	ssize_t n;
	pid_t pid;
	int status;
	int fd;

	if (ask(target, &fd, &pid)) {
		LOG_ERRNO("qrexec-client-vm");
		return 1;
	}
	n = read_answer(fd, data);
	(void)close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0) {
		LOG_ERRNO("the answer");
		return 1;
	}
	return use_answer(data, (size_t)n);
}

static int usage(FILE *to, int status)
{
	(void)fprintf(to,
	              "usage: qvm-sync-clock [--print] [--target=QUBE]\n"
	              "Set this qube's clock to what " SERVICE " of QUBE says (default: where the\n"
	              "policy sends it).\n"
	              "  --print   write the time to standard output instead\n");
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"print", no_argument, NULL, 'p'},
	                                        {"target", required_argument, NULL, 't'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {"version", no_argument, NULL, 'V'},
	                                        {0}};
	const char *name = strrchr(argv[0], '/');
	const char *target = "@default";
	int c;

	name = name ? name + 1 : argv[0];
	log_init(name);
	if (strcmp(name, "qubes.SetDateTime") == 0)
		return set_date_time();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			only_print = true;
		else if (c == 't')
			target = optarg;
		else if (c == 'V')
			return puts("qvm-sync-clock " SKERRY_VERSION) < 0;
		else
			return c == 'h' ? usage(stdout, 0) : usage(stderr, 2);
	}
	return optind == argc ? sync_clock(target) : usage(stderr, 2);
}
