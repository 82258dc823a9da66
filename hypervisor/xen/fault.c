/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What went wrong with a domain: for the log, and kept for whoever asked. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/log.h"

int xen_failed(struct xen_ground *ground, const char *name, const char *step)
{
	int error = errno;

	(void)snprintf(ground->why, sizeof(ground->why), "%s failed%s%s%s%s", step,
	               error ? ": " : "", error ? strerror(error) : "",
	               *ground->messages.first ? ": " : "", ground->messages.first);
	ground->messages.first[0] = '\0';
	LOG("%s: %s", name, ground->why);
	errno = error;
	return -1;
}

const char *xen_ground_why(const struct xen_ground *ground)
{
	return ground->why;
}

int xen_refused(struct xen_ground *ground, const char *name, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(ground->why, sizeof(ground->why), fmt, args);
	va_end(args);
	LOG("%s: %s", name, ground->why);
	errno = error;
	return -1;
}
