/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions as values. Contract: fault.h. */
#include "services/admin/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fault_set(struct fault *f, const char *type, const char *fmt, ...)
{
	va_list args;

	f->type = type;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	return false;
}

bool fault_keyerror(struct fault *f, const char *type, const char *fmt, ...)
{
	char inner[sizeof(f->text) - 2];
	const char *quote;
	va_list args;

	va_start(args, fmt);
	vsnprintf(inner, sizeof(inner), fmt, args);
	va_end(args);
	quote = strchr(inner, '\'') && !strchr(inner, '"') ? "\"" : "'";
	return fault_set(f, type, "%s%s%s", quote, inner, quote);
}
