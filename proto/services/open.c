/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/open.h"

#include <string.h>

static bool is_name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._+@-", c));
}

int open_name_decode(const char field[OPEN_NAME_LEN], struct open_name *out)
{
	size_t len = strnlen(field, OPEN_NAME_LEN - 1);
	const size_t prefix = sizeof(OPEN_VIEW_ONLY) - 1;

	if (memchr(field, '/', len))
		return -1;
	*out = (struct open_name){0};
	out->view_only = len >= prefix && memcmp(field, OPEN_VIEW_ONLY, prefix) == 0;
	if (out->view_only) {
		field += prefix;
		len -= prefix;
	}
	for (size_t i = 0; i < len; i++)
		out->name[i] = is_name_char(field[i]) ? field[i] : '_';
	return len == 0 || strcmp(out->name, ".") == 0 || strcmp(out->name, "..") == 0 ? -1 : 0;
}

void open_name_encode(const char *path, bool view_only, char field[OPEN_NAME_LEN])
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t prefix = view_only ? sizeof(OPEN_VIEW_ONLY) - 1 : 0;
	size_t len = strlen(name);
	size_t max = OPEN_NAME_LEN - 1 - prefix;

	/* The end of a name says what kind of file it is. */
	if (len > max) {
		name += len - max;
		len = max;
	}
	memset(field, 0, OPEN_NAME_LEN);
	memcpy(field, OPEN_VIEW_ONLY, prefix);
	memcpy(field + prefix, name, len);
}

bool open_url_legal(const char *line, size_t len)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://"};
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);

		known |= len > n && memcmp(line, schemes[i], n) == 0;
	}
	for (size_t i = 0; i < len; i++) {
		if (line[i] <= 0x20 || line[i] >= 0x7f)
			return false;
	}
	return known;
}

bool open_url_like(const char *text)
{
	size_t len =
	        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return len > 0 && strncmp(text + len, "://", 3) == 0;
}
