/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/policy/chain.h"
#include "tools/skerry.h"
#include "tools/skerry_policy_log.h"

/*
 * skerry policy log: shows the decision log, and with --verify proves that it is whole. Reads the
 * rotated files first, oldest to newest, as one chain.
 */

#define FILES_MAX 64

struct reading {
	const struct skerry_options *options;
	bool verify;
	bool broken;
	bool head_seen;
	const char *head; /* --head: a hash that the journal holds; NULL */
	struct chain chain;
	uint64_t records;
};

static void report(struct reading *r, const char *file, uint64_t line, const char *what)
{
	r->broken = true;
	(void)printf("%s%s:%" PRIu64 ": %s%s (the chain is whole up to record %" PRIu64 ")\n",
	             skerry_style(r->options, STYLE_BAD), file, line, what,
	             skerry_style(r->options, STYLE_PLAIN), r->chain.sequence);
}

static void check_line(struct reading *r, const char *file, uint64_t number, const char *line,
                       size_t len)
{
	char hex[CHAIN_HEX_LEN + 1];

	switch (chain_check(&r->chain, line, len)) {
	case CHAIN_START:
	case CHAIN_FITS:
		break;
	case CHAIN_NO_LINE:
		report(r, file, number, "not a record");
		return;
	case CHAIN_BROKEN:
		report(r, file, number, "changed, or a record before it was removed or added");
		return;
	}
	r->records++;
	if (r->head) {
		chain_hex(&r->chain, hex);
		r->head_seen |= strcmp(hex, r->head) == 0;
	}
}

/* 0, or -1: cannot be read. */
static int read_file(struct reading *r, const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t number = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		return -1;
	while (!r->broken && (n = getline(&line, &room, f)) >= 0) {
		bool whole = n > 0 && line[n - 1] == '\n';
		size_t len = whole ? (size_t)n - 1 : (size_t)n;

		number++;
		/* A crash, or the recorder at this moment; the next start cuts it off. */
		if (r->verify && !whole)
			report(r, path, number, "the line has no end");
		else if (r->verify)
			check_line(r, path, number, line, len);
		else if (len > CHAIN_HEX_LEN && line[CHAIN_HEX_LEN] == ' ')
			(void)printf("%.*s\n", (int)(len - CHAIN_HEX_LEN - 1),
			             line + CHAIN_HEX_LEN + 1);
	}
	free(line);
	(void)fclose(f);
	return 0;
}

static int read_all(struct reading *r, const char *path)
{
	static char names[FILES_MAX][PATH_MAX];
	int i;

	for (i = FILES_MAX - 1; i > 0 && !r->broken; i--) {
		if (snprintf(names[i], sizeof(names[i]), "%s.%d", path, i) >= (int)sizeof(names[i]))
			return -1;
		if (read_file(r, names[i]) && errno != ENOENT)
			LOG_ERRNO("%s", names[i]);
	}
	if (r->broken || read_file(r, path) == 0)
		return 0;
	LOG_ERRNO("%s", path);
	return -1;
}

static int conclude(struct reading *r)
{
	char hex[CHAIN_HEX_LEN + 1];

	if (!r->broken && r->head && !r->head_seen) {
		(void)printf(
		        "%sno record has the hash %s%s: the log was written anew or cut short\n",
		        skerry_style(r->options, STYLE_BAD), r->head,
		        skerry_style(r->options, STYLE_PLAIN));
		r->broken = true;
	}
	if (r->broken)
		return SKERRY_REFUSED;
	chain_hex(&r->chain, hex);
	(void)printf("%swhole%s: %" PRIu64 " records, the last is %" PRIu64 ", head %s\n",
	             skerry_style(r->options, STYLE_GOOD), skerry_style(r->options, STYLE_PLAIN),
	             r->records, r->chain.sequence, hex);
	return SKERRY_DONE;
}

int skerry_policy_log(int argc, char **argv, const struct skerry_options *options)
{
	struct reading r = {.options = options};
	const char *path = NULL;
	char usual[PATH_MAX];
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verify") == 0) {
			r.verify = true;
		} else if (strncmp(argv[i], "--head=", 7) == 0) {
			r.verify = true;
			r.head = argv[i] + 7;
		} else if (argv[i][0] != '-' && !path) {
			path = argv[i];
		} else {
			bool help = strcmp(argv[i], "--help") == 0;

			(void)fputs("usage: skerry policy log [--verify] [--head=HASH] [FILE]\n",
			            help ? stdout : stderr);
			return help ? SKERRY_DONE : SKERRY_USAGE;
		}
	}
	if (!path) {
		if (path_make(usual, sizeof(usual), "/var/log/qubes/policy-decisions.log", NULL))
			return SKERRY_REFUSED;
		path = usual;
	}
	if (read_all(&r, path))
		return SKERRY_REFUSED;
	return r.verify ? conclude(&r) : SKERRY_DONE;
}
