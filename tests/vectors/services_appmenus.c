/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases of qubes.SyncAppMenus; what their failure would mean stands in services_vectors.c. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/services/appmenus.h"
#include "tests/vectors/services_cases.h"

struct menus {
	struct json_object *apps;     /* name: {key: value} */
	struct json_object *warnings; /* texts */
	const char *error;
};

static void take_value(struct menus *menus, const struct appmenus_value *value)
{
	struct json_object *app;

	if (!json_object_object_get_ex(menus->apps, value->app, &app)) {
		app = json_object_new_object();
		(void)json_object_object_add(menus->apps, value->app, app);
	}
	(void)json_object_object_add(app, appmenus_key_name(value->key),
	                             json_object_new_string(value->value));
}

static void take_bad(struct menus *menus, const struct appmenus_value *value)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "Warning: ignoring key '%s' of %.128s",
	               appmenus_key_name(value->key), value->app);
	(void)json_object_array_add(menus->warnings, json_object_new_string(text));
}

static void read_menus(struct menus *menus, const char *data, size_t len)
{
	static struct appmenus_value value;
	struct appmenus_text text = {.data = data, .len = len};
	const char *line;
	size_t line_len;
	enum appmenus_next next;

	while ((next = appmenus_next_line(&text, &line, &line_len)) == APPMENUS_LINE) {
		switch (appmenus_parse_line(line, line_len, &value)) {
		case APPMENUS_VALUE:
			take_value(menus, &value);
			break;
		case APPMENUS_BAD:
			take_bad(menus, &value);
			break;
		case APPMENUS_NOTHING:
		default:
			break;
		}
	}
	if (next == APPMENUS_TOO_MANY)
		menus->error = "Line count limit exceeded";
	if (next == APPMENUS_NOT_UTF8)
		menus->error = "not UTF-8";
}

static struct json_object *templates(struct menus *menus, bool legacy)
{
	struct json_object *all = json_object_new_object();

	json_object_object_foreach(menus->apps, name, values)
	{
		static char room[APPMENUS_LINE_ROOM * 16];
		struct wire_writer w = wire_writer(room, sizeof(room));
		struct appmenus_app app = {.name = name};
		bool any;

		for (int i = 0; i < APPMENUS_KEY_MAX; i++)
			app.values[i] = case_text(values, appmenus_key_name((enum appmenus_key)i));
		any = appmenus_template(&w, &app, legacy) && !w.bad;
		(void)json_object_object_add(
		        all, name, any ? json_object_new_string_len(room, (int)w.len) : NULL);
	}
	return all;
}

/* Order of keys does not count. */
static bool same(struct json_object *json, const char *key, struct json_object *got,
                 char why[CASE_WHY])
{
	struct json_object *want = NULL;

	if (!json_object_object_get_ex(json, key, &want) || json_object_equal(want, got))
		return true;
	(void)case_differs(why, key, json_object_to_json_string_ext(want, JSON_C_TO_STRING_PLAIN),
	                   json_object_to_json_string_ext(got, JSON_C_TO_STRING_PLAIN));
	return false;
}

bool case_appmenus(struct json_object *json, char why[CASE_WHY])
{
	struct menus menus = {.apps = json_object_new_object(),
	                      .warnings = json_object_new_array()};
	const char *error = case_text(json, "error");
	size_t len;
	uint8_t *data = case_bytes(json, "input_hex", &len);
	bool good;

	if (!data)
		abort();
	read_menus(&menus, (const char *)data, len);
	good = !case_differs(why, "error", error ? error : "", menus.error ? menus.error : "");
	if (good && !error) {
		struct json_object *plain = templates(&menus, false);
		struct json_object *legacy = templates(&menus, true);

		good = same(json, "result", menus.apps, why) &&
		       same(json, "warnings", menus.warnings, why) &&
		       same(json, "templates", plain, why) &&
		       same(json, "templates_legacy", legacy, why);
		json_object_put(plain);
		json_object_put(legacy);
	}
	json_object_put(menus.apps);
	json_object_put(menus.warnings);
	free(data);
	return good;
}
