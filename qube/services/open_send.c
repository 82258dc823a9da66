/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm-open-in-vm, qvm-open-in-dvm: open a file or an address in another qube. What that qube made of the
 * file replaces it, unless only looking was meant. qopen-in-vm is the part that speaks with the service,
 * for scripts that start it as qrexec-client-vm's local program.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "proto/services/open.h"
#include "qube/services/child.h"

#define EDITED_MAX (64ULL << 30) /* bytes of what comes back; chosen */

static struct input in;

/* Where what comes back is put until it is whole: beside the file, or where anybody may write. */
static int open_edited(const char *path, char edited[PATH_MAX], bool *ret_beside)
{
	int n = snprintf(edited, PATH_MAX, "%s.XXXXXX", path);
	int fd = n > 0 && n < PATH_MAX ? mkostemp(edited, O_CLOEXEC) : -1;

	*ret_beside = fd >= 0;
	if (fd >= 0)
		return fd;
	(void)snprintf(edited, PATH_MAX, "/tmp/file_edited_in_dvm.XXXXXX");
	return mkostemp(edited, O_CLOEXEC);
}

/* The bytes of the other qube, and how its service ended: nothing is replaced by half a file. */
static int take_back(const char *path, int from, const struct stat *st, struct child_call *call)
{
	unsigned long long copied = 0;
	char edited[PATH_MAX];
	bool beside;
	OWNED_FD int fd = open_edited(path, edited, &beside);
	int status = 1;

	if (fd < 0) {
		LOG_ERRNO("%s", edited);
		return 1;
	}
	input_init(&in, from);
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the caller has looked at the file */
	if (input_copy(&in, fd, EDITED_MAX, &copied) || fchmod(fd, st->st_mode & 07777) ||
	    fsync(fd)) {
		LOG_ERRNO("%s", edited);
		if (call)
			child_call_abort(call);
	} else {
		status = call ? child_call_end(call) : 0;
	}
	if (status == 0 && copied > 0 && beside && rename(edited, path)) {
		LOG_ERRNO("%s", path);
		status = 1;
	} else if (status == 0 && copied > 0 && !beside) {
		(void)fprintf(stderr, "%s cannot be written; what came back is in %s\n", path,
		              edited);
	} else if (copied == 0 || status) {
		(void)unlink(edited);
	}
	return status;
}

static int open_source(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || fstat(fd, st) || !S_ISREG(st->st_mode)) {
		(void)fprintf(stderr, "%s: %s\n", path, fd < 0 ? strerror(errno) : "not a file");
		return fd_close(fd);
	}
	return fd;
}

/* As a local program: standard output leads to the service, standard input from it. */
static int speak(const char *path, bool view_only)
{
	static char buf[65536];
	char field[OPEN_NAME_LEN];
	unsigned long long copied;
	struct stat st;
	OWNED_FD int file = open_source(path, &st);
	ssize_t n;

	if (file < 0)
		return 1;
	open_name_encode(path, view_only, field);
	input_init(&in, file);
	if (fd_write_all(STDOUT_FILENO, field, sizeof(field)) ||
	    input_copy(&in, STDOUT_FILENO, EDITED_MAX, &copied)) {
		LOG_ERRNO("send %s", path);
		return 1;
	}
	(void)close(STDOUT_FILENO);
	if (!view_only)
		return take_back(path, STDIN_FILENO, &st, NULL);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		;
	return 0;
}

static int open_file(const char *qube, const char *path, bool view_only)
{
	static char buf[65536];
	char field[OPEN_NAME_LEN];
	struct child_call call;
	struct stat st;
	OWNED_FD int file = open_source(path, &st);

	if (file < 0)
		return 1;
	open_name_encode(path, view_only, field);
	if (child_call(qube, "qubes.OpenInVM", field, sizeof(field), file, &call)) {
		LOG_ERRNO("qrexec-client-vm");
		return 1;
	}
	if (!view_only)
		return take_back(path, call.fd, &st, &call);
	while (read(call.fd, buf, sizeof(buf)) > 0)
		;
	return child_call_end(&call);
}

static int open_address(const char *qube, const char *address)
{
	struct child_call call;
	OWNED_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char line[OPEN_URL_MAX + 2];
	char byte;
	int n = snprintf(line, sizeof(line), "%s\n", address);

	if (n < 0 || (size_t)n >= sizeof(line) || !open_url_legal(address, strlen(address))) {
		(void)fprintf(stderr,
		              "only addresses of http, https and ftp are opened elsewhere\n");
		return 1;
	}
	if (null < 0 || child_call(qube, "qubes.OpenURL", line, (size_t)n, null, &call)) {
		LOG_ERRNO("qrexec-client-vm");
		return 1;
	}
	while (read(call.fd, &byte, 1) > 0)
		;
	return child_call_end(&call);
}

static int usage(const char *name, FILE *to, int status)
{
	(void)fprintf(to, "usage: %s [--view-only] %sFILE%s\n", name,
	              strcmp(name, "qvm-open-in-vm") == 0 ? "QUBE " : "",
	              strcmp(name, "qopen-in-vm") == 0 ? "" : "|URL");
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"view-only", no_argument, NULL, 'v'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {"version", no_argument, NULL, 'V'},
	                                        {0}};
	const char *name = strrchr(argv[0], '/');
	const char *qube = "@dispvm";
	bool view_only = false;
	int n_words;
	int c;

	name = name ? name + 1 : argv[0];
	log_init(name);
	n_words = strcmp(name, "qvm-open-in-vm") == 0 ? 2 : 1;
	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (c == 'v')
			view_only = true;
		else if (c == 'V')
			return printf("%s " SKERRY_VERSION "\n", name) < 0;
		else
			return c == 'h' ? usage(name, stdout, 0) : usage(name, stderr, 2);
	}
	if (optind + n_words != argc)
		return usage(name, stderr, 2);
	if (strcmp(name, "qopen-in-vm") == 0)
		return speak(argv[optind], view_only);
	if (n_words == 2)
		qube = argv[optind++];
	if (access(argv[optind], F_OK) && open_url_like(argv[optind]))
		return open_address(qube, argv[optind]);
	return open_file(qube, argv[optind], view_only);
}
