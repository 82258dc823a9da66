/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_STORAGE_TAR_TREE_H
#define SERVICES_STORAGE_TAR_TREE_H

#include <stdint.h>

#include "lib/base/compat.h"

/* Folders of an archive, whose modes are set at the end: bytes of names that are remembered. Chosen. */
#define TAR_FOLDERS_MAX (64U << 20)

/* Why an unpacking failed; "" with an errno where a system call did. */
struct tar_fault {
	char text[160];
};

/**
 * tar_unpack() - an archive into an empty folder
 * @in:  a descriptor that is read to the end of the archive
 * @top: nothing is made, changed or read outside of it
 * @owner: whose everything is to be, where this process is root; 0: as the archive says
 * @progress: may be NULL; bytes read so far
 *
 * Trust:  the archive is hostile. Names that are absolute or hold "..", parents that are links, links
 *         to what is outside by name, members without an end, and numbers out of bounds end it; devices
 *         are left out; only user attributes are set; set-user-id bits stay, for the tree is a qube's.
 * Errors: 0, or -1 with fault filled; what was made stays for the caller to remove.
 * Test:   tests/unit/services/storage/tar.c; fuzz/tar_unpack.c
 */
int tar_unpack(int in, int top, uint32_t owner, struct tar_fault *fault,
               void (*progress)(void *arg, uint64_t bytes), void *arg) MUST_CHECK;

/**
 * tar_pack() - what is below a folder as a pax archive
 * @out:     -1: nothing is written nor read of files; progress tells how long it would be
 * @prefix:  of every name, with a slash at its end; "./" as a rule
 * Modes, owners, times to the nanosecond, both kinds of links, FIFOs and user attributes are kept.
 * Errors: 0, or -1 with fault filled.
 */
int tar_pack(int top, int out, const char *prefix, struct tar_fault *fault,
             void (*progress)(void *arg, uint64_t bytes), void *arg) MUST_CHECK;

#endif
