/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/tree_check.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/untrusted/path.h"
#include "lib/untrusted/text.h"

struct check {
	const struct tree_check_config *config;
	size_t above; /* bytes of fts_path before the name in the stream */
	uint64_t bytes;
	bool refused;
	bool needs_all_names;
};

static void tell(const char *program, const char *what, const char *path, int error)
{
	static char shown[4 * PATH_MAX];

	(void)untrusted_text_escape(shown, sizeof(shown), path, strlen(path));
	(void)fprintf(stderr, "%s: %s: %s%s%s\n", program, shown, what, error ? ": " : "",
	              error ? strerror(error) : "");
}

bool tree_check_argument(const char *program, const char *path)
{
	static const char *const none[] = {"", ".", ".."};
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (strcmp(name, none[i]) != 0)
			continue;
		tell(program, "cannot be copied: it is no name under which it could arrive", path,
		     0);
		return false;
	}
	return true;
}

static void refuse(struct check *c, const FTSENT *entry, const char *what, int error)
{
	tell(c->config->program, what, entry->fts_path, error);
	c->refused = true;
}

/* @result: without allow-all-names; @loose: with it */
static void judge(struct check *c, const FTSENT *entry, int result, int loose)
{
	if (result == 0)
		return;
	if (loose == -ENOLINK)
		refuse(c, entry, "Refusing to copy unsafe symbolic link", 0);
	else if (loose)
		refuse(c, entry, "no receiver takes this name or target", 0);
	else
		c->needs_all_names = true;
}

static void check_link(struct check *c, const FTSENT *entry, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlink(entry->fts_accpath, target, sizeof(target) - 1);
	unsigned int flags = UNTRUSTED_LOOSE_TARGETS;

	if (len < 0) {
		refuse(c, entry, "readlink", errno);
		return;
	}
	target[len] = '\0';
	c->bytes += (uint64_t)len;
	judge(c, entry, untrusted_link_check(name, target, flags),
	      untrusted_link_check(name, target, flags | UNTRUSTED_ANY_BYTES));
}

static void check_name(struct check *c, const FTSENT *entry, const char *name)
{
	judge(c, entry, untrusted_path_check(name, 0),
	      untrusted_path_check(name, UNTRUSTED_ANY_BYTES));
}

static void check_entry(struct check *c, const FTSENT *entry)
{
	const char *name = entry->fts_path + c->above;

	switch (entry->fts_info) {
	case FTS_F:
		check_name(c, entry, name);
		c->bytes += (uint64_t)entry->fts_statp->st_size;
		return;
	case FTS_D:
		if (!c->config->allow_folders)
			refuse(c, entry, "folders are not copied here", 0);
		check_name(c, entry, name);
		return;
	case FTS_SL:
	case FTS_SLNONE:
		if (c->config->ignore_links)
			return;
		if (!c->config->allow_links)
			refuse(c, entry, "symbolic links are not copied here", 0);
		else
			check_link(c, entry, name);
		return;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		refuse(c, entry, "cannot be read", entry->fts_errno);
		return;
	default: /* FTS_DP: a folder's end; FTS_DEFAULT: a device, socket, pipe: not sent */
		return;
	}
}

enum tree_check_result tree_check(const struct tree_check_config *config, const char *path,
                                  uint64_t *ret_bytes)
{
	const char *slash = strrchr(path, '/');
	struct check c = {.config = config, .above = slash ? (size_t)(slash - path) + 1 : 0};
	/* fts_open() takes strings that it does not write to. */
	union {
		const char *given;
		char *wanted;
	} one = {.given = path};
	char *const paths[] = {one.wanted, NULL};
	FTS *walk = fts_open(paths, FTS_PHYSICAL, NULL);
	const FTSENT *entry;

	if (!walk) {
		tell(config->program, "cannot be read", path, errno);
		return TREE_CHECK_REFUSED;
	}
	for (errno = 0; (entry = fts_read(walk)); errno = 0)
		check_entry(&c, entry);
	if (errno) {
		tell(config->program, "cannot be read", path, errno);
		c.refused = true;
	}
	(void)fts_close(walk);
	*ret_bytes += c.bytes;
	if (c.refused)
		return TREE_CHECK_REFUSED;
	return c.needs_all_names && !config->allow_all_names ? TREE_CHECK_NEEDS_ALL_NAMES
	                                                     : TREE_CHECK_FINE;
}
