/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SANDBOX_SANDBOX_INTERNAL_H
#define LIB_SANDBOX_SANDBOX_INTERNAL_H

#include "lib/sandbox/sandbox.h"

/* One function a mechanism: 0, or -1 with errno and a log line that says what failed. */
int sandbox_namespaces(const struct confine_rights *rights) MUST_CHECK;
int sandbox_landlock(const struct confine_rights *rights) MUST_CHECK;
int sandbox_seccomp(const struct confine_rights *rights) MUST_CHECK;

#endif
