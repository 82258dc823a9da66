/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/log_line.h"

#include <string.h>

#include "lib/untrusted/text.h"

/* "<N>": bytes of it; 0: there is none. */
static size_t take_severity(const char *line, size_t len, int *ret_severity)
{
	unsigned int value = 0;
	size_t at = 1;

	if (len < 3 || line[0] != '<')
		return 0;
	for (; at < len && at <= 3 && line[at] >= '0' && line[at] <= '9'; at++)
		value = value * 10 + (unsigned int)(line[at] - '0');
	if (at == 1 || at == len || line[at] != '>')
		return 0;
	*ret_severity = (int)(value % 8);
	return at + 1;
}

size_t log_line_clean(const char *line, size_t len, char *out, int *ret_severity)
{
	size_t prefix;
	size_t n;

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	*ret_severity = LOG_SEVERITY;
	prefix = take_severity(line, len, ret_severity);
	line += prefix;
	len -= prefix;
	out[0] = '\0';
	if (len == 0)
		return 0;
	n = untrusted_text_escape(out, LOG_LINE_MAX_OUT - 3, line,
	                          MIN(len, (size_t)LOG_LINE_MAX_IN));
	if (len > LOG_LINE_MAX_IN) {
		memcpy(out + n, "...", 4);
		n += 3;
	}
	return n;
}
