/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_QDB_H
#define SERVICES_ADMIN_QDB_H

#include <stdbool.h>
#include <stdint.h>

#include "services/admin/model.h"

/*
 * What stands in the QubesDB of running qubes. Writes are queued on a connection per qube and do not
 * wait; a qube whose QubesDB is not there or does not take them loses them (and is logged). Values read
 * from there were written by the qube: untrusted.
 */

/** qdb_fill() - everything that a qube finds at its start; fn when it is written (or failed) */
void qdb_fill(struct qube *q, void (*fn)(void *arg, bool ok), void *arg);

/** qdb_write(), qdb_remove() - one key; nothing if the qube does not run */
void qdb_write(struct qube *q, const char *key, const char *value);
void qdb_remove(struct qube *q, const char *key);

/** qdb_read_all() - every key that begins with prefix, within QDB_WAIT_MS; fn once, ok false: not in
 *  time, or the qube is not there. Keys without the prefix. */
#define QDB_WAIT_MS 5000U
void qdb_read_all(struct qube *q, const char *prefix,
                  void (*fn)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n),
                  void *arg);

/** qdb_watch() - devices_watch_fired() is called when the key is written */
void qdb_watch(struct qube *q, const char *path);
/** qdb_sync() - fn when everything that was written before is there */
void qdb_sync(struct qube *q, void (*fn)(void *arg, bool ok), void *arg);
/** qdb_busy() - questions are under way */
bool qdb_busy(void);

/** qdb_open(), qdb_close() - a qube began, ended */
void qdb_open(struct qube *q);
void qdb_close(struct qube *q);

/* Single facts that change while a qube runs. */
void qdb_audiovm(struct qube *q, struct qube *audiovm);
void qdb_keyboard_layout(struct qube *q);
void qdb_meminfo_writer(struct qube *q);
void qdb_feature(struct qube *q, const char *feature, const char *value);
void qdb_network_off(struct qube *q);
void qdb_network(struct qube *q);   /* addresses of a client */
void qdb_netvm(struct qube *netvm); /* connected-ips of a provider */
void qdb_firewall(struct qube *q);  /* rules of a client, to its netvm */

#endif
