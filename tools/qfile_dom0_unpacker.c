/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qfile-dom0-unpacker: receives files in dom0, where updates are fetched by a qube. Canonical names
 * only, and no more than the limits; manual: qfile-dom0-unpacker(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "filecopy/account.h"
#include "filecopy/confined.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define STATUS_USAGE  1
#define BYTES_DEFAULT 4294967296ULL
#define FILES_DEFAULT 4096
#define MARGIN_MAX    2147483647ULL

static const char help[] =
        "usage: qfile-dom0-unpacker USER|UID DIR [-v] [-w [N]] [--only-regular-files]\n"
        "Receives the files that qfile-agent sends to its input into DIR, and answers on its\n"
        "output. UPDATES_MAX_BYTES and UPDATES_MAX_FILES set the limits; 0: none.\n";

static int parse(struct receive_config *config, int argc, char **argv)
{
	for (int i = 3; i < argc; i++) {
		unsigned long long n = 1;

		if (strcmp(argv[i], "-v") == 0) {
			config->verbose = true;
		} else if (strcmp(argv[i], "--only-regular-files") == 0) {
			config->refuse_links = config->refuse_folders = true;
		} else if (strcmp(argv[i], "-w") == 0) {
			config->wait_for_space = true;
			if (i + 1 < argc && argv[i + 1][0] != '-' &&
			    !account_number(argv[++i], MARGIN_MAX, &n)) {
				LOG("-w %s: not a number from 0 to %llu", argv[i], MARGIN_MAX);
				return -1;
			}
			config->space_margin = n;
		} else {
			LOG("%s: no such option", argv[i]);
			return -1;
		}
	}
	return 0;
}

/* What an environment variable says, else the default; 0 is no limit. */
static int limit_of(const char *name, uint64_t otherwise, uint64_t *ret)
{
	const char *text = getenv(name);
	unsigned long long n;

	if (!text) {
		*ret = otherwise;
		return 0;
	}
	if (!account_number(text, UINT64_MAX, &n)) {
		LOG("%s=%s is not a number", name, text);
		return -1;
	}
	*ret = n;
	return 0;
}

/* The current folder is the destination. Nine tenths of what is free: dom0 has to go on. */
static int set_limits(struct receive_config *config)
{
	struct statfs fs;
	uint64_t free_bytes;

	if (statfs(".", &fs)) {
		LOG_ERRNO("statfs");
		return -1;
	}
	if (__builtin_mul_overflow((uint64_t)fs.f_bsize, (uint64_t)fs.f_bavail, &free_bytes))
		free_bytes = UINT64_MAX;
	free_bytes = free_bytes / 10 * 9;
	/* A full disk is no disk without limits. */
	free_bytes = MAX(free_bytes, 1ULL);
	return limit_of("UPDATES_MAX_BYTES", MIN(free_bytes, BYTES_DEFAULT), &config->bytes_max) ||
	       limit_of("UPDATES_MAX_FILES", FILES_DEFAULT, &config->files_max);
}

static int uid_of(const char *user, unsigned long long *ret)
{
	const struct passwd *pw = getpwnam(user);

	if (pw) {
		*ret = pw->pw_uid;
		return 0;
	}
	if (account_number(user, UINT32_MAX - 1, ret))
		return 0;
	LOG("%s: no such user", user);
	return -1;
}

/* Made with the caller's rights, for the user. */
static int enter_folder(const char *folder, uid_t uid)
{
	bool made = mkdir(folder, 0700) == 0;

	if (!made && errno != EEXIST) {
		LOG_ERRNO("%s", folder);
		return -1;
	}
	if (chdir(folder) || (made && uid != geteuid() && lchown(".", uid, (gid_t)-1))) {
		LOG_ERRNO("%s", folder);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct receive_config config = {.mode_mask = 07777, .no_temp = true};
	unsigned long long uid;
	const char *home;

	log_init("qfile-dom0-unpacker");
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (argc < 3) {
		(void)fputs(help, stderr);
		return STATUS_USAGE;
	}
	if (fd_open_stdio() || parse(&config, argc, argv) || uid_of(argv[1], &uid))
		return STATUS_USAGE;
	if (enter_folder(argv[2], (uid_t)uid) || set_limits(&config) ||
	    account_become((uid_t)uid, &home))
		return STATUS_USAGE;
	return receive_confined("qfile-dom0-unpacker", &config);
}
