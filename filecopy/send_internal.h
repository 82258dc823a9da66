/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_SEND_INTERNAL_H
#define FILECOPY_SEND_INTERNAL_H

#include <dirent.h>
#include <sys/stat.h>

#include "filecopy/output.h"
#include "filecopy/progress.h"
#include "filecopy/send.h"
#include "proto/filecopy.h"

/* A folder that is being sent. */
struct send_level {
	DIR *dir;
	size_t path_len; /* of the folder's own path */
	struct filecopy_header header;
};

struct sender {
	const struct send_config *config;
	struct output out;
	struct progress progress;
	bool refused; /* the channel takes no more, or an answer is there: it has to be read */
	bool closed;  /* who watched the progress has gone */
	struct send_level *levels; /* owned; the innermost last */
	size_t n_levels;
	size_t levels_max;
	size_t path_len;
	char path[FILECOPY_NAME_MAX + 1]; /* of the object at hand, as the stream names it */
};

/* All of these: 0, or -1 after a message, or with refused or closed set. */

/** send_check() - called between pieces: progress, and whether an answer is there already */
int send_check(struct sender *s) MUST_CHECK;

/** send_header() - header and name of the object at s->path */
int send_header(struct sender *s, const struct stat *st, struct filecopy_header *ret) MUST_CHECK;

/** send_header_again() - the one of a folder after its contents */
int send_header_again(struct sender *s, const struct filecopy_header *header) MUST_CHECK;

/** send_data() - the contents of an open file, as many bytes as its header said */
int send_data(struct sender *s, int fd, const struct stat *st) MUST_CHECK;

/** send_tree() - the object of that name in a folder, and what is below it */
int send_tree(struct sender *s, int folder, const char *name) MUST_CHECK;

/** send_tree_end() - closes what an error left open */
void send_tree_end(struct sender *s);

#endif
