/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer of qubes.GetAppmenus: what gets through is of its key's characters, and its menu entry has
 * the lines that we wrote and no other. */
#include "proto/services/appmenus.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t lines_of(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void check_value(const struct appmenus_value *value)
{
	static char room[APPMENUS_LINE_ROOM * 4];
	struct wire_writer w = wire_writer(room, sizeof(room));
	struct appmenus_app app = {.name = value->app, .values = {[APPMENUS_NAME] = "A"}};
	size_t app_len = strlen(value->app);

	CHECK(app_len > 0 && app_len <= APPMENUS_LINE_MAX);
	CHECK(strspn(value->app,
	             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	      app_len);
	CHECK(appmenus_value_legal(value->key, value->value, strlen(value->value)));
	app.values[value->key] = value->value;
	CHECK(appmenus_template(&w, &app, false) && !w.bad);
	CHECK(lines_of(room, w.len) ==
	      11 + (value->key == APPMENUS_GENERIC_NAME || value->key == APPMENUS_WM_CLASS ||
	            value->key == APPMENUS_COMMENT));
	CHECK(!memchr(room, '\0', w.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct appmenus_value value;
	struct appmenus_text text = {.data = (const char *)data, .len = len};
	const char *line;
	size_t line_len;
	size_t at = 0;

	while (appmenus_next_line(&text, &line, &line_len) == APPMENUS_LINE) {
		CHECK(line == (const char *)data + at && line_len > 0);
		at += line_len;
		if (appmenus_parse_line(line, line_len, &value) == APPMENUS_VALUE)
			check_value(&value);
	}
	CHECK(text.at <= len && text.n_lines <= APPMENUS_LINES_MAX);
	return 0;
}
