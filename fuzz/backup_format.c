/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers and names of backups: what is taken is legal, and is written again to what it was. */
#include "services/backup/format.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[BACKUP_HEADER_MAX], path[BACKUP_PATH_LEN], again[BACKUP_PATH_LEN], name[512];
	struct backup_header h, back;
	unsigned int number;
	const char *why;
	ssize_t n;

	if (backup_header_decode((const char *)data, len, &h, &why) == 0) {
		n = backup_header_encode(text, sizeof(text), &h);
		CHECK(n > 0 && backup_header_decode(text, (size_t)n, &back, &why) == 0);
		CHECK(memcmp(&h, &back, sizeof(h)) == 0);
	} else {
		CHECK(why);
	}
	if (len >= sizeof(name))
		return 0;
	memcpy(name, data, len);
	name[len] = '\0';
	if (backup_chunk_parse(name, path, &number) == 0) {
		CHECK(backup_path_legal(path) && !strstr(path, "../"));
		CHECK(backup_chunk_name(again, path, number) == 0 && strcmp(again, name) == 0);
	}
	return 0;
}
