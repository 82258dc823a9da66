/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store's file. Contract: database.h. */
#include "services/admin/database.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "services/admin/model.h"

#define FILE_NAME "admin.sqlite"
#define SQL_MAX   256

/* In the order in which rows are applied. */
static const struct {
	enum row_kind kind;
	const char *table;
} tables[] = {
        {ROW_LABEL, "label"},       {ROW_POOL, "pool"},       {ROW_QUBE, "qube"},
        {ROW_PROPERTY, "property"}, {ROW_FEATURE, "feature"}, {ROW_TAG, "tag"},
        {ROW_VOLUME, "volume"},     {ROW_DEVICE, "device"},   {ROW_FIREWALL, "firewall"},
        {ROW_NOTES, "notes"},       {ROW_KEPT, "kept"},
};

struct database {
	sqlite3 *sql;
	sqlite3_stmt *put[ROW_KINDS], *drop[ROW_KINDS];
};

const char *database_why(struct database *db)
{
	return sqlite3_errmsg(db->sql);
}

static int run(sqlite3 *sql, const char *text)
{
	return sqlite3_exec(sql, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static int make_tables(sqlite3 *sql)
{
	char text[SQL_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(tables); i++) {
		snprintf(text, sizeof(text),
		         "CREATE TABLE IF NOT EXISTS %s(owner TEXT NOT NULL, name TEXT NOT NULL, "
		         "value TEXT NOT NULL, UNIQUE(owner, name))",
		         tables[i].table);
		if (run(sql, text))
			return -1;
	}
	return 0;
}

static int prepare(struct database *db)
{
	char text[SQL_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(tables); i++) {
		enum row_kind kind = tables[i].kind;

		snprintf(text, sizeof(text),
		         "INSERT INTO %s(owner, name, value) VALUES(?1, ?2, ?3) ON CONFLICT(owner, "
		         "name) "
		         "DO UPDATE SET value = excluded.value",
		         tables[i].table);
		if (sqlite3_prepare_v2(db->sql, text, -1, &db->put[kind], NULL) != SQLITE_OK)
			return -1;
		snprintf(text, sizeof(text), "DELETE FROM %s WHERE owner = ?1 AND name = ?2",
		         tables[i].table);
		if (sqlite3_prepare_v2(db->sql, text, -1, &db->drop[kind], NULL) != SQLITE_OK)
			return -1;
	}
	return 0;
}

static int path_of(char path[PATH_MAX], const char *dir, const char *end)
{
	return (unsigned int)snprintf(path, PATH_MAX, "%s/" FILE_NAME "%s", dir, end) < PATH_MAX
	               ? 0
	               : -1;
}

/* SQLITE_OK, or why it cannot be used. */
static int open_file(const char *path, int flags, sqlite3 **ret)
{
	int r = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);

	if (r == SQLITE_OK && flags & SQLITE_OPEN_READWRITE) {
		sqlite3_busy_timeout(*ret, 0);
		r = sqlite3_exec(*ret,
		                 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; "
		                 "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
		                 "PRAGMA wal_autocheckpoint=256; BEGIN IMMEDIATE; COMMIT;",
		                 NULL, NULL, NULL);
	}
	return r;
}

static int one_word(void *arg, int n, char **values, char **names)
{
	bool *ok = arg;

	*ok = n == 1 && values[0] && strcmp(values[0], "ok") == 0;
	return 0;
}

static bool is_whole(sqlite3 *sql)
{
	bool ok = false;

	return sqlite3_exec(sql, "PRAGMA quick_check(1)", one_word, &ok, NULL) == SQLITE_OK && ok;
}

static int read_rows(sqlite3 *sql,
                     int (*fn)(void *arg, uint32_t kind, const char *owner, const char *name,
                               const char *value),
                     void *arg)
{
	char text[SQL_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(tables); i++) {
		sqlite3_stmt *s = NULL;
		int r;

		snprintf(text, sizeof(text),
		         "SELECT owner, name, value FROM %s NOT INDEXED ORDER BY rowid",
		         tables[i].table);
		if (sqlite3_prepare_v2(sql, text, -1, &s, NULL) != SQLITE_OK)
			return -1;
		while ((r = sqlite3_step(s)) == SQLITE_ROW) {
			const char *owner = (const char *)sqlite3_column_text(s, 0);
			const char *name = (const char *)sqlite3_column_text(s, 1);
			const char *value = (const char *)sqlite3_column_text(s, 2);

			if (!owner || !name || !value ||
			    fn(arg, tables[i].kind, owner, name, value))
				break;
		}
		sqlite3_finalize(s);
		if (r != SQLITE_DONE)
			return -1;
	}
	return 0;
}

static int copy_row(void *arg, uint32_t kind, const char *owner, const char *name,
                    const char *value)
{
	return database_put(arg, kind, owner, name, value);
}

static struct database *use(sqlite3 *sql)
{
	struct database *db = calloc(1, sizeof(*db));

	if (db)
		db->sql = sql;
	if (db && make_tables(sql) == 0 && prepare(db) == 0)
		return db;
	LOG("%s", sqlite3_errmsg(sql));
	if (db)
		database_close(db);
	else
		sqlite3_close(sql);
	return NULL;
}

static struct database *new_from(const char *path, const char *from)
{
	sqlite3 *sql = NULL, *old = NULL;
	struct database *db = NULL;

	if (open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &sql) != SQLITE_OK) {
		sqlite3_close(sql);
		return NULL;
	}
	db = use(sql);
	if (!db)
		return NULL;
	if (sqlite3_open_v2(from, &old, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ==
	            SQLITE_OK &&
	    database_begin(db) == 0) {
		if (read_rows(old, copy_row, db) == 0 && database_commit(db) == 0) {
			sqlite3_close(old);
			return db;
		}
		database_rollback(db);
	}
	sqlite3_close(old);
	database_close(db);
	unlink(path);
	return NULL;
}

/* The journals of a file go with it. */
static int set_aside(const char *dir, const char *to)
{
	static const char *const ends[] = {"-wal", "-shm", ""};
	char from[PATH_MAX], path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(ends); i++)
		if (path_of(from, dir, ends[i]) ||
		    (unsigned int)snprintf(path, PATH_MAX, "%s%s", to, ends[i]) >= PATH_MAX ||
		    (rename(from, path) && errno != ENOENT))
			return -1;
	return 0;
}

static struct database *rescue(const char *dir)
{
	char path[PATH_MAX], damaged[PATH_MAX], backup[PATH_MAX];
	struct database *db;

	if (path_of(path, dir, "") || path_of(backup, dir, ".backup") ||
	    (unsigned int)snprintf(damaged, sizeof(damaged), "%s/" FILE_NAME ".damaged-%lld", dir,
	                           (long long)time(NULL)) >= sizeof(damaged) ||
	    set_aside(dir, damaged)) {
		LOG_ERRNO("%s/" FILE_NAME " is damaged and cannot be set aside", dir);
		return NULL;
	}
	LOG("%s is damaged: kept as %s", path, damaged);
	db = new_from(path, damaged);
	if (db) {
		LOG("all its rows could be read: nothing is lost");
		return db;
	}
	db = new_from(path, backup);
	if (db)
		LOG("it was restored from %s: what changed after the last good start is lost",
		    backup);
	else
		LOG("there is no %s that can be read: restore one by hand", backup);
	return db;
}

/* On a disk that cannot be written. */
static struct database *open_reading(const char *path)
{
	struct database *db;
	sqlite3 *sql = NULL;
	char uri[PATH_MAX + 32];

	snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
	if (open_file(uri, SQLITE_OPEN_READONLY, &sql) != SQLITE_OK || !is_whole(sql)) {
		sqlite3_close(sql);
		return NULL;
	}
	LOG("%s cannot be written: changes will be refused", path);
	db = calloc(1, sizeof(*db));
	if (db)
		db->sql = sql;
	return db;
}

struct database *database_open(const char *dir)
{
	char path[PATH_MAX];
	sqlite3 *sql = NULL;
	struct database *db = NULL;
	int r;

	if (path_of(path, dir, ""))
		return NULL;
	r = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &sql);
	if (r == SQLITE_OK && is_whole(sql))
		return use(sql);
	if (r == SQLITE_BUSY) {
		LOG("%s is held by another process", path);
		sqlite3_close(sql);
		return NULL;
	}
	if (r != SQLITE_OK)
		LOG("%s: %s", path, sqlite3_errmsg(sql));
	sqlite3_close(sql);
	if (r == SQLITE_OK || r == SQLITE_CORRUPT || r == SQLITE_NOTADB)
		return rescue(dir);
	db = open_reading(path);
	return db;
}

void database_close(struct database *db)
{
	size_t i;

	for (i = 0; i < ROW_KINDS; i++) {
		sqlite3_finalize(db->put[i]);
		sqlite3_finalize(db->drop[i]);
	}
	sqlite3_close(db->sql);
	free(db);
}

void database_backup(struct database *db, const char *dir)
{
	char temporary[PATH_MAX], path[PATH_MAX], *text;

	if (!db->put[ROW_QUBE] || path_of(temporary, dir, ".backup~") ||
	    path_of(path, dir, ".backup"))
		return;
	unlink(temporary);
	text = sqlite3_mprintf("VACUUM INTO %Q", temporary);
	if (!text || run(db->sql, text) || rename(temporary, path))
		LOG("no copy of the store could be made: %s", database_why(db));
	sqlite3_free(text);
}

int database_rows(struct database *db,
                  int (*fn)(void *arg, uint32_t kind, const char *owner, const char *name,
                            const char *value),
                  void *arg)
{
	return read_rows(db->sql, fn, arg);
}

int database_begin(struct database *db)
{
	return run(db->sql, "BEGIN IMMEDIATE");
}

int database_put(struct database *db, uint32_t kind, const char *owner, const char *name,
                 const char *value)
{
	sqlite3_stmt *s;
	int r;

	if (kind >= ROW_KINDS || !db->put[kind])
		return -1;
	s = value ? db->put[kind] : db->drop[kind];
	sqlite3_bind_text(s, 1, owner, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
	if (value)
		sqlite3_bind_text(s, 3, value, -1, SQLITE_STATIC);
	r = sqlite3_step(s);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return r == SQLITE_DONE ? 0 : -1;
}

int database_commit(struct database *db)
{
	return run(db->sql, "COMMIT");
}

void database_rollback(struct database *db)
{
	if (!sqlite3_get_autocommit(db->sql) && run(db->sql, "ROLLBACK"))
		LOG("%s", database_why(db));
}
