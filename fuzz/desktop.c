/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any .desktop file: the lines lie within it, and the words of each Exec within the room given. */
#include "proto/services/desktop.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_exec(const struct desktop_line *line, size_t room_len)
{
	struct desktop_exec exec = {.exec = line->value,
	                            .exec_len = line->value_len,
	                            .name = "N",
	                            .icon = "I",
	                            .path = "P"};
	char *words[DESKTOP_WORDS_MAX + 1];
	char *room = malloc(room_len + 1);
	int n;

	CHECK(room);
	n = desktop_exec_words(&exec, room, room_len, words);
	CHECK(n >= -1 && n <= DESKTOP_WORDS_MAX && n != 0);
	if (n > 0)
		CHECK(!words[n] && *words[0]);
	for (int i = 0; i < n; i++)
		CHECK(words[i] >= room && words[i] + strlen(words[i]) < room + room_len);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct desktop_reader reader = desktop_reader((const char *)data, len);
	struct desktop_line line;

	while (desktop_next(&reader, &line)) {
		CHECK(line.key_len > 0 && line.value + line.value_len <= (const char *)data + len);
		if (desktop_is_key(&line, "Exec")) {
			check_exec(&line, line.value_len * 12 + 2);
			check_exec(&line, line.value_len / 2);
		}
	}
	return 0;
}
