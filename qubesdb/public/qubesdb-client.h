/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef QUBESDB_PUBLIC_QUBESDB_CLIENT_H
#define QUBESDB_PUBLIC_QUBESDB_CLIENT_H

/*
 * A program's access to a QubesDB: in a qube its own, in dom0 that of any running qube. With the names
 * and meanings that programs written for Qubes expect. Every value of a qube's store may have been
 * written by that qube. Not for use by two threads at once.
 *
 * What is returned is the caller's, to be freed with free(). Failures: NULL or 0, errno set; ENOENT says
 * that there is no such entry.
 */
#ifdef __cplusplus
extern "C" {
#endif

typedef struct qdb_handle *qdb_handle_t;

/* vmname NULL: this qube's, or dom0's own. The socket that can write is tried first. */
qdb_handle_t qdb_open(char *vmname);
void qdb_close(qdb_handle_t h);

/* The value, with a NUL behind it; its length without that. */
char *qdb_read(qdb_handle_t h, char *path, unsigned int *value_len);

/* Paths that start with path; the list ends with NULL. */
char **qdb_list(qdb_handle_t h, char *path, unsigned int *list_len);

/* Path, value, path, value …, NULL, NULL; list_len counts pairs. values_len, if not NULL, is given an
 * array of the values' lengths. */
char **qdb_multiread(qdb_handle_t h, char *path, unsigned int **values_len, unsigned int *list_len);

/* 1, or 0 on failure. */
int qdb_write(qdb_handle_t h, char *path, char *value, unsigned int value_len);
int qdb_rm(qdb_handle_t h, char *path);
int qdb_watch(qdb_handle_t h, char *path);
int qdb_unwatch(qdb_handle_t h, char *path);

/* Waits for a change of something watched; its path. */
char *qdb_read_watch(qdb_handle_t h);

/* Readable when qdb_read_watch() does not have to wait. */
int qdb_watch_fd(qdb_handle_t h);

#ifdef __cplusplus
}
#endif

#endif
