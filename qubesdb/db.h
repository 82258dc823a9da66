/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBESDB_DB_H
#define QUBESDB_DB_H

#include "lib/loop/loop.h"
#include "proto/qubesdb.h"
#include "qubesdb/store.h"

/*
 * One QubesDB: its entries, the programs connected to its sockets, and the copy on the other side of
 * the channel. A change, wherever it comes from, is applied, told to those who watch it, and, if it
 * came from here, forwarded. Used by dom0's slice and by the daemon in a qube.
 *
 * Source: doc/protocol/qubesdb.md, 3 and 4.
 */
struct local;
struct peer;

struct db {
	struct loop *loop;
	struct store store;
	struct local *local; /* NULL: no sockets yet */
	struct peer *peer;   /* NULL: nobody on the other side */
};

/** db_write(), db_remove() - Errors: as entries_write(), entries_remove(); the watches were told */
int db_write(struct db *db, const char *path, const void *value, size_t len) MUST_CHECK;
bool db_remove(struct db *db, const char *path);

/* local.c: programs of this side. */

/** local_new() - serves two listening sockets, which it takes; NULL with errno, they are closed then */
struct local *local_new(struct db *db, int rw_fd, int ro_fd) MUST_CHECK;
struct local *local_free(struct local *local);

/** local_changed() - tells the watches that match the path */
void local_changed(struct local *local, const char *path);

/* peer.c: the other side. */

enum peer_end {
	PEER_CLOSED = 1, /* it went */
	PEER_BROKE,      /* it said what it must not, or does not read */
};

struct peer_events {
	void (*synced)(void *arg); /* the qube's daemon: has all entries now */
	/* Last; peer_free() is due, but not from within: whoever made a change may be on the stack. */
	void (*ended)(void *arg, enum peer_end why);
	void *arg;
};

struct vchan;
/**
 * peer_new() - speak with the other side over an open channel, which it takes, on failure too
 * @is_dom0:  it answers the first MULTIREAD with all entries; else it asks for them
 * Errors: NULL with errno.
 */
struct peer *peer_new(struct db *db, struct vchan *vchan, bool is_dom0,
                      const struct peer_events *events) MUST_CHECK;
struct peer *peer_free(struct peer *peer);

/** peer_forward() - a change that was made here; WRITE or RM */
void peer_forward(struct peer *peer, enum qubesdb_type type, const char *path, const void *value,
                  size_t len);

#endif
