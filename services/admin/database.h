/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DATABASE_H
#define SERVICES_ADMIN_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The SQLite file: one table for each kind of row, with columns owner (uuid of the qube, "" for the
 * system), name and value. Journal in WAL mode, synchronous=FULL: what was committed survives a power
 * cut. One process at a time holds it.
 */
struct database;

/**
 * database_open() - DIR/admin.sqlite, made if it is not there
 *
 * A damaged file is set aside as admin.sqlite.damaged-TIME: if all its rows can still be read the new
 * one is made of them, else of the copy that is made at each good start (admin.sqlite.backup). A file
 * that cannot be written is opened for reading: every change is then refused.
 * Errors: NULL after a log line: somebody else has it, or nothing can be read.
 */
struct database *database_open(const char *dir) MUST_CHECK;
void database_close(struct database *db);

/** database_backup() - a copy of the whole beside it, for the case that it gets damaged; best effort */
void database_backup(struct database *db, const char *dir);

/** database_rows() - fn for each row, in the order in which they must be applied; 0 or -1 */
int database_rows(struct database *db,
                  int (*fn)(void *arg, uint32_t kind, const char *owner, const char *name,
                            const char *value),
                  void *arg) MUST_CHECK;

/* A group of transactions. Errors: 0 or -1 with database_why(). */
int database_begin(struct database *db) MUST_CHECK;
int database_put(struct database *db, uint32_t kind, const char *owner, const char *name,
                 const char *value) MUST_CHECK;
int database_commit(struct database *db) MUST_CHECK;
void database_rollback(struct database *db);
const char *database_why(struct database *db);

#endif
