/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_ARCHIVE_H
#define SERVICES_BACKUP_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "services/backup/format.h"

/* Archives of format 4, made and read. Nothing unencrypted is written anywhere but to where it belongs. */

struct backup_fault {
	char text[256]; /* printable */
};

struct backup_archive {
	int fd; /* borrowed */
	struct backup_header header;
	const char *pass;   /* borrowed */
	unsigned int log_n; /* cost of scrypt, for tests; 0: its own choice */
	struct backup_fault fault;
	uint64_t done; /* bytes of the archive written or read */
	void (*progress)(void *arg, uint64_t done);
	void *arg;
	/* Reading: the member whose header was read and whose data was not. */
	char next_path[BACKUP_PATH_LEN];
	unsigned int next_number;
	uint64_t next_size;
	bool at_end;
};

/** backup_start() - writes the header; header.compressed and header.id are set by the caller; 0 or -1 */
int backup_start(struct backup_archive *a) MUST_CHECK;

enum backup_form {
	BACKUP_FORM_FILE, /* a file, its holes kept */
	BACKUP_FORM_TREE, /* a folder: a file that is a tar of it */
	BACKUP_FORM_HOME, /* a folder: its entries stand in the file's own tar */
};

/** backup_add() - a file of the archive: what @data is; 0 or -1 */
int backup_add(struct backup_archive *a, const char *path, enum backup_form form, int data)
        MUST_CHECK;

/** backup_end() - 0 or -1 */
int backup_end(struct backup_archive *a) MUST_CHECK;

/** backup_open() - reads and verifies the header: 0; 1: the passphrase is wrong; -1 */
int backup_open(struct backup_archive *a) MUST_CHECK;

/** backup_next() - the path of the next file: 0; 1: there is no more; -1 */
int backup_next(struct backup_archive *a, char path[BACKUP_PATH_LEN]) MUST_CHECK;

/**
 * backup_take() - the next file's content
 * @form:      FILE or HOME
 * @out:       a file that is written to from its start, holes are left; HOME: a folder that entries are
 *             made in; -1: only verified
 * @size_max:  no more than that
 * @ret_size:  of the content
 * Trust:  a chunk is used when scrypt has checked it, with its name and this archive's id.
 * Errors: 0; -1: wrong passphrase, damaged, cut off, or not the file that the name says.
 */
int backup_take(struct backup_archive *a, enum backup_form form, int out, uint64_t size_max,
                uint64_t *ret_size) MUST_CHECK;

/** backup_fail() - for its users too; always -1 */
int backup_fail(struct backup_archive *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* inner.c: the tar with one member that a file's chunks hold, put together. Each -1 with errno. */

/** inner_write() - @data as a tar of one member to @out, a sparse one if it has holes */
int inner_write(int out, const char *path, int data) MUST_CHECK;

/** inner_write_tree() - a folder as a tar in a tar of one member, inner_write_home() - its entries under
 *  PATH/; @why: as it is shown */
int inner_write_tree(int out, const char *path, int top, char why[160]) MUST_CHECK;
int inner_write_home(int out, const char *path, int top, char why[160]) MUST_CHECK;

/** inner_read_home() - entries below @top (-1: none is made); @in to its end; -1, errno may say why */
int inner_read_home(int in, int top) MUST_CHECK;

/** inner_read() - the other way; @in to its end; -2: this is not such a tar */
int inner_read(int in, const char *path, int out, uint64_t size_max, uint64_t *ret_size) MUST_CHECK;

#endif
