/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/qubesdb.h"

#include <string.h>

#include "lib/base/bytes.h"

void qubesdb_decode_head(const uint8_t data[QUBESDB_HEAD_LEN], struct qubesdb_head *out)
{
	out->untrusted_type = data[0];
	memcpy(out->path, data + 1, QUBESDB_PATH_LEN);
	out->path[QUBESDB_PATH_LEN - 1] = '\0';
	out->untrusted_data_len = le32_get(data + 68);
}

void qubesdb_encode_head(uint8_t data[QUBESDB_HEAD_LEN], enum qubesdb_type type, const char *path,
                         size_t data_len)
{
	memset(data, 0, QUBESDB_HEAD_LEN);
	data[0] = (uint8_t)type;
	memcpy(data + 1, path, strnlen(path, QUBESDB_PATH_LEN - 1));
	le32_put(data + 68, (uint32_t)data_len);
}

static bool legal(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_/.:@-", c));
}

bool qubesdb_path_ok(const char *path)
{
	if (*path == '-')
		return false;
	for (; *path; path++)
		if (!legal(*path))
			return false;
	return true;
}

bool qubesdb_key_ok(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && path[len - 1] != '/';
}
