/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_MENUS_H
#define SERVICES_DOM0_MENUS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"
#include "proto/services/appmenus.h"

/*
 * The applications of one qube: read from what it says of them, and kept as one file each, which the
 * menus of the qubes that are based on it are made from:
 *
 *   /var/lib/qubes/appmenus/QUBE/apps.templates/NAME.desktop
 *   /var/lib/qubes/appmenus/QUBE/apps.tempicons/NAME.png
 */

#define MENUS_FOLDER    "/var/lib/qubes/appmenus"
#define MENUS_TEMPLATES "apps.templates"
#define MENUS_ICONS     "apps.tempicons"
#define MENUS_BYTES_MAX (8U << 20) /* of an answer; chosen: 100 times what a full desktop says */
#define MENUS_NAME_MAX  200        /* bytes of an application's name; chosen: a file's has 255 */

struct menus {
	size_t n;
	struct menus_app {
		char *name;
		char *values[APPMENUS_KEY_MAX]; /* NULL: not given */
		bool has_icon;                  /* its picture is in the folder */
	} apps[APPMENUS_APPS_MAX];
};

/**
 * menus_read() - an answer
 * @data:  hostile
 * @ascii_only: lines with other bytes are left out, instead of the whole being refused
 * Errors: 0; -1 after a log line: nothing may be changed.
 */
int menus_read(struct menus *menus, const char *data, size_t len, bool ascii_only) MUST_CHECK;

void menus_fini(struct menus *menus);

/** menus_path() - QUBE's folder, or a file or folder in it */
int menus_path(char path[PATH_MAX], const char *qube, const char *below, const char *name,
               const char *suffix) MUST_CHECK;

/** menus_folders() - makes them; 0, or -1 with errno */
int menus_folders(const char *qube) MUST_CHECK;

/**
 * menus_store() - the files become what was read: changed ones are replaced as a whole, those of
 *                 applications that are gone are removed
 * Errors: 0; -1 after a log line; what was done stays, and another call does the rest.
 */
int menus_store(const struct menus *menus, const char *qube) MUST_CHECK;

/** menus_write() - a file as a whole or not at all; 0, or -1 with errno */
int menus_write(const char *path, int (*fill)(void *arg, int fd), void *arg) MUST_CHECK;

#endif
