/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rpmcanon: one package, checked and written anew; manual: rpmcanon(1). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/dom0/package.h"

#define KEYS_FOLDER "/etc/pki/rpm-gpg"

static const char help[] =
        "usage: rpmcanon [--dbpath=FOLDER] [--report-progress] [--allow-old-pkgs]\n"
        "                [--preserve-old-signature] [--] PACKAGE OUTPUT\n"
        "Checks that a key RPM-GPG-KEY-* of the folder (default /etc/pki/rpm-gpg) has signed an "
        "RPM\n"
        "package, and writes it anew. PACKAGE may be -, the input.\n";

/* The options of the original; those that would loosen a check are taken and change nothing. */
static int parse(int argc, char **argv, const char **ret_folder, int *ret_first)
{
	static const char *const ignored[] = {"--allow-old-pkgs", "--preserve-old-signature",
	                                      "--report-progress"};
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		size_t k = 0;

		if (argv[i][2] == '\0') {
			i++;
			break;
		}
		if (strncmp(argv[i], "--dbpath=", 9) == 0) {
			*ret_folder = argv[i] + 9;
			continue;
		}
		while (k < ARRAY_LEN(ignored) && strcmp(argv[i], ignored[k]) != 0)
			k++;
		if (k < ARRAY_LEN(ignored))
			continue;
		LOG("%s: %s", argv[i],
		    strcmp(argv[i], "--allow-weak-hashes") == 0 ? "SHA-1 is never taken"
		                                                : "no such option");
		return -1;
	}
	*ret_first = i;
	return argc - i == 2 ? 0 : -1;
}

/* Under a name that nothing reads yet, then in place of what was there. */
static int check_into(const struct package_keys *keys, int in, const char *output)
{
	char temporary[PATH_MAX];
	char why[PACKAGE_WHY_MAX];
	struct rpm_package package;
	int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", output);
	OWNED_FD int out = -1;

	if (n < 0 || (size_t)n >= sizeof(temporary)) {
		LOG("%s: too long a name", output);
		return 1;
	}
	out = mkostemp(temporary, O_CLOEXEC);
	if (out < 0) {
		LOG_ERRNO("%s", temporary);
		return 1;
	}
	if (package_check(keys, in, out, &package, why)) {
		LOG("refused: %s", why);
	} else if (fchmod(out, 0640) || fsync(out) || rename(temporary, output)) {
		LOG_ERRNO("%s", output);
	} else {
		(void)printf("%s %u:%s-%s.%s\n", package.name, package.epoch, package.version,
		             package.release, package.arch);
		return fflush(stdout) ? 1 : 0;
	}
	(void)unlink(temporary);
	return 1;
}

int main(int argc, char **argv)
{
	static char standard[PATH_MAX];
	const char *folder = standard;
	struct package_keys keys;
	OWNED_FD int in = -1;
	int first;
	int status;

	log_init("rpmcanon");
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (fd_open_stdio() || path_make(standard, sizeof(standard), KEYS_FOLDER, NULL) ||
	    parse(argc, argv, &folder, &first)) {
		(void)fputs(help, stderr);
		return 1;
	}
	in = strcmp(argv[first], "-") == 0 ? dup(STDIN_FILENO)
	                                   : open(argv[first], O_RDONLY | O_CLOEXEC);
	if (in < 0) {
		LOG_ERRNO("%s", argv[first]);
		return 1;
	}
	if (package_keys_load(&keys, folder))
		return 1;
	keys.show = true;
	status = check_into(&keys, in, argv[first + 1]);
	package_keys_fini(&keys);
	return status;
}
