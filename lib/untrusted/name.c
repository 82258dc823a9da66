/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/untrusted/name.h"

#include <stdbool.h>
#include <string.h>

#define QUBE_NAME_MAX 31 /* bytes */

/* The locale has no say: isalpha() would ask it. */
static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_later(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool is_reserved(const char *name, size_t len)
{
	static const char *const reserved[] = {"none", "default", "Domain-0"};

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
		if (strlen(reserved[i]) == len && memcmp(name, reserved[i], len) == 0)
			return true;
	}
	return len >= 3 && memcmp(name + len - 3, "-dm", 3) == 0;
}

enum untrusted_qube_name untrusted_qube_name_check(const char *untrusted_name, size_t len)
{
	if (len == 0)
		return UNTRUSTED_QUBE_NAME_EMPTY;
	if (len > QUBE_NAME_MAX)
		return UNTRUSTED_QUBE_NAME_LONG;
	if (!is_letter(untrusted_name[0]))
		return UNTRUSTED_QUBE_NAME_FIRST;
	for (size_t i = 1; i < len; i++) {
		if (!is_later(untrusted_name[i]))
			return UNTRUSTED_QUBE_NAME_LATER;
	}
	return is_reserved(untrusted_name, len) ? UNTRUSTED_QUBE_NAME_RESERVED
	                                        : UNTRUSTED_QUBE_NAME_OK;
}
