/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_XEN_STORE_H
#define LIB_XEN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * A connection to xenstore: one request at a time, answered before the call returns, and watch
 * events that are collected meanwhile. No thread and no library: what it speaks is the 16-byte
 * header of xs_wire.h, over xenstored's socket (dom0) or the kernel's device.
 *
 * Trust: xenstored is trusted to answer; what stands in a value may be a qube's, and is hostile.
 * Source: xen/include/public/io/xs_wire.h; docs/misc/xenstore.txt of Xen.
 * Test:   tests/unit/lib/xen_store.c; fuzz/xen_store.c
 */

#define STORE_PAYLOAD_MAX 4096U /* protocol */
#define STORE_PATH_MAX    512U  /* bytes with the NUL; ours are shorter */
#define STORE_TOKEN_MAX   32U   /* bytes with the NUL */
#define STORE_EVENTS_MAX  32U   /* kept; one more is noted as lost, see store_next() */
#define STORE_WAIT_MS     10000 /* until xenstored must have answered */

struct store;

struct store_event {
	char path[STORE_PATH_MAX];
	char token[STORE_TOKEN_MAX]; /* "": events were lost, look at everything */
};

/** store_open() - connect to the xenstored of this machine; 0, or -1 with errno */
int store_open(struct store **ret_store) MUST_CHECK;

/** store_new() - over a descriptor that is connected already; takes it, on failure too */
int store_new(int fd, struct store **ret_store) MUST_CHECK;

/** store_free() - its watches end with it; NULL is accepted; returns NULL */
struct store *store_free(struct store *store);

/** store_fd() - readable when store_next() may have an event */
int store_fd(const struct store *store);

/**
 * store_read() - one value
 * @value:  written, NUL-terminated; a value that has a NUL or does not fit is refused
 * Errors: 0, or -1 with errno: ENOENT, EACCES, E2BIG, what xenstored said; EIO, ETIMEDOUT: the
 *         connection is of no use any more.
 */
int store_read(struct store *store, const char *path, char *value, size_t max) MUST_CHECK;

/** store_read_number() - a value that is a plain decimal number from least to most
 *  Errors: as store_read(); ERANGE: it is something else (H11). */
int store_read_number(struct store *store, const char *path, uint32_t least, uint32_t most,
                      uint32_t *ret_value) MUST_CHECK;

/** store_decimal() - whether text is a plain decimal number from least to most; no sign, no space,
 *  at most ten digits */
bool store_decimal(const char *untrusted_text, uint32_t least, uint32_t most, uint32_t *ret_value);

/** store_write(), store_make_folder(), store_remove() - 0, or -1 with errno; a node that is not
 *  there is removed already */
int store_write(struct store *store, const char *path, const char *value) MUST_CHECK;
int store_make_folder(struct store *store, const char *path) MUST_CHECK;
int store_remove(struct store *store, const char *path) MUST_CHECK;

/** store_list() - the names below a path, each with its NUL; 0, or -1 with errno */
int store_list(struct store *store, const char *path, char names[STORE_PAYLOAD_MAX],
               size_t *ret_len) MUST_CHECK;

/** store_set_access() - @owner may do everything, @reader (-1: nobody) may read, or write as well */
#define STORE_EVERYBODY (-2) /* as reader: all domains */
int store_set_access(struct store *store, const char *path, int owner, int reader, bool write)
        MUST_CHECK;

/** store_watch() - an event at once, and then for each change at or below path */
int store_watch(struct store *store, const char *path, const char *token) MUST_CHECK;
int store_unwatch(struct store *store, const char *path, const char *token) MUST_CHECK;

/** store_introduce() - tell xenstored of a domain that was built; 0, or -1 with errno */
int store_introduce(struct store *store, int domid, uint64_t frame, uint32_t port) MUST_CHECK;
int store_release(struct store *store, int domid) MUST_CHECK;

/** store_next() - the next event, without waiting
 *  Errors: 1 there is one; 0 none; -1 with errno: the connection is of no use any more. */
int store_next(struct store *store, struct store_event *ret_event) MUST_CHECK;

#endif
