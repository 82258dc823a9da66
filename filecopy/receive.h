/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FILECOPY_RECEIVE_H
#define FILECOPY_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The receiver: a stream that another qube wrote becomes files, links and folders below one folder,
 * or an error is sent back. Every check is made before what it guards, in the order of the original,
 * for the number and the name that the sender gets tell which one came first.
 */

struct receive_config {
	int in_fd;    /* the stream; blocking; closed when an error is sent */
	int out_fd;   /* the reply */
	int top_fd;   /* the destination */
	int proc_fd;  /* /proc/PID/fd of this process, where linkat() may need it; else -1 */
	bool by_proc; /* used at once; else when the kernel wants it */
	bool no_temp; /* files appear with mode 0 before they are complete, as in dom0's original */
	unsigned int path_flags; /* enum untrusted_path_flags for names and links */
	bool refuse_links;
	bool refuse_folders;
	bool verbose;       /* the name of each file and link to descriptor 2, escaped */
	uint32_t mode_mask; /* bits of a mode that are taken over */
	bool wait_for_space;
	uint64_t space_margin; /* bytes to be left free by a file */
	uint64_t bytes_max;    /* of files, links and merged folders; 0: any */
	uint64_t files_max;    /* objects; a folder counts twice; 0: any */
};

#define RECEIVE_SILENT_STATUS 1 /* exit status where the original ends without a reply */

/**
 * receive() - all of a stream, and the reply
 *
 * Trust: the stream is hostile. What it names is looked up below top_fd one component at a time. One
 *        call takes about 600 KiB of static memory and PLACE_LEVELS + 2 descriptors, whatever comes.
 * Returns the exit status: the low byte of the error that was sent, 0 if everything was received.
 */
int receive(const struct receive_config *config) MUST_CHECK;

/** receive_needs_proc() - does this kernel name an open file by /proc only (before Linux 6.10)? */
bool receive_needs_proc(int top_fd);

#endif
