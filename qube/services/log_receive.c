/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.Log: another qube's log lines, kept in this one: in syslog, on standard error, or in a file, as
 * /etc/qubes/log-backend says ("syslog", "stderr", "file:///PATH"). Each line is acknowledged when it
 * was handed over. Source: doc/protocol/services.md, Log.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "proto/services/log_line.h"

#define BACKEND "/etc/qubes/log-backend"
#define LOG_FILE_MAX                                                                               \
	(256LL << 20) /* bytes of a file, then it begins anew, the old one kept; chosen */

enum backend { BACKEND_SYSLOG, BACKEND_STDERR, BACKEND_FILE };

static struct {
	const char *source;
	enum backend backend;
	char path[PATH_MAX];
	int fd;
} sink = {.fd = -1};

static int open_file(void)
{
	(void)fd_close(sink.fd);
	sink.fd = open(sink.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	return sink.fd < 0 ? -1 : 0;
}

static int choose_backend(void)
{
	static const char file[] = "file://";
	char text[PATH_MAX] = "";
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	ssize_t n;

	if (path_make(path, sizeof(path), BACKEND, NULL))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (*text == '\0' || strcmp(text, "syslog") == 0)
		return 0;
	if (strcmp(text, "stderr") == 0) {
		sink.backend = BACKEND_STDERR;
		return 0;
	}
	if (strncmp(text, file, sizeof(file) - 1) != 0 || text[sizeof(file) - 1] != '/') {
		errno = EINVAL;
		return -1;
	}
	sink.backend = BACKEND_FILE;
	memcpy(sink.path, text + sizeof(file) - 1, strlen(text + sizeof(file) - 1) + 1);
	return open_file();
}

/* A full file makes room: what is older than the one before is gone. */
static int rotate(void)
{
	char old[PATH_MAX];
	struct stat st;
	int n;

	if (fstat(sink.fd, &st))
		return -1;
	if (st.st_size < LOG_FILE_MAX)
		return 0;
	n = snprintf(old, sizeof(old), "%s.old", sink.path);
	if (n < 0 || (size_t)n >= sizeof(old) || rename(sink.path, old))
		return -1;
	return open_file();
}

static int keep(const char *text, int severity)
{
	if (sink.backend == BACKEND_SYSLOG) {
		syslog(severity, "%s %s", sink.source, text);
		return 0;
	}
	if (sink.backend == BACKEND_FILE && rotate())
		return -1;
	return dprintf(sink.backend == BACKEND_FILE ? sink.fd : STDERR_FILENO, "%s <%d> %s\n",
	               sink.source, severity, text) < 0
	               ? -1
	               : 0;
}

/* A line of which only the beginning is taken: the rest goes. */
static ssize_t next_line(struct input *in, char *line, size_t max)
{
	char rest[4096];
	ssize_t len = input_line(in, line, max);
	ssize_t n = len;

	if (len <= 0 || line[len - 1] == '\n')
		return len;
	while (n > 0) {
		n = input_line(in, rest, sizeof(rest));
		if (n < 0)
			return -1;
		if (n > 0 && rest[n - 1] == '\n')
			break;
	}
	return len;
}

static int serve(void)
{
	static struct input in;
	static char untrusted_line[LOG_LINE_MAX_IN + 2];
	static char text[LOG_LINE_MAX_OUT];
	int severity;
	ssize_t n;

	input_init(&in, STDIN_FILENO);
	if (fd_write_all(STDOUT_FILENO, "OK\n", 3))
		return 1;
	while ((n = next_line(&in, untrusted_line, sizeof(untrusted_line))) > 0) {
		if (log_line_clean(untrusted_line, (size_t)n, text, &severity) == 0)
			continue;
		if (keep(text, severity)) {
			LOG_ERRNO("a line of %s", sink.source);
			return 1;
		}
		if (fd_write_all(STDOUT_FILENO, "OK\n", 3))
			return 1;
	}
	return n < 0;
}

int main(void)
{
	log_init("qubes.Log");
	sink.source = getenv("QREXEC_REMOTE_DOMAIN");
	if (!sink.source ||
	    untrusted_qube_name_check(sink.source, strlen(sink.source)) != UNTRUSTED_QUBE_NAME_OK) {
		LOG("QREXEC_REMOTE_DOMAIN is not set: this is a service");
		return 1;
	}
	if (choose_backend()) {
		LOG_ERRNO(BACKEND);
		return 1;
	}
	if (sink.backend == BACKEND_SYSLOG)
		openlog("qubes.Log", LOG_NDELAY, LOG_DAEMON);
	return serve();
}
