/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubesdb-read, -write, -rm, -list, -multiread, -watch, and qubesdb-cmd -c COMMAND: a QubesDB from the
 * command line, in a qube and in dom0.
 * Exit: 0 done; 2 only missing keys (read); 1 anything else.
 */
#include <errno.h>
#include <getopt.h>
#include <qubesdb-client.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/need_root.h"

#define EXIT_MISSING 2

struct command {
	qdb_handle_t db;
	char *qube;
	const char *fallback; /* of a missing key */
	long events;          /* to watch; negative: endless */
	bool full, raw, quiet, wait, remove;
};

/* Bytes that a terminal could act on are shown, unless the user wants them as they are. */
static void put_value(const struct command *c, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)value[i];

		if (c->raw || (byte >= 0x20 && byte < 0x80))
			(void)putchar(byte);
		else
			(void)printf("\\x%02x", byte);
	}
	(void)putchar('\n');
}

static void complain(const struct command *c, const char *what, const char *path)
{
	if (!c->quiet)
		(void)fprintf(stderr, "Failed to %s %s\n", what, path);
}

static int end_with(int status, int worse)
{
	return status == 1 || worse == 1 ? 1 : status ? status : worse;
}

/* The watch is there before the key is looked for, so nothing is missed. */
static char *read_key(struct command *c, char *path, unsigned int *len)
{
	bool watches = c->wait && qdb_watch(c->db, path);
	char *value = qdb_read(c->db, path, len);

	while (!value && errno == ENOENT && watches) {
		char *changed = qdb_read_watch(c->db);

		if (!changed)
			break;
		free(changed);
		value = qdb_read(c->db, path, len);
	}
	if (watches) {
		int saved = errno;

		(void)qdb_unwatch(c->db, path);
		errno = saved;
	}
	return value;
}

static int do_read(struct command *c, int n, char **words)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		unsigned int len = 0;
		char *value = read_key(c, words[i], &len);

		if (!value && errno == ENOENT && c->fallback && n == 1) {
			(void)puts(c->fallback);
			continue;
		}
		if (!value) {
			status = end_with(status, errno == ENOENT ? EXIT_MISSING : 1);
			complain(c, "read", words[i]);
			continue;
		}
		if (c->full)
			(void)printf("%s = ", words[i]);
		put_value(c, value, len);
		free(value);
		if (c->remove && !qdb_rm(c->db, words[i])) {
			complain(c, "remove", words[i]);
			status = 1;
		}
	}
	return status;
}

static int do_multiread(struct command *c, int n, char **words)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		unsigned int *lens = NULL, count = 0;
		char **list = qdb_multiread(c->db, words[i], &lens, &count);

		if (!list) {
			complain(c, "read", words[i]);
			status = 1;
			continue;
		}
		for (unsigned int k = 0; k < count; k++) {
			(void)printf("%s = ", list[2 * k] + (c->full ? 0 : strlen(words[i])));
			put_value(c, list[2 * k + 1], lens[k]);
			free(list[2 * k]);
			free(list[2 * k + 1]);
		}
		free(list);
		free(lens);
	}
	return status;
}

static int do_list(struct command *c, int n, char **words)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		unsigned int count = 0;
		char **list = qdb_list(c->db, words[i], &count);

		if (!list) {
			complain(c, "list", words[i]);
			status = 1;
			continue;
		}
		for (unsigned int k = 0; k < count; k++) {
			(void)puts(list[k] +
			           (c->full || strcmp(words[i], "/") == 0 ? 0 : strlen(words[i])));
			free(list[k]);
		}
		free(list);
	}
	return status;
}

static int do_write(struct command *c, int n, char **words)
{
	int status = 0;

	if (n % 2) {
		(void)fputs("Invalid number of parameters\n", stderr);
		return 1;
	}
	for (int i = 0; i < n; i += 2) {
		if (!qdb_write(c->db, words[i], words[i + 1], (unsigned int)strlen(words[i + 1]))) {
			complain(c, "write", words[i]);
			status = 1;
		}
	}
	return status;
}

static int do_rm(struct command *c, int n, char **words)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		if (!qdb_rm(c->db, words[i])) {
			complain(c, "remove", words[i]);
			status = 1;
		}
	}
	return status;
}

static int do_watch(struct command *c, int n, char **words)
{
	for (int i = 0; i < n; i++) {
		if (!qdb_watch(c->db, words[i])) {
			complain(c, "setup watch on", words[i]);
			return 1;
		}
	}
	for (long left = c->events; left != 0; left -= left > 0) {
		char *path = qdb_read_watch(c->db);

		if (!path)
			return 1;
		(void)puts(path);
		(void)fflush(stdout);
		free(path);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct command *c, int n, char **words);
	const char *words;
} commands[] = {
        {"read", do_read, "PATH..."},
        {"write", do_write, "PATH VALUE [PATH VALUE]..."},
        {"rm", do_rm, "PATH..."},
        {"list", do_list, "PATH..."},
        {"multiread", do_multiread, "PATH..."},
        {"watch", do_watch, "PATH..."},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t find(const char *name)
{
	size_t i = 0;

	while (i < N_COMMANDS && strcmp(commands[i].name, name) != 0)
		i++;
	return i;
}

static int usage(FILE *to, const char *program, size_t which, int status)
{
	(void)fprintf(to, "usage: %s [-frqh] [-d QUBE] ", program);
	(void)fputs(which == N_COMMANDS ? "-c COMMAND ..." : commands[which].words, to);
	(void)fputs("\n"
	            "  -d QUBE     the QubesDB of that qube (dom0)\n"
	            "  -f          full paths; with read: PATH = VALUE\n"
	            "  -r          values as they are; else bytes that do not print as \\xHH\n"
	            "  -q          no messages of errors\n"
	            "  -w          read: wait until the key exists\n"
	            "  -x          read: remove the key then\n"
	            "  -e, --default VALUE   read of one key: what to print if it does not exist\n"
	            "  -n N        watch: end after N events (1), never if negative\n",
	            to);
	if (which == N_COMMANDS)
		(void)fputs("commands: read write rm list multiread watch\n", to);
	return status;
}

/* Whether the options are legal; *which may be named by -c. */
static bool read_options(int argc, char **argv, struct command *c, size_t *which)
{
	static const struct option options[] = {{"default", required_argument, NULL, 'e'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {0}};
	const char *program = argv[0];
	char *end;
	int o;

	while ((o = getopt_long(argc, argv, "c:d:frqwxe:n:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			*which = find(optarg);
			break;
		case 'd':
			c->qube = optarg;
			break;
		case 'f':
			c->full = true;
			break;
		case 'r':
			c->raw = true;
			break;
		case 'q':
			c->quiet = true;
			break;
		case 'w':
			c->wait = true;
			break;
		case 'x':
			c->remove = true;
			break;
		case 'e':
			c->fallback = optarg;
			break;
		case 'n':
			c->events = strtol(optarg, &end, 10);
			if (*optarg == '\0' || *end != '\0')
				return false;
			break;
		case 'h':
			exit(usage(stdout, program, *which, 0));
		default:
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct command c = {.events = 1};
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	size_t which = strncmp(name, "qubesdb-", 8) == 0 ? find(name + 8) : N_COMMANDS;
	int status;

	if (!read_options(argc, argv, &c, &which))
		return usage(stderr, name, which, 1);
	if (which == N_COMMANDS || optind == argc)
		return usage(stdout, name, which, 0);
	need_root(name);
	c.db = qdb_open(c.qube);
	if (!c.db) {
		if (!c.quiet)
			(void)fprintf(stderr, "Failed connect to %s daemon\n",
			              c.qube ? c.qube : "local");
		return 1;
	}
	status = commands[which].run(&c, argc - optind, argv + optind);
	qdb_close(c.db);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("standard output");
		return 1;
	}
	return status;
}
