/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_VOLUMES_H
#define TESTS_XEN_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/storage.h"

/* The storage service, asked as the admin service asks it. Each ask waits for the answer. */

/** volumes_begin() - starts the service, which gives devices; false after a note */
bool volumes_begin(const char *program);
/** volumes_kill() - kill -9 of it; volumes_end() - its peer goes, and it ends: its exit status or -1 */
void volumes_kill(void);
int volumes_end(void);
/** volumes_pid() - of the service */
int volumes_pid(void);

/** volumes_pool() - sets a pool up */
bool volumes_pool(const char *name, enum storage_driver driver, const char *dir);
/** volumes_use() - the pool and kind of volume that the next questions are about */
void volumes_use(const char *pool, uint32_t flags, uint64_t size);
/** volumes_ask() - @source, @revision may be NULL; the answer: borrowed until the next */
const struct storage_answer *volumes_ask(enum storage_kind kind, const char *vid,
                                         const char *source, uint32_t more_flags);
const struct storage_answer *volumes_revert(const char *vid, const char *revision);
/** volumes_part() - the n-th PART of the last answer, or "" */
const char *volumes_part(unsigned int n);

/** volumes_write(), volumes_read() - text in a device or file, synced; volumes_holds() - whether it does */
bool volumes_write(const char *path, uint64_t at, const char *text);
bool volumes_holds(const char *path, uint64_t at, const char *text);
uint64_t volumes_size(const char *path);
/** volumes_devices() - loop devices with a file, and mapped ones */
unsigned int volumes_devices(void);

#endif
