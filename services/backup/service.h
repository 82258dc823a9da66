/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_SERVICE_H
#define SERVICES_BACKUP_SERVICE_H

#include "lib/base/compat.h"
#include "proto/backup.h"

/*
 * The processes of skerry-backup: the one that waits for connections; one for each operation, which
 * opens what the archive goes to and starts calls into qubes; and one more that it starts, confined,
 * which reads the profile or makes the archive.
 */

/** service_send() - 0, or -1: nobody is there */
int service_send(int conn, const struct backup_message *m) MUST_CHECK;

/** service_fail() - FAILED with a text, which is made printable */
void service_fail(int conn, enum backup_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** operate() - one operation: reads its request, ends with its exit status */
NORETURN void operate(int conn, unsigned int log_n);

/** read_profile() - confines itself, answers; an exit status */
int read_profile(int conn, const struct backup_message *m);

/** make_archive() - confines itself and makes it of what the admin service says; an exit status, of which
 *  only this one says that the archive is whole. @out: what it is written to */
#define ARCHIVE_WHOLE 42
int make_archive(int conn, int out, const struct backup_message *m, const char *pass,
                 unsigned int log_n);

/* Calls of services in qubes. */

/** passphrase_from() - what qubes.BackupPassphrase+PROFILE of a qube says; 0, or -1 after service_fail() */
#define SERVICE_PASS_LEN 1024U
int passphrase_from(int conn, const char *qube, const char *profile, char out[SERVICE_PASS_LEN])
        MUST_CHECK;

/** storing_call() - qubes.Backup of a qube: its pid, and in *ret_fd what to write to; -1 after service_fail() */
pid_t storing_call(int conn, const char *qube, const char *path, int *ret_fd) MUST_CHECK;

/* Where the archive goes in dom0. */
struct place {
	int fd;         /* owned: what is written; it has no name before place_keep() where the file
	                   system can do that */
	int dir;        /* owned */
	char name[256]; /* it is to have */
	char part[264]; /* it has until then; "": none */
};

/** place_open() - a new file, or one in a folder that is there; 0, or -1 after service_fail() */
int place_open(int conn, const char *path, struct place *p) MUST_CHECK;

/** place_keep() - to disk, and under its name; 0, or -1 after service_fail() */
int place_keep(int conn, struct place *p) MUST_CHECK;

/** place_drop() - nothing of it stays, but for what was kept */
void place_drop(struct place *p);

/* rights.c */
int reader_confine(int conn) MUST_CHECK;
int maker_confine(int conn, int out, const struct backup_message *m) MUST_CHECK;

#endif
