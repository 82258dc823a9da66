/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/backup/common.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

int complain(const char *fmt, ...)
{
	char text[1024], shown[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)escape_text(shown, sizeof(shown), text, strlen(text));
	(void)fprintf(stderr, "%s\n", shown);
	return 1;
}

/* One line of at most BACKUP_PASS_MAX bytes; NULL: too long, empty, or not to be read. */
static char *read_line(int fd)
{
	char *line = malloc(BACKUP_PASS_MAX);
	size_t n = 0;
	ssize_t r = 1;

	while (line && n < BACKUP_PASS_MAX) {
		r = read(fd, line + n, 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || line[n] == '\n')
			break;
		n++;
	}
	if (line && r >= 0 && n > 0 && n < BACKUP_PASS_MAX) {
		line[n] = '\0';
		return line;
	}
	free(line);
	return NULL;
}

static char *ask(int tty, const char *text)
{
	struct termios old, quiet;
	char *line;

	if (tcgetattr(tty, &old) || fd_write_all(tty, text, strlen(text)))
		return NULL;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(tty, TCSAFLUSH, &quiet))
		return NULL;
	line = read_line(tty);
	if (tcsetattr(tty, TCSAFLUSH, &old) || fd_write_all(tty, "\n", 1))
		(void)complain("the terminal cannot be set back");
	return line;
}

static char *ask_terminal(bool twice)
{
	OWNED_FD int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	char *first, *again = NULL;

	if (tty < 0) {
		(void)complain(
		        "There is no terminal to ask for the passphrase: use --passphrase-file");
		return NULL;
	}
	first = ask(tty, "Passphrase of the backup: ");
	if (!first)
		(void)complain("No passphrase was given");
	if (first && twice) {
		again = ask(tty, "Once more: ");
		if (!again || strcmp(first, again) != 0) {
			(void)complain("The two passphrases differ");
			free(first);
			first = NULL;
		}
	}
	free(again);
	return first;
}

char *passphrase_read(const char *file, bool twice)
{
	OWNED_FD int fd = -1;
	char *line;

	if (!file)
		return ask_terminal(twice);
	fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	line = fd < 0 ? NULL : read_line(fd);
	if (!line)
		(void)complain("%s: no passphrase of 1 to %u bytes can be read there", file,
		               BACKUP_PASS_MAX - 1);
	return line;
}

void show_progress(void *arg, uint64_t done)
{
	static struct timespec last;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (!*(const bool *)arg || now.tv_sec == last.tv_sec)
		return;
	last = now;
	(void)fprintf(stderr, "\r%llu MiB ", (unsigned long long)(done >> 20));
}

const char *outer_path(const char *path)
{
	static char out[PATH_MAX];

	if (path_make(out, sizeof(out), path, NULL) == 0)
		return out;
	(void)complain("%s: the path is too long", path);
	return NULL;
}
