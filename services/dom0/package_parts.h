/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_PACKAGE_PARTS_H
#define SERVICES_DOM0_PACKAGE_PARTS_H

#include "services/dom0/child.h"
#include "services/dom0/package.h"

/* What the processes of package.c do. Each is called in a child, and ends with its status. */

#define PACKAGE_E_READ    100 /* the package ended too early, or could not be read */
#define PACKAGE_E_WRITE   101
#define PACKAGE_E_RIGHTS  CHILD_E_RIGHTS
#define PACKAGE_E_PAYLOAD 103 /* not the payload that was signed */

struct package_files {
	int in;        /* the package */
	int out;       /* what becomes of it */
	int signature; /* memory file: the OpenPGP packet; empty: unsigned */
	int header;    /* memory file: the main header with its prefix */
	int result;    /* pipe: struct rpm_package */
	bool unsigned_too;
};

/** package_split(), package_rewrite() - 0, an enum rpm_result, or a PACKAGE_E_ */
int package_split(const struct package_files *f) MUST_CHECK;
int package_rewrite(const struct package_files *f) MUST_CHECK;

/** package_verify() - becomes sqv(1); returns only if that failed */
int package_verify(const struct package_keys *keys, const struct package_files *f) MUST_CHECK;

#endif
