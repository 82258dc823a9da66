/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_SEND_H
#define FILECOPY_SEND_H

#include <stdbool.h>

#include "lib/base/compat.h"

/*
 * The sender: files, links and folders of this qube as a stream, and what the receiver says to it.
 */

struct send_config {
	const char *program; /* for messages */
	int in_fd;           /* the receiver's answer; blocking */
	int out_fd;          /* the stream */
	bool skip_links;
	char *const *paths; /* NULL-terminated */
	int first_number;   /* of paths[0], in messages */
};

/**
 * send_files() - everything that the paths name, and the answer
 *
 * A path's last component and what is below it appear in the stream. Links are sent as links; what
 * is neither file, link nor folder is passed over.
 * Returns the exit status: 0 if the receiver has everything; else 1, or PROGRESS_CLOSED_STATUS, after a message.
 */
int send_files(const struct send_config *config) MUST_CHECK;

#endif
