/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qubesdb/db.h"

int db_write(struct db *db, const char *path, const void *value, size_t len)
{
	if (entries_write(&db->store, path, value, len))
		return -1;
	if (db->local)
		local_changed(db->local, path);
	return 0;
}

bool db_remove(struct db *db, const char *path)
{
	if (!entries_remove(&db->store, path))
		return false;
	if (db->local)
		local_changed(db->local, path);
	return true;
}
