/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_RECEIVE_INTERNAL_H
#define FILECOPY_RECEIVE_INTERNAL_H

#include <stddef.h>

#include "filecopy/input.h"
#include "filecopy/place.h"
#include "filecopy/receive.h"

struct receiver {
	const struct receive_config *config;
	struct input in;
	struct place place;
	uint32_t place_reads; /* in.reads when the place was walked to */
	bool no_temp;         /* as configured, or the file system has no unnamed files */
	bool by_proc;         /* the kernel names an unnamed file by /proc only */
	/* Which folder it was in which a new file had the mode that was asked for, and which mode. */
	uint64_t trusted_folder;
	uint32_t trusted_mode;
	uint64_t bytes; /* received so far, as they are counted */
	uint64_t files;
	uint32_t error;                /* to be sent; 0 while all is well */
	const char *error_name;        /* to be sent; NULL: the short form */
	bool silent;                   /* ends without a reply */
	struct filecopy_header header; /* untrusted, but for what was checked on the way */
	size_t name_len;
	char name[FILECOPY_NAME_MAX +
	          1]; /* of the last object; stays until the next one's was read */
	char target[FILECOPY_NAME_MAX + 1];    /* of a link */
	char component[FILECOPY_NAME_MAX + 1]; /* of the name, that could not be opened */
};

/* All of these: 0, or -1 after receive_fail(). */

/** receive_fail() - notes what is to be sent; returns -1 */
int receive_fail(struct receiver *r, uint32_t error, const char *name) MUST_CHECK;

/** receive_parent() - the folder in which r->name lies, and its last component, borrowed */
int receive_parent(struct receiver *r, int *ret_folder, const char **ret_last) MUST_CHECK;

/** receive_times() - are the times of this header such? Else the end is silent. */
int receive_times(struct receiver *r) MUST_CHECK;

/** receive_metadata() - times, and unless it has it already the mode, of r->header, whose times were checked */
int receive_metadata(struct receiver *r, int fd, bool has_mode) MUST_CHECK;

int receive_file(struct receiver *r) MUST_CHECK;

#endif
