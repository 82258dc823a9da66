/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_PLACE_H
#define FILECOPY_PLACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "proto/filecopy.h"

/*
 * Where in the destination the receiver works. A path is walked one component at a time, never
 * through a link, never by "..", and the kernel is told so (openat2). The folders on the way stay
 * open for the next object, which mostly lies beside the last one: a small file costs no walk.
 */

#define PLACE_LEVELS 32 /* folders held open at most; an outer one is opened again when needed */

struct place {
	int top;              /* the destination; borrowed */
	int fd[PLACE_LEVELS]; /* of level l, counted from 1, in slot l % PLACE_LEVELS */
	size_t held;          /* levels held: depth - held + 1 … depth */
	size_t depth;         /* of the current folder; 0 is the destination */
	size_t len;           /* bytes of its path */
	uint64_t opened;      /* folders so far: another number, perhaps another folder */
	char path[FILECOPY_NAME_MAX + 1]; /* as received; not terminated */
};

void place_init(struct place *place, int top);
void place_fini(struct place *place);

/** place_refresh() - the folders may have been moved: whether the current one is still there is asked again */
void place_refresh(struct place *place);

/** beneath_open() - openat() of one component that cannot leave the folder; fd or -1 with errno */
int beneath_open(int folder, const char *component, int flags, mode_t mode) MUST_CHECK;

/**
 * place_enter() - the folder of that path
 * @path:      len bytes of components with a slash between each two; 0: the destination
 * @ret_fd:    borrowed, until the next call
 * @ret_failed: the component that could not be opened, room for FILECOPY_NAME_MAX + 1
 * Errors: 0, or -1 with errno; ENOTDIR for a link.
 */
int place_enter(struct place *place, const char *path, size_t len, int *ret_fd, char *ret_failed)
        MUST_CHECK;

/** place_current() - the current folder, if that is its path: borrowed, until the next call; else -1 */
int place_current(const struct place *place, const char *path, size_t len) MUST_CHECK;

/** place_leave() - from the current folder, which is not the destination, to the one above */
void place_leave(struct place *place);

#endif
