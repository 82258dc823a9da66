/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_DRIVE_H
#define TESTS_XEN_DRIVE_H

#include "tests/xen/talk.h"

/* dom0's side of the channels of a qube that runs qube_node.c. */

/** drive_pairs() - each library on each side, in both roles */
void drive_pairs(int domid, const char *kind);
/** drive_bench() - both libraries' figures in the same minute */
void drive_bench(int domid, const char *kind);
/** drive_slice() - what a confined process can do with a channel that it was handed, and what not */
void drive_slice(int domid, const char *kind);
/** drive_call() - qrexec from dom0 into the qube */
void drive_call(int domid, const char *name);

#endif
