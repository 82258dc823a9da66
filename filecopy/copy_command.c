/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/copy_command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/paths.h"

void copy_strip(char *path)
{
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
}

char *copy_find(const char *program, const char *const *places, const char *installed)
{
	char path[PATH_MAX];

	if (path_program(path, sizeof(path), places) == 0)
		return strdup(path);
	if (access(installed, X_OK) == 0)
		return strdup(installed);
	(void)fprintf(stderr, "%s: %s: %s\n", program, installed, strerror(errno));
	return NULL;
}

int copy_wait(int pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
