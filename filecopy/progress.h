/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_PROGRESS_H
#define FILECOPY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* How far a copy is, for a terminal or for a program, as PROGRESS_TYPE says. */

enum progress_kind {
	PROGRESS_NONE,
	PROGRESS_CONSOLE, /* "sent A/B KB" on descriptor 2, rewritten in place */
	PROGRESS_LINES,   /* "gui": bytes, a line each time, on the descriptor SAVED_FD_1 */
	PROGRESS_PAIRS,   /* "lines": bytes and total, there as well */
};

#define PROGRESS_STEP          15000000 /* bytes between two reports, as the original has it */
#define PROGRESS_CLOSED_STATUS 32       /* exit status: who read the lines has gone */

struct progress {
	enum progress_kind kind;
	int fd;
	uint64_t total; /* bytes, for display only */
	uint64_t shown;
};

/** progress_init() - from the environment: PROGRESS_TYPE, FILECOPY_TOTAL_BYTES, SAVED_FD_1 */
void progress_init(struct progress *progress);

/**
 * progress_show() - so many bytes are sent
 * @last:  nothing more comes; it is shown in any case
 * Returns false if nobody looks any more: the user closed the window, and wants no copy.
 */
bool progress_show(struct progress *progress, uint64_t bytes, bool first, bool last);

#endif
