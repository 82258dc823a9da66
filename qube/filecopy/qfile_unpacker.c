/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qfile-unpacker: receives files that another qube sends. Run by the service qubes.Filecopy, with
 * the stream on its input and the sender's reply on its output; manual: qfile-unpacker(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filecopy/account.h"
#include "filecopy/confined.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/untrusted/name.h"
#include "lib/untrusted/path.h"

#define STATUS_USAGE 1
#define MARGIN_MAX   2147483647ULL /* of --wait-for-space; the original's int */

struct arguments {
	struct receive_config config;
	const char *uid; /* "" or NULL: the caller */
	const char *folder;
};

struct option_row {
	const char *name;
	int (*apply)(struct arguments *args, const char *value);
	bool has_value;
};

static int all_names(struct arguments *args, const char *value UNUSED)
{
	args->config.path_flags |= UNTRUSTED_ANY_BYTES;
	return 0;
}

static int no_all_names(struct arguments *args, const char *value UNUSED)
{
	args->config.path_flags &= ~(unsigned int)UNTRUSTED_ANY_BYTES;
	return 0;
}

static int unsafe_links(struct arguments *args, const char *value UNUSED)
{
	args->config.path_flags |= UNTRUSTED_ANY_LINKS;
	return 0;
}

static int no_unsafe_links(struct arguments *args, const char *value UNUSED)
{
	args->config.path_flags &= ~(unsigned int)UNTRUSTED_ANY_LINKS;
	return 0;
}

static int verbose(struct arguments *args, const char *value UNUSED)
{
	args->config.verbose = true;
	return 0;
}

static int no_special_modes(struct arguments *args, const char *value UNUSED)
{
	args->config.mode_mask = 0777;
	return 0;
}

static int number(const char *name, const char *value, unsigned long long max, uint64_t *ret)
{
	unsigned long long n;

	if (!account_number(value, max, &n)) {
		LOG("%s: %s is not a number from 0 to %llu", name, value, max);
		return -1;
	}
	*ret = n;
	return 0;
}

static int margin(struct arguments *args, const char *value)
{
	args->config.wait_for_space = true;
	return number("--wait-for-space", value, MARGIN_MAX, &args->config.space_margin);
}

static int bytes_max(struct arguments *args, const char *value)
{
	return number("--max-bytes", value, INT64_MAX, &args->config.bytes_max);
}

static int files_max(struct arguments *args, const char *value)
{
	return number("--max-files", value, INT64_MAX, &args->config.files_max);
}

/* Never abbreviated: a script's option must not change its meaning when one is added. */
static const struct option_row options[] = {
        {"--allow-all-names", all_names, false},
        {"--no-allow-all-names", no_all_names, false},
        {"--allow-unsafe-symlinks", unsafe_links, false},
        {"--no-allow-unsafe-symlinks", no_unsafe_links, false},
        {"--no-special-modes", no_special_modes, false},
        {"--max-bytes", bytes_max, true},
        {"--max-files", files_max, true},
        {"--verbose", verbose, false},
        {"-v", verbose, false},
        {"--wait-for-space", margin, true},
        {"-w", margin, true},
};

static const char help[] =
        "usage: qfile-unpacker [OPTION...] [UID [DIR]]\n"
        "Receives the files that qfile-agent sends to its input, into DIR or into\n"
        "~/QubesIncoming/QUBE, and answers on its output.\n"
        "      --[no-]allow-all-names        names of any bytes\n"
        "      --[no-]allow-unsafe-symlinks  links that lead anywhere\n"
        "      --no-special-modes            without setuid, setgid and sticky bits\n"
        "      --max-bytes=N  --max-files=N  refuse more\n"
        "  -v, --verbose                     name what is received\n"
        "  -w, --wait-for-space=N            wait until N bytes would stay free\n";

/* How many words this option takes; 0 after a message. */
static int take_option(struct arguments *args, int left, char **words)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const struct option_row *o = &options[i];
		size_t len = strlen(o->name);
		bool is_long = o->name[1] == '-';

		if (strncmp(words[0], o->name, len) != 0)
			continue;
		if (words[0][len] == '\0' && !o->has_value)
			return o->apply(args, NULL) ? 0 : 1;
		if (words[0][len] == '\0' && left > 1)
			return o->apply(args, words[1]) ? 0 : 2;
		if (words[0][len] == '\0')
			break;
		if (o->has_value && (!is_long || words[0][len] == '='))
			return o->apply(args, words[0] + len + is_long) ? 0 : 1;
	}
	LOG("%s: no such option, or a value is missing or too many", words[0]);
	return 0;
}

/* UID DIR [-v] [-w [N]]: older scripts call it so. */
static int parse_legacy(struct arguments *args, int argc, char **argv)
{
	args->uid = argv[1];
	args->folder = argc > 2 ? argv[2] : NULL;
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			args->config.verbose = true;
		} else if (strcmp(argv[i], "-w") == 0) {
			args->config.wait_for_space = true;
			args->config.space_margin = 1;
			if (i + 1 < argc && argv[i + 1][0] != '-' && margin(args, argv[++i]))
				return -1;
		} else {
			LOG("%s: not an option after UID and DIR", argv[i]);
			return -1;
		}
	}
	return 0;
}

static int parse(struct arguments *args, int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && argv[1][0] >= '0' && argv[1][0] <= '9')
		return parse_legacy(args, argc, argv);
	while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
		int taken;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		taken = take_option(args, argc - i, argv + i);
		if (taken == 0)
			return -1;
		i += taken;
	}
	if (argc - i > 2) {
		LOG("more than UID and DIR");
		return -1;
	}
	args->uid = i < argc ? argv[i] : NULL;
	args->folder = i + 1 < argc ? argv[i + 1] : NULL;
	return 0;
}

/* One folder below the current one, made if it is not there, becomes the current one. */
static int go_into(const char *name)
{
	OWNED_FD int fd = -1;

	if (mkdir(name, 0700) && errno != EEXIST)
		return -1;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fchdir(fd);
}

static int enter_incoming(const char *home)
{
	const char *qube = getenv("QREXEC_REMOTE_DOMAIN");

	if (!qube) {
		LOG("QREXEC_REMOTE_DOMAIN is not set: name a folder, or call the service "
		    "qubes.Filecopy");
		return -1;
	}
	if (qube[0] == '\0' || strchr(qube, '/') || qube[0] == '.') {
		LOG("QREXEC_REMOTE_DOMAIN=%s is not the name of a qube", qube);
		return -1;
	}
	if (chdir(home) || go_into("QubesIncoming") || go_into(qube)) {
		LOG_ERRNO("%s/QubesIncoming/%s", home, qube);
		return -1;
	}
	return 0;
}

static int enter_folder(const struct arguments *args, const char *home)
{
	if (!args->folder)
		return enter_incoming(home);
	if (chdir(args->folder) == 0)
		return 0;
	LOG_ERRNO("%s", args->folder);
	return -1;
}

int main(int argc, char **argv)
{
	static struct arguments args = {
	        .config = {.path_flags = UNTRUSTED_LOOSE_TARGETS, .mode_mask = 07777},
	};
	unsigned long long uid = getuid();
	const char *home;

	log_init("qfile-unpacker");
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (fd_open_stdio() || parse(&args, argc, argv))
		return STATUS_USAGE;
	if (args.uid && args.uid[0] && !account_number(args.uid, UINT32_MAX - 1, &uid)) {
		LOG("%s is not a user's number", args.uid);
		return STATUS_USAGE;
	}
	if (account_become((uid_t)uid, &home) || enter_folder(&args, home))
		return STATUS_USAGE;
	return receive_confined("qfile-unpacker", &args.config);
}
