/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/updates.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int updates_count_parse(const char *data, size_t len, bool *ret_any)
{
	size_t at = 0;
	size_t digits = 0;
	bool any = false;

	if (len > UPDATES_COUNT_MAX)
		return -1;
	while (at < len && is_blank(data[at]))
		at++;
	for (; at < len && data[at] >= '0' && data[at] <= '9'; at++, digits++)
		any |= data[at] != '0';
	while (at < len && is_blank(data[at]))
		at++;
	if (digits == 0 || at != len)
		return -1;
	*ret_any = any;
	return 0;
}

bool updates_package_name_legal(const char *name)
{
	static const char letters[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(name);

	if (len < 5 || len > 256 + 4 || !strchr(letters, name[0]) ||
	    strcmp(name + len - 4, ".rpm") != 0)
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!strchr(letters, name[i]) && !strchr("._+^~-", name[i]))
			return false;
	}
	return true;
}
