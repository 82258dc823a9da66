/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two services of qubes that a backup needs, through qrexec-client: which keeps the passphrase, and
 * which takes the archive. What a qube says is a passphrase or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/backup/program.h"
#include "services/backup/service.h"

#define PASSPHRASE_MS 120000 /* a person may be asked; chosen */

static bool word_legal(const char *text, size_t max)
{
	size_t len =
	        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return len > 0 && len <= max && text[len] == '\0' && text[0] != '-';
}

/* dom0's end of a channel is where the monitor's own calls have it. */
static pid_t call(const char *qube, const char *service, int in, int out)
{
	static const char *const places[] = {"qrexec-client", "../bin/qrexec-client",
	                                     "../../bin/qrexec-client", "../../tools/qrexec-client",
	                                     NULL};
	static char broker[PATH_MAX + 32], root[PATH_MAX + 32];
	const char *const env[] = {"VCHAN_TRANSPORT=memfd", "VCHAN_DOMAIN=0", broker, root, NULL};
	char program[PATH_MAX], path[PATH_MAX], command[400];
	const char *const argv[] = {program, "-d", qube, command, NULL};

	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
	(void)snprintf(root, sizeof(root), "SKERRY_ROOT=%s", paths_root());
	if (path_make(path, sizeof(path), "/run/skerry/channels/0/broker.sock", NULL) ||
	    path_program(program, sizeof(program), places))
		return -1;
	(void)snprintf(broker, sizeof(broker), "VCHAN_BROKER=%s", path);
	return program_start(argv, env, in, out, -1);
}

static pid_t call_or_fail(int conn, const char *qube, const char *service, int in, int out)
{
	pid_t pid = word_legal(qube, 31) && in >= 0 && out >= 0 ? call(qube, service, in, out) : -1;

	if (pid < 0)
		service_fail(conn, BACKUP_E_FAILED, "%s in %s cannot be called", service, qube);
	return pid;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Up to the end of what is said, in time, as long as anybody waits for it; bytes or -1. */
static ssize_t hear(int conn, int fd, char out[SERVICE_PASS_LEN])
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = conn, .events = POLLRDHUP}};
	int64_t end = now_ms() + PASSPHRASE_MS;
	size_t n = 0;

	while (n < SERVICE_PASS_LEN) {
		int ready = poll(fds, ARRAY_LEN(fds), (int)MAX(end - now_ms(), (int64_t)0));
		ssize_t r;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || fds[1].revents)
			return -1;
		r = read(fd, out + n, SERVICE_PASS_LEN - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -1 : (ssize_t)n;
		n += (size_t)r;
	}
	return -1;
}

static int clean(char *untrusted_text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", untrusted_text[len - 1]))
		len--;
	if (len == 0 || len >= SERVICE_PASS_LEN)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)untrusted_text[i] < ' ' || untrusted_text[i] == 0x7f)
			return -1;
	}
	untrusted_text[len] = '\0';
	return 0;
}

int passphrase_from(int conn, const char *qube, const char *profile, char out[SERVICE_PASS_LEN])
{
	OWNED_FD int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	OWNED_FD int end = -1;
	char service[128];
	int ends[2];
	ssize_t n;
	pid_t pid;

	(void)snprintf(service, sizeof(service), "qubes.BackupPassphrase+%.60s", profile);
	if (!word_legal(profile, 60) || pipe2(ends, O_CLOEXEC)) {
		service_fail(
		        conn, BACKUP_E_FAILED,
		        "No service can be asked for the passphrase of a profile of this name");
		return -1;
	}
	end = ends[0];
	pid = call_or_fail(conn, qube, service, null_fd, ends[1]);
	(void)fd_close(ends[1]);
	if (pid < 0)
		return -1;
	n = hear(conn, end, out);
	if (n < 0)
		(void)kill(pid, SIGKILL);
	if (program_wait(pid) == 0 && n > 0 && clean(out, (size_t)n) == 0)
		return 0;
	explicit_bzero(out, SERVICE_PASS_LEN);
	service_fail(conn, BACKUP_E_FAILED, "%s gave no passphrase of one line", qube);
	return -1;
}

pid_t storing_call(int conn, const char *qube, const char *path, int *ret_fd)
{
	OWNED_FD int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int ends[2];
	pid_t pid;

	if (strpbrk(path, "\n\r") || pipe2(ends, O_CLOEXEC)) {
		service_fail(conn, BACKUP_E_FAILED,
		             "The path of the backup has more than one line");
		return -1;
	}
	pid = call_or_fail(conn, qube, "qubes.Backup", ends[0], null_fd);
	(void)fd_close(ends[0]);
	if (pid > 0 && fd_write_all(ends[1], path, strlen(path)) == 0 &&
	    fd_write_all(ends[1], "\n", 1) == 0) {
		*ret_fd = ends[1];
		return pid;
	}
	(void)fd_close(ends[1]);
	if (pid > 0) {
		program_end(pid);
		service_fail(conn, BACKUP_E_FAILED, "qubes.Backup in %s takes nothing", qube);
	}
	return -1;
}
