/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_RIGHTS_H
#define HYPERVISOR_XEN_RIGHTS_H

#include <stdint.h>

#include "lib/base/compat.h"

/* The rights of the ground's processes: doc/confinement.md has a line for each. 0, or -1 after a log line. */

/** xen_toolstack_confine() - it becomes the toolstack's user; as that one it may signal the processes of others */
int xen_toolstack_confine(void) MUST_CHECK;
/** xen_starter_confine() - what starts makers and readers of consoles, and these until they know what they are */
int xen_starter_confine(void) MUST_CHECK;
/** xen_maker_confine() - before the maker of a qube hears a word of a builder; @folder: of unpacked kernels, or NULL */
int xen_maker_confine(const char *folder) MUST_CHECK;
/** xen_builder_confine() - before the builder reads a byte of a kernel; @user: whom it becomes, if it is root */
int xen_builder_confine(uint32_t user) MUST_CHECK;

/** xen_own_folder() - makes a folder that the toolstack's user owns; its parent must be there. Errors are logged. */
void xen_own_folder(const char *path);

#endif
