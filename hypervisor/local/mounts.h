/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_LOCAL_MOUNTS_H
#define HYPERVISOR_LOCAL_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/* The few mounts that a qube's root is made of. All return 0, or -1 with errno. */

/** mounts_private() - a mount namespace of our own, from which nothing spreads to others */
int mounts_private(void) MUST_CHECK;

/** mounts_overlay() - layers, the upper one first, joined and read-only, at a folder */
int mounts_overlay(const char *const *layers, size_t n_layers, const char *at) MUST_CHECK;

/**
 * mounts_bind() - what a descriptor stands for, at a place in a folder; no set-user-id, no devices
 * @to:  its last part may not be a symbolic link
 */
int mounts_bind(int from_fd, const char *to, bool read_only) MUST_CHECK;

/** mounts_read_only() - the file system that is mounted at a path, for everybody in this namespace */
int mounts_read_only(const char *at) MUST_CHECK;

/**
 * mounts_open_below() - a folder directly below another, whose owner may have put anything there
 * @made:  a new one belongs to owner:owner unless owner is -1
 * Never follows a link and never leaves the file system. The descriptor, or -1 with errno.
 */
int mounts_open_below(int dir, const char *name, uid_t owner) MUST_CHECK;

#endif
