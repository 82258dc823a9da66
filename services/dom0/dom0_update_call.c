/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A script in the update qube, and the archive of dom0's repositories that one of them reads. */
#include "services/dom0/dom0_update.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/tar/header.h"
#include "lib/untrusted/text.h"
#include "services/dom0/image.h"

#define FILE_MAX       (1U << 20) /* of one repository or key */
#define LINE_MAX_BYTES 4096U
#define KEYS_HERE      "file:///etc/pki/"

/* A member of the archive: a folder if data is NULL. */
static int put_member(int fd, const char *name, const char *data, size_t len)
{
	static const uint8_t zeros[2 * TAR_BLOCK];
	static struct tar_header h;
	uint8_t block[TAR_BLOCK];

	h = (struct tar_header){.type = data ? TAR_FILE : TAR_FOLDER,
	                        .mode = data ? 0644 : 0755,
	                        .size = data ? len : 0};
	if (snprintf(h.name, sizeof(h.name), "%s", name) >= (int)sizeof(h.name) ||
	    tar_header_encode(block, &h)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (fd_write_all(fd, block, sizeof(block)))
		return -1;
	if (data && (fd_write_all(fd, data, len) || fd_write_all(fd, zeros, tar_padding(len))))
		return -1;
	return 0;
}

/* Keys lie below another folder there. */
static char *with_keys_moved(const char *text, size_t *ret_len)
{
	char *out = NULL;
	size_t out_len = 0;
	FILE *to = open_memstream(&out, &out_len);
	const char *found;

	if (!to)
		return NULL;
	while ((found = strstr(text, KEYS_HERE))) {
		(void)fwrite(text, 1, (size_t)(found - text), to);
		(void)fputs("file://" UPDATE_FOLDER "/etc/pki/", to);
		text = found + strlen(KEYS_HERE);
	}
	(void)fputs(text, to);
	if (fclose(to)) {
		free(out);
		return NULL;
	}
	*ret_len = out_len;
	return out;
}

static int put_file(int fd, const char *name)
{
	char absolute[PATH_MAX];
	char path[PATH_MAX];
	OWNED_FD int in = -1;
	char *moved = NULL;
	char *text = NULL;
	size_t len;
	int r = -1;

	(void)snprintf(absolute, sizeof(absolute), "/%s", name);
	if (path_make(path, sizeof(path), absolute, NULL))
		return -1;
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return errno == ENOENT ? 0 : -1;
	if (fd_read_to_end(in, 4096, FILE_MAX, &text, &len) == 0) {
		moved = with_keys_moved(text, &len);
		r = moved ? put_member(fd, name, moved, len) : -1;
	}
	free(moved);
	free(text);
	return r;
}

/* The files of a folder whose names begin so. */
static int put_folder(int fd, const char *folder, const char *prefix)
{
	char absolute[PATH_MAX];
	char name[PATH_MAX];
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	(void)snprintf(absolute, sizeof(absolute), "/%s", folder);
	if (path_make(path, sizeof(path), absolute, NULL))
		return -1;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -1;
	r = put_member(fd, folder, NULL, 0);
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name) >= PATH_MAX)
			r = -1;
		else
			r = put_file(fd, name);
	}
	(void)closedir(dir);
	return r;
}

/* Of the image that was taken last, where the disk has slots for images. */
static void own_version(char *text, size_t max)
{
	char path[PATH_MAX];
	struct image_disk d;

	(void)snprintf(text, max, "%s\n", SKERRY_VERSION);
	if (path_make(path, sizeof(path), IMAGE_SLOTS, "state") || access(path, F_OK))
		return;
	if (image_disk_open(&d, IMAGE_READ) == 0 && d.boot.floor > 0)
		(void)snprintf(text, max, "%" PRIu64 "\n", d.boot.floor);
	image_disk_close(&d);
}

int update_tar_write(int fd)
{
	static const uint8_t end[2 * TAR_BLOCK];
	char version[32];

	own_version(version, sizeof(version));
	/* The last one is read by our own downloader alone. */
	if (put_folder(fd, "etc/yum.repos.d", "") || put_file(fd, "etc/yum.conf") ||
	    put_file(fd, "etc/dnf/dnf.conf") || put_folder(fd, "etc/yum/vars", "") ||
	    put_folder(fd, "etc/pki/rpm-gpg", "RPM-GPG-KEY-") ||
	    put_member(fd, "etc/skerry-dom0-version", version, strlen(version)) ||
	    fd_write_all(fd, end, sizeof(end))) {
		LOG_ERRNO("dom0's repositories and keys");
		return -1;
	}
	return 0;
}

static void print_lines(int fd, const char *prefix)
{
	char text[4 * LINE_MAX_BYTES];
	char untrusted_line[LINE_MAX_BYTES];
	FILE *from = fdopen(fd, "r");

	if (!from) {
		(void)fd_close(fd);
		return;
	}
	while (fgets(untrusted_line, sizeof(untrusted_line), from)) {
		size_t len = strcspn(untrusted_line, "\r\n");

		if (!prefix)
			continue;
		(void)untrusted_text_escape(text, sizeof(text), untrusted_line, len);
		(void)printf("%s%s\n", prefix, text);
		(void)fflush(stdout);
	}
	(void)fclose(from);
}

static pid_t start(const struct update_call *call, int in, int out)
{
	char command[128];
	const char *const argv[] = {"qrexec-client", "-T", "-d", call->qube, command, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int error;

	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", call->service);
	(void)posix_spawn_file_actions_init(&actions);
	error = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
		                     environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = error;
	return error ? -1 : pid;
}

int update_call(const struct update_call *call)
{
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};
	bool sent;
	pid_t pid;
	int status;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
		LOG_ERRNO("a pipe");
		(void)fd_close(in[0]);
		(void)fd_close(in[1]);
		return 255;
	}
	pid = start(call, in[0], out[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	if (pid < 0)
		LOG_ERRNO("qrexec-client");
	/* Neither script prints before it has read what is written here. */
	sent = pid > 0 && fd_write_all(in[1], call->script, strlen(call->script)) == 0 &&
	       (!call->with_tar || update_tar_write(in[1]) == 0);
	(void)close(in[1]);
	print_lines(out[0], call->prefix);
	if (pid < 0)
		return 255;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 255;
	}
	if (!WIFEXITED(status) || (!sent && WEXITSTATUS(status) == 0))
		return 255;
	return WEXITSTATUS(status);
}
