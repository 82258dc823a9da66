/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Importing a file into a volume. The data can be larger than any request, so in dom0 the program that
 * also serves such a call of a qube is started, as the original's tools do; in a qube the call is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/client/sink.h"
#include "tools/qvm/child.h"
#include "tools/qvm/volume.h"

#define REPLY_MAX  65536 /* bytes */
#define COPY_CHUNK 131072

static struct admin_reply failed(const char *what)
{
	return admin_reply_error("QubesException", arena_printf("%s: %s", what, strerror(errno)));
}

/* How far it is, for who looks on. */
static void progress(long long done, long long size)
{
	static long long shown = -1;
	long long percent = size > 0 ? done * 100 / size : 100;

	if (percent == shown || !isatty(STDERR_FILENO))
		return;
	shown = percent;
	err_printf("importing: %3lld %%", percent);
	(void)!fd_write_all(STDERR_FILENO, done < size ? "\r" : "\n", 1);
}

/* The size line, then the file; 0, or -1 with errno. A reader that has enough is no error. */
static int feed(int to, int file, const char *head)
{
	long long size = strtoll(head, NULL, 10), done = 0;
	char *chunk = arena_alloc(COPY_CHUNK);
	ssize_t n;

	if (fd_write_all(to, head, strlen(head)))
		return errno == EPIPE ? 0 : -1;
	while ((n = read(file, chunk, COPY_CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (fd_write_all(to, chunk, (size_t)n))
			return errno == EPIPE ? 0 : -1;
		done += n;
		progress(done, size);
	}
	return 0;
}

/* Where there is no size line, the file itself is the program's standard input. */
static struct admin_reply run(const char *const *argv, int file, const char *head)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, r = 0;
	struct sink reply = {0};
	pid_t pid;

	if ((*head && pipe2(in, O_CLOEXEC)) || pipe2(out, O_CLOEXEC))
		return failed("pipe");
	pid = child_start(argv, (const int[]){*head ? in[0] : file, out[1], -1});
	fd_close(in[0]);
	fd_close(out[1]);
	if (pid < 0) {
		fd_close(in[1]);
		fd_close(out[0]);
		return failed(argv[0]);
	}
	if (*head)
		r = feed(in[1], file, head);
	fd_close(in[1]);
	while (reply.len < REPLY_MAX && sink_read(&reply, out[0]) == SINK_MORE)
		;
	fd_close(out[0]);
	(void)child_status(pid); /* the reply says it */
	if (r)
		return failed("reading the file");
	return admin_reply_decode(reply.data, reply.len);
}

static struct admin_reply run_in_dom0(const char *service, const char *volume, const char *qube,
                                      int file, const char *head)
{
	char path[PATH_MAX];
	const char *argv[8];
	size_t n = 0;

	if (path_make(path, sizeof(path), "/etc/qubes-rpc", service))
		return failed(service);
	if (setenv("QREXEC_REMOTE_DOMAIN", "dom0", 1) || setenv("QREXEC_REQUESTED_TARGET", qube, 1))
		return failed("environment");
	if (geteuid() != 0 && !*paths_root()) {
		argv[n++] = "sudo";
		argv[n++] = "--preserve-env=QREXEC_REMOTE_DOMAIN,QREXEC_REQUESTED_TARGET";
	}
	argv[n++] = path;
	argv[n++] = volume;
	argv[n] = NULL;
	return run(argv, file, head);
}

struct admin_reply volume_import_fd(const char *qube, const char *volume, int fd, long long size)
{
	const char *service = size == VOLUME_IMPORT_NO_RESIZE ? "admin.vm.volume.Import"
	                                                      : "admin.vm.volume.ImportWithSize";
	const char *head = size >= 0 ? arena_printf("%lld\n", size) : "";

	(void)signal(SIGPIPE, SIG_IGN);
	if (admin_in_dom0())
		return run_in_dom0(service, volume, qube, fd, head);
	return run((const char *const[]){"qrexec-client-vm", qube,
	                                 arena_printf("%s+%s", service, volume), NULL},
	           fd, head);
}

struct admin_reply volume_import(const char *qube, const char *volume, const char *file,
                                 long long size)
{
	OWNED_FD int fd =
	        strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return failed(file);
	if (size == VOLUME_IMPORT_SIZE_OF_FILE) {
		size = lseek(fd, 0, SEEK_END);
		if (size < 0 || lseek(fd, 0, SEEK_SET) < 0)
			return admin_reply_error(
			        "QubesException",
			        arena_printf("%s: its size is not known; give --size", file));
	}
	return volume_import_fd(qube, volume, fd, size);
}
