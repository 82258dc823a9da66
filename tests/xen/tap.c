/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results of a test that runs in dom0. */
#include "tests/xen/tap.h"

#include <stdarg.h>
#include <stdio.h>

static FILE *out;
static int done, bad;

void tap_open(const char *port)
{
	out = *port ? fopen(port, "we") : stdout;
	if (!out)
		out = stdout;
	(void)setvbuf(out, NULL, _IOLBF, 0);
}

bool tap_result(bool good, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	done++;
	bad += !good;
	(void)fprintf(out, "%sok %d - %s\n", good ? "" : "not ", done, text);
	return good;
}

void tap_note(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)fprintf(out, "# %s\n", text);
}

int tap_end(void)
{
	(void)fprintf(out, "1..%d\n", done);
	(void)fflush(out);
	return bad != 0;
}
