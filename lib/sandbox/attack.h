/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SANDBOX_ATTACK_H
#define LIB_SANDBOX_ATTACK_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Test builds only (-Dattack=true): what an attacker who runs code in a confined process would try.
 * An attack succeeds (0), is refused (errno), or the process dies of it. The tests run each attack
 * unconfined first, where it must succeed, so that a refusal shows the restriction and nothing else.
 */

/* What there is to attack; a test prepares it. Numbers are -1 and texts "" for what there is not. */
struct attack_world {
	char dir[512]; /* a folder with: secret (a file), socket (a Unix listener), runs (a program) */
	char abstract[64];      /* a listening abstract Unix socket */
	int tcp_port;           /* a listener on 127.0.0.1 */
	int shm_key;            /* a System V segment */
	int leaked_fd;          /* an open descriptor that the process must not hold */
	pid_t victim;           /* a process of the same user */
	size_t memory_max;      /* bytes it may have */
	unsigned int files_max; /* descriptors it may have */
};

struct attack {
	const char *name;
	int (*run)(const struct attack_world *world); /* 0 or errno */
};

/* All of them, and a NULL name at the end. */
extern const struct attack attacks[];

/** attack_find() - by name; NULL if there is none */
const struct attack *attack_find(const char *name);

/**
 * attack_from_environment() - called at the end of confine() in a test build
 * @program:  the name in the rights table
 *
 * If SKERRY_ATTACK is "PROGRAM:NAME", "attack NAME begins" is written to descriptor 2, the attack is
 * run, its result written as "attack NAME: ERRNO" (0: it succeeded), and the process exits 0. The world comes from
 * SKERRY_ATTACK_WORLD: "dir abstract tcp shm fd victim memory files", separated by blanks. For a
 * process that works in one folder, SKERRY_ATTACK_START is that folder, with a file named secret.
 */
#if SKERRY_ATTACK
void attack_from_environment(const char *program);
#else
static inline void attack_from_environment(const char *program UNUSED)
{
}
#endif

#endif
