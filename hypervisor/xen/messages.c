/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Xen's libraries have to say of an error: kept for the one line that tells of it, and written nowhere else. */
#include <stdio.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/log.h"

PRINTF_LIKE(5, 0)
static void take(struct xentoollog_logger *logger, xentoollog_level level, int errnoval,
                 const char *context, const char *format, va_list args)
{
	struct xen_messages *messages = (struct xen_messages *)logger;

	(void)errnoval;
	(void)context;
	/* The first says what was wrong, those after it what could not go on because of it. */
	if (level >= XTL_ERROR && messages->first[0] == '\0')
		(void)vsnprintf(messages->first, sizeof(messages->first), format, args);
}

static void progress(struct xentoollog_logger *logger, const char *context, const char *what,
                     int percent, unsigned long done, unsigned long total)
{
	(void)logger;
	(void)context;
	(void)what;
	(void)percent;
	(void)done;
	(void)total;
}

static void destroy(struct xentoollog_logger *logger)
{
	(void)logger;
}

void xen_messages_init(struct xen_messages *messages)
{
	*messages = (struct xen_messages){
	        .logger = {.vmessage = take, .progress = progress, .destroy = destroy}};
}
