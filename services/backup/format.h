/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_FORMAT_H
#define SERVICES_BACKUP_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Backup format 4: names and header. An archive is a tar of backup-header, backup-header.hmac, and for
 * each file PATH its chunks PATH.000.enc, PATH.001.enc …, each encrypted by scrypt(1) with a passphrase
 * that holds the archive's id and the chunk's name: so none can be exchanged, left out or put elsewhere.
 * Until that check everything of an archive is hostile. Pure: no system call, no allocation.
 * Source: doc/protocol/backup.md
 */

#define BACKUP_CHUNK      (100U << 20)           /* bytes of a chunk before encryption; protocol */
#define BACKUP_CHUNK_ENC  (BACKUP_CHUNK + 4096U) /* scrypt adds 128 */
#define BACKUP_HEADER_MAX 4096U
#define BACKUP_PATH_LEN   200U
#define BACKUP_ID_LEN     64U
#define BACKUP_CHUNKS_MAX 99999U
#define BACKUP_PASS_MAX   1024U
#define BACKUP_PHRASE_LEN (BACKUP_ID_LEN + BACKUP_PATH_LEN + 16U + BACKUP_PASS_MAX)

/* "dom0-home/USER": a folder of dom0, whose tar has an entry for each thing in it under such a name. */
#define BACKUP_HOME_PREFIX "dom0-home/"

struct backup_header {
	bool compressed; /* with gzip: no other is taken */
	char id[BACKUP_ID_LEN];
};

/** backup_header_encode() - its text; bytes or -1 */
ssize_t backup_header_encode(char *out, size_t max, const struct backup_header *in) MUST_CHECK;

/**
 * backup_header_decode() - the text of a header
 * @ret_why:  NULL or what is wrong: a constant
 * Trust:  @data is hostile. Unknown keys are refused: they might change what the rest means.
 * Test:   tests/unit/services/backup/format.c; fuzz/backup_header.c
 */
int backup_header_decode(const char *data, size_t len, struct backup_header *out,
                         const char **ret_why) MUST_CHECK;

/** backup_path_legal() - "qubes.xml", "vmN/NAME", "dom0-home/NAME": letters, digits, "_.-", no part begins with "." */
bool backup_path_legal(const char *path);

/** backup_chunk_name() - PATH.NNN.enc; 0 or -1 */
int backup_chunk_name(char out[BACKUP_PATH_LEN], const char *path, unsigned int number) MUST_CHECK;

/** backup_chunk_parse() - the other way; 0, or -1: not a legal name */
int backup_chunk_parse(const char *name, char path[BACKUP_PATH_LEN], unsigned int *ret_number)
        MUST_CHECK;

/** backup_phrase() - what scrypt is given for a chunk (@name without ".enc"), or for the header (NULL) */
int backup_phrase(char out[BACKUP_PHRASE_LEN], const char *id, const char *name, const char *pass)
        MUST_CHECK;

#endif
