/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SANDBOX_SANDBOX_H
#define LIB_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Drops the rights of the calling process for good. Each mechanism is tried on its own and a
 * restriction that the kernel cannot give is reported, never silently skipped: confine() fails if a
 * mechanism in `required` is missing.
 */

enum confine_mechanism {
	CONFINE_NO_NEW_PRIVS = 1 << 0, /* and no capability kept */
	CONFINE_SECCOMP = 1 << 1,      /* system calls of the list only; others kill the process */
	CONFINE_LANDLOCK =
	        1 << 2, /* no path but those listed; no TCP; no foreign abstract sockets, signals */
	CONFINE_NAMESPACES = 1 << 3, /* user, mount (empty root), network, IPC, UTS */
	CONFINE_LIMITS = 1 << 4,     /* rlimits below; not dumpable */
	CONFINE_FDS = 1 << 5,        /* only listed descriptors stay open */
};

/* One line of a syscalls list: a name and why it is needed. args: only the first n are compared. */
struct confine_call {
	const char *name;   /* "read" */
	const char *reason; /* why; for doc/confinement.md and for reviewers */
	uint8_t n_args;     /* argument rules used: 0, 1 or 2 */
	struct {
		uint8_t arg;    /* 0 … 5 */
		uint64_t mask;  /* compared bits; ~0 for all */
		uint64_t value; /* arg & mask == value */
	} args[2];
};

#define CONFINE_PATHS_MAX 16

struct confine_path {
	const char *path; /* absolute; one that does not exist at the start stays unreachable */
	bool write; /* false: read files and list directories below; true: also create, write, remove */
	bool create; /* instead: list directories, make files, directories and symbolic links and write
	                them; nothing is read or removed. Namespaces alone refuse less: as write */
	bool links;   /* with write: also symbolic links and FIFOs */
	bool devices; /* with write: Landlock lets ioctl pass to devices there */
	bool run; /* programs there may be run; the namespaces know no such right, they leave it out */
};

struct confine_rights {
	const char *name; /* for messages */
	const struct confine_call *calls;
	size_t n_calls;
	const struct confine_path *paths; /* may be NULL: no path at all */
	size_t n_paths;                   /* at most CONFINE_PATHS_MAX */
	/* Anything may be read that the modes of files let it, and no path is listed. Landlock does not look
	 * at what is opened to be read, for which it walks up to the root each time, so it does not see either
	 * that such an open empties the file: the filter must refuse O_TRUNC. */
	bool reads_all;
	bool signals;    /* Landlock lets it signal other processes */
	bool same_users; /* namespaces: no new user namespace, so it must have the right to mount, and
	                    its capabilities stay what they are */
	const int *fds; /* descriptors that stay, at most 64; NULL with n_fds 0: all stay */
	size_t n_fds;
	uint64_t
	        capabilities; /* bits by number that are kept, of those it has; not with namespaces of
	                         another user namespace */
	bool for_programs;    /* a program that it starts as root has those capabilities as well */
	uint64_t memory_max; /* RLIMIT_AS, bytes; 0: none */
	uint32_t files_max;  /* RLIMIT_NOFILE; 0: none */
	uint32_t required;   /* confine_mechanism that must work */
	uint32_t wanted;     /* tried, logged if the kernel lacks it */
};

/**
 * confine() - give up every right that the table does not list, for good
 *
 * Works with and without root, and needs a process with one thread. What the kernel cannot give is
 * logged. In sanitizer builds (SKERRY_CONFINE is 0) namespaces, Landlock, seccomp, RLIMIT_AS and
 * the hiding of memory are left out, for the sanitizer's runtime does not survive them.
 * Errors: 0, or -1 after a log line: a required mechanism is missing, the caller must exit.
 * Test:   tests/confine; doc/confinement.md has a line for each restriction.
 */
int confine(const struct confine_rights *rights) MUST_CHECK;

#endif
