/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/agent.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "filecopy/account.h"
#include "filecopy/complain.h"
#include "filecopy/send.h"
#include "filecopy/send_confined.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define STATUS_USAGE 1

static void report_result(const char *result)
{
	const char *text = getenv("QFILE_RESULT_FD");
	unsigned long long fd;

	if (text && account_number(text, INT_MAX, &fd))
		(void)!fd_write_all((int)fd, result, strlen(result));
}

/* A deep tree keeps a folder open for each level. */
static void raise_files_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool shows_windows(void)
{
	const char *type = getenv("PROGRESS_TYPE");

	return type && strcmp(type, "gui") == 0;
}

int filecopy_agent_main(const char *program, int argc, char **argv)
{
	struct send_config config = {
	        .program = program,
	        .in_fd = STDIN_FILENO,
	        .out_fd = STDOUT_FILENO,
	        .first_number = 1,
	};
	bool only_paths = false;
	int n = 0;
	int status;

	log_init(program);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fprintf(stderr,
		              "usage: %s [--ignore-symlinks] [--] PATH...\n"
		              "Sends files to the receiver of another qube: its output is the "
		              "stream, its input the answer.\n",
		              program);
		return 0;
	}
	/* In place: the paths move to the front. */
	for (int i = 1; i < argc; i++) {
		if (!only_paths && strcmp(argv[i], "--") == 0)
			only_paths = true;
		else if (!only_paths && strcmp(argv[i], "--ignore-symlinks") == 0)
			config.skip_links = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	config.paths = argv;
	if (fd_open_stdio())
		return STATUS_USAGE;
	raise_files_limit();
	/* A message in a window is a program that it starts. */
	if (!shows_windows() && send_confine())
		return STATUS_USAGE;
	status = send_files(&config);
	report_result(status == 0 ? "done\n" : "failed\n");
	return status;
}
