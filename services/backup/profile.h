/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_PROFILE_H
#define SERVICES_BACKUP_PROFILE_H

#include <stddef.h>

#include "lib/base/compat.h"
#include "proto/backup.h"

/*
 * Profiles of backups, /etc/qubes/backup/NAME.conf: the part of YAML that they need. Keys at the start
 * of a line; values: a word or words up to the end of the line, '…' or "…", a list in brackets or of
 * lines that begin with "- "; comments. Source: doc/protocol/backup.md
 */

#define PROFILE_SIZE_MAX 32768U /* bytes; chosen: its names must fit into one packet */
#define PROFILE_WHY_LEN  160U

/**
 * backup_profile_parse() - a profile
 * @store:    where the texts of @out stand
 * @ret_why:  what is wrong with it, as callers of the Admin API are told it; printable
 * Trust:  hostile. Unknown keys and keys given twice are refused: a wrong word would change what is saved.
 * Test:   tests/unit/services/backup/profile.c; fuzz/backup_profile.c
 */
int backup_profile_parse(const char *text, size_t len, char store[PROFILE_SIZE_MAX + 1],
                         struct backup_profile *out, char ret_why[PROFILE_WHY_LEN]) MUST_CHECK;

#endif
