/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_PACKAGE_H
#define SERVICES_DOM0_PACKAGE_H

#include <stdbool.h>

#include "lib/base/compat.h"
#include "proto/services/rpm.h"

/*
 * An RPM package from somewhere else becomes a canonical one that a known key has signed, in four steps,
 * each in a process of its own, so that the one who read hostile bytes can vouch for nothing:
 *
 *   split    reads lead and signature header, and lays signature and main header aside; parses nothing
 *            of the latter. It holds the package, the two memory files and the log.
 *   (we)     seal both against every further change.
 *   verify   sqv(1) says whether one of the keys signed those bytes. It may read the system's
 *            libraries, the keys, and those two.
 *   rewrite  parses the header, which is signed by now, and writes lead, new signature header, header
 *            and the payload, whose SHA-256 the header names.
 *
 * The caller's process reads none of it.
 */

#define PACKAGE_KEYS_MAX 16

struct package_keys {
	char *paths[PACKAGE_KEYS_MAX]; /* owned; files of OpenPGP keys */
	size_t n;
	bool unsigned_too; /* nobody is asked who signed it: for a user's own package, on request */
	bool show; /* what sqv(1) says goes to standard error, as it is: for a user's own command */
};

/**
 * package_keys_load() - files RPM-GPG-KEY-* of a folder
 * Errors: 0; -1 after a log line: there is none, or there are more than PACKAGE_KEYS_MAX.
 */
int package_keys_load(struct package_keys *keys, const char *folder) MUST_CHECK;
void package_keys_fini(struct package_keys *keys);

/**
 * package_check() - all of the above
 * @name:    for messages; of a file, escaped by the log
 * @in_fd:   borrowed; the package, read from where it stands up to its end; may be a pipe
 * @out_fd:  borrowed; empty. Holds a package only if 0 is returned
 * @why:     at least PACKAGE_WHY_MAX bytes: why not, a text of ours
 * Errors: 0 with *ret; -1 with @why.
 * Test:  tests/blackbox/updates.py; tests/confine/updates.py from inside
 */
#define PACKAGE_WHY_MAX 128
int package_check(const struct package_keys *keys, int in_fd, int out_fd, struct rpm_package *ret,
                  char *why) MUST_CHECK;

#endif
