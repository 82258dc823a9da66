/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_STORAGE_H
#define PROTO_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * What the admin service and the storage service say to each other, and the storage service to its
 * workers: one packet a message on a SOCK_SEQPACKET pair, little-endian, fixed layout, every text in a
 * fixed field that is filled with NULs. Both sides check every byte: the admin service may be wrong or
 * taken over, and then it can name volumes of the pools that it set up, and no path outside them.
 * Pure: no system call, no allocation, no global.
 */

/* Bytes with the final NUL. Chosen: a qube's name has 31 bytes, a volume's identifier two folders more. */
#define STORAGE_POOL_LEN     64U
#define STORAGE_VID_LEN      256U
#define STORAGE_REVISION_LEN 64U
#define STORAGE_DIR_LEN      256U
#define STORAGE_PATH_LEN     768U
#define STORAGE_TEXT_LEN     256U

enum storage_driver {
	STORAGE_DRIVER_NONE = 0,
	STORAGE_DIRECTORY = 1,    /* a volume is a directory tree */
	STORAGE_FILE_REFLINK = 2, /* image files */
	STORAGE_FILE = 3,         /* the same, no more than one revision */
	STORAGE_LINUX_KERNEL = 4, /* folders with vmlinuz */
	STORAGE_HOST = 5,         /* root volumes that are this machine's own /usr */
	STORAGE_DRIVER_MAX = 5,
};

enum storage_kind {
	/* Pools: "pool" and, for POOL_SETUP, "driver" and "dir". */
	STORAGE_POOL_SETUP = 1,  /* tells of a pool; its folder is made; once more is a change */
	STORAGE_POOL_FORGET = 2, /* the pool goes; nothing is removed from disk */
	STORAGE_POOL_INFO = 3,   /* answer: size and usage of the file system */
	STORAGE_POOL_LIST = 4,   /* a PART for each volume that is there, its vid in "path" */
	/* Volumes: "pool", "vid", "size", "keep", "flags"; "source" and "source_pool" where one is. */
	STORAGE_CREATE = 8,
	STORAGE_REMOVE = 9, /* done when it is out of sight; its data goes later */
	STORAGE_VERIFY = 10,
	STORAGE_START = 11, /* answer: what a qube is to be given */
	STORAGE_STOP = 12,  /* the commit */
	STORAGE_CLONE = 13, /* the data of source becomes the data of vid; a revision is made */
	STORAGE_RESIZE = 14,
	STORAGE_INFO = 15,      /* answer: size, usage, flags, path */
	STORAGE_REVISIONS = 16, /* a PART for each, oldest first, its name in "path" */
	STORAGE_REVERT = 17,    /* to "revision" */
	STORAGE_CLEAR = 18,
	STORAGE_IMPORT_BEGIN = 19, /* answer: the path of a file to write to */
	STORAGE_IMPORT_END = 20,   /* flag OK: the data counts; else it is thrown away */
	STORAGE_EXPORT = 21,       /* answer: the path to read from; valid until EXPORT_END */
	STORAGE_EXPORT_END = 22,
	STORAGE_CANCEL = 23, /* the request whose serial is in "size" is given up */
	STORAGE_KIND_MAX = 23,
	/* Answers. */
	STORAGE_DONE = 64,
	STORAGE_FAILED = 65,   /* "code", "text" */
	STORAGE_PART = 66,     /* one of several things, before DONE */
	STORAGE_PROGRESS = 67, /* bytes: "usage" of "size" (0: not known), before DONE */
	STORAGE_NOTE = 68,     /* "text" for the user, before DONE: a crash was found … */
};

enum storage_flag {
	STORAGE_F_RW = 1U << 0,
	STORAGE_F_SAVE = 1U << 1,      /* save_on_stop */
	STORAGE_F_SNAP = 1U << 2,      /* snap_on_start */
	STORAGE_F_EPHEMERAL = 1U << 3, /* may not reach a disk in the clear */
	STORAGE_F_SHARED = 1U << 4,    /* START, STOP: other volumes are snapshots of this one */
	STORAGE_F_RECOVER = 1U << 5,   /* STOP: the qube is found not running; nobody saw it end */
	STORAGE_F_ADOPT = 1U << 6,     /* START: the qube runs already; no data is touched */
	STORAGE_F_OK = 1U << 7,        /* IMPORT_END */
	STORAGE_F_SETUP_CHECK = 1U << 8, /* POOL_SETUP: refuse a file system without reflinks */
	/* In answers. */
	STORAGE_F_OUTDATED = 1U << 16, /* the source has changed since the start */
	STORAGE_F_DIRTY = 1U << 17,    /* in use, or not yet committed after a crash */
	STORAGE_F_READ_ONLY = 1U << 18,
	STORAGE_F_KNOWN = 1U << 19, /* OUTDATED means something for this driver */
	STORAGE_F_REQUEST = 0x1ffU,
	STORAGE_F_ANSWER = 0xf0000U,
};

/* What a path in an answer is; the numbers that the ground is given. */
enum storage_medium {
	STORAGE_MEDIUM_NONE = 0,
	STORAGE_MEDIUM_DIR = 1,
	STORAGE_MEDIUM_FILE = 2,
	STORAGE_MEDIUM_BLOCK = 3,
	STORAGE_MEDIUM_HOST = 4,
	STORAGE_MEDIUM_MAX = 4,
};

enum storage_code {
	STORAGE_E_NONE = 0,
	STORAGE_E_IO = 1,          /* a system call failed; the text says which and why */
	STORAGE_E_NO_POOL = 2,     /* never set up */
	STORAGE_E_MISSING = 3,     /* the volume, or its source, is not there */
	STORAGE_E_EXISTS = 4,      /* is already there */
	STORAGE_E_IN_USE = 5,      /* a running qube has it */
	STORAGE_E_NO_REVISION = 6, /* no such revision */
	STORAGE_E_UNSUPPORTED = 7, /* this driver cannot do that */
	STORAGE_E_BAD_DATA = 8,    /* what was imported is not what it should be */
	STORAGE_E_NO_SPACE = 9,
	STORAGE_E_CANCELLED = 10,
	STORAGE_E_BUSY = 11, /* too many requests wait */
	STORAGE_E_MAX = 11,
};

struct storage_request {
	uint32_t kind;                       /* 0 */
	uint32_t serial;                     /* 4: of the asker, repeated in answers; not 0 */
	uint32_t flags;                      /* 8: STORAGE_F_REQUEST */
	uint32_t driver;                     /* 12: POOL_SETUP only, else 0 */
	int64_t keep;                        /* 16: revisions_to_keep, -1 … STORAGE_KEEP_MAX */
	uint64_t size;                       /* 24: bytes */
	char pool[STORAGE_POOL_LEN];         /* 32 */
	char source_pool[STORAGE_POOL_LEN];  /* 96: "" without a source */
	char revision[STORAGE_REVISION_LEN]; /* 160 */
	char vid[STORAGE_VID_LEN];           /* 224 */
	char source[STORAGE_VID_LEN];        /* 480 */
	char dir[STORAGE_DIR_LEN];           /* 736: POOL_SETUP: absolute */
	uint32_t owner; /* 992: user of a tree's files where the service is root; 0: as they come */
};

struct storage_answer {
	uint32_t kind;               /* 0 */
	uint32_t serial;             /* 4 */
	uint32_t code;               /* 8: FAILED only */
	uint32_t flags;              /* 12: STORAGE_F_ANSWER */
	uint32_t medium;             /* 16 */
	uint32_t unused;             /* 20: 0 */
	uint64_t size;               /* 24: bytes */
	uint64_t usage;              /* 32: bytes */
	char path[STORAGE_PATH_LEN]; /* 40 */
	char text[STORAGE_TEXT_LEN]; /* 808: printable */
};

#define STORAGE_REQUEST_LEN 996U
#define STORAGE_ANSWER_LEN  1064U
#define STORAGE_KEEP_MAX    1000000      /* chosen */
#define STORAGE_SIZE_MAX    (1ULL << 62) /* bytes; fits off_t with room for sums */

/*
 * Encoders: bytes written, or -1 if max is too small or a value is not legal.
 * Decoders: 0, or -1: not a legal packet. After 0 every text ends inside its field, names and
 * identifiers hold only what the checks below allow, and fields that a kind does not use are empty.
 * Test: tests/unit/proto/storage.c; fuzz/proto_storage.c
 */
ssize_t storage_request_encode(void *out, size_t max, const struct storage_request *in) MUST_CHECK;
int storage_request_decode(const void *data, size_t len, struct storage_request *out) MUST_CHECK;
ssize_t storage_answer_encode(void *out, size_t max, const struct storage_answer *in) MUST_CHECK;
int storage_answer_decode(const void *data, size_t len, struct storage_answer *out) MUST_CHECK;

/** storage_pool_legal() - one to 63 of letters, digits, "_.-", not "." or ".." */
bool storage_pool_legal(const char *text);

/** storage_vid_legal() - one to four folder names with "/" between them; letters, digits, "_.+-";
 *  none begins with "." or "-"; so it leads nowhere but down */
bool storage_vid_legal(const char *text);

/** storage_revision_legal() - one to 63 of letters, digits, ":_.-", beginning with a letter or digit */
bool storage_revision_legal(const char *text);

/** storage_dir_legal() - an absolute path without "." and ".." and double slashes, not "/" itself */
bool storage_dir_legal(const char *text);

#endif
