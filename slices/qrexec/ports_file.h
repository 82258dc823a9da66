/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_PORTS_FILE_H
#define SLICES_QREXEC_PORTS_FILE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

/*
 * What outlives a keeper that is killed: which ports of which peers are in use or held. A file beside
 * its sockets, mapped, so that to remember a port costs no system call. Of the keeper's own user, who
 * may do what the keeper may; still no byte of it is used before it was checked.
 */

#define PORTS_FILE_ROWS 256 /* peers with ports in use; those beyond are not remembered; chosen */
#define PORTS_NO_DOMAIN UINT32_MAX

struct ports_row {
	uint32_t domain; /* PORTS_NO_DOMAIN: unused */
	uint8_t ports[QREXEC_PORTS / 8];
};

struct ports_file {
	uint32_t magic;
	uint32_t own; /* domid of the qube: another one knows nothing of these calls */
	struct ports_row rows[PORTS_FILE_ROWS];
};
static_assert(sizeof(struct ports_row) == 36, "no padding: the file is the struct");

/**
 * ports_file_open() - the file at path, made if there is none, emptied if it is not one of this domain
 * Errors: 0, or -1 with errno.
 */
int ports_file_open(const char *path, uint32_t own, struct ports_file **ret_file) MUST_CHECK;
void ports_file_close(struct ports_file *file);

/** ports_file_row() - the row of a domain, a fresh one if it has none; NULL: all are taken */
struct ports_row *ports_file_row(struct ports_file *file, uint32_t domain);

static inline void ports_row_set(struct ports_row *row, unsigned int i, bool on)
{
	uint8_t bit = (uint8_t)(1U << (i % 8));

	row->ports[i / 8] = (uint8_t)(on ? row->ports[i / 8] | bit : row->ports[i / 8] & ~bit);
}

static inline bool ports_row_has(const struct ports_row *row, unsigned int i)
{
	return row->ports[i / 8] & (1U << (i % 8));
}

#endif
