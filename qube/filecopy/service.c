/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.Filecopy: what the service of that name runs. A program and no script, so that no shell's
 * start-up file can write into the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filecopy/copy_command.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define STATUS_FAILED 1

/* Of the qube's user: a file manager's bookmark of the folder, for example. It cannot speak. */
static void run_hook(void)
{
	posix_spawn_file_actions_t silent;
	char path[PATH_MAX];
	char *argv[] = {path, NULL};
	pid_t pid;
	bool ready = true;

	if (path_make(path, sizeof(path), "/usr/lib/qubes/qvm_bookmark.sh", NULL) ||
	    access(path, X_OK) || posix_spawn_file_actions_init(&silent))
		return;
	for (int fd = 0; fd <= 2; fd++)
		ready = posix_spawn_file_actions_addopen(&silent, fd, "/dev/null", O_RDWR, 0) ==
		                0 &&
		        ready;
	if (ready && posix_spawn(&pid, path, &silent, NULL, argv, environ) == 0)
		(void)copy_wait(pid);
	(void)posix_spawn_file_actions_destroy(&silent);
}

int main(int argc, char **argv)
{
	static const char *const places[] = {"qfile-unpacker", NULL};
	static char option[] = "--allow-all-names";
	static char unpacker[] = "qfile-unpacker";
	char *words[] = {unpacker, NULL, NULL};
	const char *argument = argc > 1 ? argv[1] : "";
	char *path;

	log_init("qubes.Filecopy");
	if (fd_open_stdio())
		return STATUS_FAILED;
	if (strcmp(argument, "allow-all-names") == 0) {
		words[1] = option;
	} else if (argument[0]) {
		LOG("the argument can be allow-all-names, or none; not %s", argument);
		return STATUS_FAILED;
	}
	run_hook();
	path = copy_find("qubes.Filecopy", places, "/usr/lib/qubes/qfile-unpacker");
	if (path)
		(void)execv(path, words);
	LOG_ERRNO("qfile-unpacker");
	return STATUS_FAILED;
}
