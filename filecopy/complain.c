/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/complain.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/untrusted/text.h"

#define TEXT_ROOM 1024 /* the rest is cut off, as by the original */

/* 0: it was shown and closed. */
static int run_window(char *const argv[])
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		return -1;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -1 : 0;
}

static void show_window(char *text)
{
	char zenity[] = "zenity";
	char error[] = "--error";
	char plain[] = "--no-markup";
	char text_is[] = "--text";
	char kdialog[] = "kdialog";
	char sorry[] = "--sorry";
	char *const by_zenity[] = {zenity, error, plain, text_is, text, NULL};
	char *const by_kdialog[] = {kdialog, sorry, text, NULL};

	/* A file manager started from nowhere may not know it. */
	(void)setenv("DISPLAY", ":0", 0);
	if (run_window(by_zenity))
		(void)run_window(by_kdialog);
}

void complain(const char *program, const char *fmt, ...)
{
	static char text[TEXT_ROOM];
	static char line[4 * TEXT_ROOM + 1024];
	const char *type = getenv("PROGRESS_TYPE");
	int why = errno;
	size_t len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1);
	n = snprintf(line, sizeof(line), "%s: Fatal error: ", program);
	/* Escaped only if something in it must not reach a terminal: a backslash alone may. */
	if (untrusted_text_shown(text, len)) {
		memcpy(line + n, text, len);
		len += (size_t)n;
	} else {
		len = (size_t)n + untrusted_text_escape(line + n, 4 * TEXT_ROOM, text, len);
	}
	n = snprintf(line + len, 256, " (error type: %s)\n", strerror(why));
	(void)!fd_write_all(STDERR_FILENO, line, len + (size_t)n);
	if (type && strcmp(type, "gui") == 0) {
		(void)untrusted_text_clean(line, TEXT_ROOM, text);
		show_window(line);
	}
}
