/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_BACKUP_H
#define PROTO_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * What the admin service and a process of skerry-backup say to each other, one packet a message on a
 * SOCK_SEQPACKET connection, one connection an operation:
 *
 *   READ →  ← PROFILE or FAILED                                   a profile, by its name or as a text
 *   MAKE →  (← NEXT, FILE →)… ← NEXT, END →  ← DONE or FAILED     an archive; PROGRESS in between
 *
 * The service asks for one file at a time: NEXT says that the file before is in the archive. Closing
 * the connection gives the operation up. A connection that ends without DONE or FAILED made nothing.
 * Pure: no system call, no allocation, no global.
 */

#define BACKUP_SOCKET     "backup.sock" /* in /run/qubes */
#define BACKUP_PACKET_MAX 65536U        /* bytes; below what a socket takes at once; chosen */
#define BACKUP_NAMES_MAX  1024U         /* in one list of a profile; chosen */
#define BACKUP_DIRS_MAX   20U           /* folders of pools; what one confinement can list */

enum backup_kind {
	BACKUP_READ = 1,
	BACKUP_MAKE,
	BACKUP_FILE, /* with a descriptor if its source is BACKUP_MEMORY */
	BACKUP_END,
	BACKUP_PROFILE = 16,
	BACKUP_NEXT,
	BACKUP_PROGRESS,
	BACKUP_DONE,
	BACKUP_FAILED,
};

enum backup_source {
	BACKUP_MEMORY = 1,
	BACKUP_IMAGE, /* a file, its holes kept */
	BACKUP_TREE,  /* a folder, as a tar in one file of the archive */
	BACKUP_HOME,  /* a folder, its entries under their names */
};

enum backup_code {
	BACKUP_E_FAILED = 1,
	BACKUP_E_NO_PROFILE,
};

/* Names as they were written; nothing of them was looked up. Texts are borrowed. */
struct backup_profile {
	const char *include[BACKUP_NAMES_MAX], *exclude[BACKUP_NAMES_MAX];
	size_t n_include, n_exclude;
	const char *destination_vm, *destination_path;
	const char *passphrase_text, *passphrase_vm; /* "": none */
	bool compressed;
};

struct backup_message {
	uint32_t kind;
	const char *name;                  /* READ, MAKE: of the profile */
	const char *text;                  /* READ: the profile itself, "": it is in its file;
	                                  DONE: where the archive is; FAILED: why */
	struct backup_profile profile;     /* PROFILE, MAKE (its lists are empty there) */
	const char *dirs[BACKUP_DIRS_MAX]; /* MAKE: what is read below */
	size_t n_dirs;
	const char *path;   /* FILE: in the archive */
	const char *source; /* FILE: in the file system, "" for BACKUP_MEMORY */
	uint32_t medium;    /* FILE: enum backup_source */
	uint64_t bytes;     /* PROGRESS: of the archive so far */
	uint32_t code;      /* FAILED: enum backup_code */
};

/** backup_encode() - bytes, or -1: it does not fit. Texts that are NULL are written as "" */
ssize_t backup_encode(void *out, size_t max, const struct backup_message *in) MUST_CHECK;

/**
 * backup_decode() - a packet to a message whose texts stand in it
 * Trust:  hostile. After 0 every text ends inside the packet, counts are in bounds, kinds, sources and
 *         codes are known ones, sources of files are absolute; texts of others are "".
 * Test:   tests/unit/proto/backup.c; fuzz/proto_backup.c
 */
int backup_decode(const void *data, size_t len, struct backup_message *out) MUST_CHECK;

#endif
