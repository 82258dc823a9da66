/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers on command lines. The text is the user's own; garbage is refused, not guessed at. */
#include "call/number.h"

#include <errno.h>
#include <stdlib.h>

int number_parse(const char *text, long min, long max, long *ret_value)
{
	char *end;
	long value;

	/* strtol() skips blanks; a number of an option has none. */
	if (*text != '-' && *text != '+' && (*text < '0' || *text > '9'))
		return -1;
	errno = 0;
	value = strtol(text, &end, 0);
	if (errno || end == text || *end != '\0' || value < min || value > max)
		return -1;
	*ret_value = value;
	return 0;
}
