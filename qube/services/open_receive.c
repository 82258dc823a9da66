/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.OpenInVM: a file of another qube is opened here, and sent back if it was changed. It lies in a
 * folder of its own while that lasts, and is gone afterwards, however this ends.
 * Source: doc/protocol/services.md, OpenInVM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/input.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "proto/services/open.h"
#include "qube/services/child.h"

#define OPENER   "/usr/bin/qubes-open"
#define FILE_MAX (64ULL << 30) /* bytes; chosen: the private volume's size is the real limit */
#define LOOK_NS  300000000L    /* between two looks whether it is still open; chosen */

static struct {
	char folder[PATH_MAX];
	char file[PATH_MAX];
	struct open_name name;
	struct input in;
} opened;

static volatile sig_atomic_t asked_to_end;

static void on_signal(int signo)
{
	(void)signo;
	asked_to_end = 1;
}

static void clean(void)
{
	if (*opened.file)
		(void)unlink(opened.file);
	if (*opened.folder)
		(void)rmdir(opened.folder);
}

static int make_folder(void)
{
	const char *source = getenv("QREXEC_REMOTE_DOMAIN");
	const char *tmp = getenv("TMPDIR");
	int n;

	if (!source || untrusted_qube_name_check(source, strlen(source)) != UNTRUSTED_QUBE_NAME_OK)
		source = "unknown";
	n = snprintf(opened.folder, sizeof(opened.folder), "%s/%s-XXXXXX",
	             tmp && *tmp ? tmp : "/tmp", source);
	if (n < 0 || (size_t)n >= sizeof(opened.folder) - OPEN_NAME_LEN - 1 ||
	    !mkdtemp(opened.folder)) {
		opened.folder[0] = '\0';
		return -1;
	}
	(void)snprintf(opened.file, sizeof(opened.file), "%.*s/%s", PATH_MAX - OPEN_NAME_LEN - 2,
	               opened.folder, opened.name.name);
	return 0;
}

static int receive(struct stat *ret_st)
{
	unsigned long long copied;
	OWNED_FD int fd =
	        open(opened.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || input_copy(&opened.in, fd, FILE_MAX, &copied) ||
	    (opened.name.view_only && fchmod(fd, 0400)))
		return -1;
	return fstat(fd, ret_st);
}

/* A program that was handed the file has its path among its words. */
static bool has_word(const char *pid)
{
	static char words[65536];
	char path[64];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, words, sizeof(words));
	return n > 0 && memmem(words, (size_t)n, opened.folder, strlen(opened.folder));
}

/* Launchers return at once and leave the editor behind: it is waited for as well. */
static bool is_still_open(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	bool found = false;
	char own[16];

	(void)snprintf(own, sizeof(own), "%d", (int)getpid());
	while (proc && !found && (entry = readdir(proc)))
		found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		        strcmp(entry->d_name, own) != 0 && has_word(entry->d_name);
	if (proc)
		(void)closedir(proc);
	return found;
}

static int show(void)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	char opener[PATH_MAX];
	const char *argv[] = {opener, opened.file, NULL};
	static struct input said;
	char line[512];
	pid_t pid;
	ssize_t n;
	int fd;

	if (path_make(opener, sizeof(opener), OPENER, NULL) || child_start(argv, -1, &fd, &pid)) {
		LOG_ERRNO(OPENER);
		return -1;
	}
	/* Its output must not reach the other qube as if it were the file. */
	input_init(&said, fd);
	while ((n = input_line(&said, line, sizeof(line))) > 0)
		LOG("qubes-open: %.*s", (int)n - (line[n - 1] == '\n'), line);
	(void)close(fd);
	(void)child_wait(pid);
	while (!asked_to_end && is_still_open())
		(void)nanosleep(&pause, NULL);
	return 0;
}

static int send_back(const struct stat *before)
{
	OWNED_FD int fd = open(opened.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	unsigned long long copied;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -1;
	if (st.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
		return 0;
	input_init(&opened.in, fd);
	return input_copy(&opened.in, STDOUT_FILENO, FILE_MAX, &copied);
}

static int run(void)
{
	char untrusted_field[OPEN_NAME_LEN];
	struct stat before;

	input_init(&opened.in, STDIN_FILENO);
	if (input_exact(&opened.in, untrusted_field, sizeof(untrusted_field)) ||
	    open_name_decode(untrusted_field, &opened.name)) {
		LOG("the file has no name that could be used here");
		return 1;
	}
	if (make_folder() || receive(&before)) {
		LOG_ERRNO("%s", opened.file);
		return 1;
	}
	if (show())
		return 1;
	if (!opened.name.view_only && send_back(&before)) {
		LOG_ERRNO("sending %s back", opened.name.name);
		return 1;
	}
	return 0;
}

int main(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	int status;

	log_init("qubes.OpenInVM");
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	status = run();
	clean();
	return status;
}
