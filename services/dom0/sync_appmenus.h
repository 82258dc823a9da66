/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_SYNC_APPMENUS_H
#define SERVICES_DOM0_SYNC_APPMENUS_H

#include "lib/base/compat.h"
#include "services/dom0/menus.h"

/*
 * qubes.SyncAppMenus as two processes. The reader sees the qube's bytes, and is confined to the folder
 * of that qube's menus. The fetcher can call services of the qube, and reads none of its bytes: for each
 * icon that the reader names it starts the call and hands over the end from which the picture comes.
 */

#define SYNC_ICON_MAX 255 /* bytes of an icon's name */

/** sync_confine() - the reader gives up everything but the folder; 0, or -1 after a log line */
int sync_confine(const char *qube) MUST_CHECK;

/** sync_icons() - in the reader: pictures for all that name one; failures leave what was there */
void sync_icons(struct menus *menus, const char *qube, int fetcher);

/** sync_fetch() - in the fetcher: serves the reader until it closes */
void sync_fetch(int reader, const char *qube);

/**
 * sync_call() - a service of the qube
 * @request:  written to its input, at most 4096 bytes; @fd: given, its output
 * Errors: its process, or -1 with errno.
 */
int sync_call(const char *qube, const char *service, const char *request, int *ret_fd) MUST_CHECK;

#endif
