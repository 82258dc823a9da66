/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_APPS_H
#define QUBE_SERVICES_APPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * The applications of this qube: .desktop files below the data folders, and starting one of them.
 * Used by qubes.StartApp, qubes.GetAppmenus and qubes-desktop-run.
 */

#define APPS_FOLDERS_MAX 16 /* data folders that are looked at; chosen */

struct apps_folders {
	size_t n;
	char path[APPS_FOLDERS_MAX][PATH_MAX]; /* …/applications, the user's own first */
};

/** apps_folders() - XDG_DATA_HOME and XDG_DATA_DIRS, or their defaults; below the root prefix unless
 *  the environment names them */
void apps_folders(struct apps_folders *out);

/**
 * apps_find() - the file of an application
 * @id:  checked with desktop_id_legal(); a '-' also stands for a folder
 * Errors: 0; -1: there is none.
 */
int apps_find(const struct apps_folders *folders, const char *id, char path[PATH_MAX]) MUST_CHECK;

/** apps_read() - a file's bytes, given, to be freed; 0, or -1 with errno */
int apps_read(const char *path, char **ret_data, size_t *ret_len) MUST_CHECK;

/**
 * apps_launch() - start what an application's file names, and do not wait for it
 *
 * It runs in a session of its own with nothing of ours open, from its Path or the user's home.
 * Errors: 0: its program was started; -1 after a message on standard output and in the log.
 */
int apps_launch(const char *path) MUST_CHECK;

#endif
