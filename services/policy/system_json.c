/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "services/policy/system.h"

/*
 * Facts as the admin service says them in JSON; its own text, hence json-c. A value of another type
 * than expected counts as the one that allows less.
 */

/* A text with a NUL inside would be taken for its beginning: that is no text. */
static const char *text_of(struct json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static const char *get_text(struct json_object *qube, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(qube, key, &value) ? text_of(value) : NULL;
}

static bool get_bool(struct json_object *qube, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(qube, key, &value) &&
	       json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

/* Hidden from prompts: a feature that is set to anything but nothing. */
static bool get_internal(struct json_object *qube)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(qube, "internal", &value) || !value)
		return false;
	return !json_object_is_type(value, json_type_string) ||
	       json_object_get_string_len(value) > 0;
}

static int add_qube(struct system *system, const char *name, struct json_object *json)
{
	const char *tags[SYSTEM_TAGS_MAX];
	const char *power = get_text(json, "power_state");
	struct json_object *list = NULL;
	struct system_qube qube = {
	        .name = name,
	        .uuid = get_text(json, "uuid"),
	        .type = get_text(json, "type"),
	        .tags = tags,
	        .template_for_dispvms = get_bool(json, "template_for_dispvms"),
	        .internal = get_internal(json),
	        .running = power && strcmp(power, "Running") == 0,
	        .default_dispvm = get_text(json, "default_dispvm"),
	        .icon = get_text(json, "icon"),
	        .label = get_text(json, "label"),
	        .guivm = get_text(json, "guivm"),
	        .relayvm = get_text(json, "relayvm"),
	        .transport_rpc = get_text(json, "transport_rpc"),
	};

	if (json_object_object_get_ex(json, "tags", &list) &&
	    json_object_is_type(list, json_type_array)) {
		qube.n_tags = json_object_array_length(list);
		if (qube.n_tags > SYSTEM_TAGS_MAX)
			return -1;
		for (size_t i = 0; i < qube.n_tags; i++) {
			struct json_object *tag = json_object_array_get_idx(list, i);

			tags[i] = text_of(tag);
			if (!tags[i])
				return -1;
		}
	}
	return system_add(system, &qube);
}

static struct system *from_object(struct json_object *root, const char **ret_why)
{
	struct json_object *domains = NULL;
	struct system *system;

	if (!json_object_object_get_ex(root, "domains", &domains))
		domains = root;
	*ret_why = "not an object of qubes";
	if (!json_object_is_type(domains, json_type_object))
		return NULL;
	*ret_why = "no memory";
	system = system_new();
	if (!system)
		return NULL;
	*ret_why = "a qube in it is not possible";
	json_object_object_foreach(domains, name, qube)
	{
		if (!json_object_is_type(qube, json_type_object) || add_qube(system, name, qube))
			return system_unref(system);
	}
	return system_seal(system) ? system_unref(system) : system;
}

struct system *system_from_json(const char *text, size_t len, const char **ret_why)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *root = NULL;
	struct system *system = NULL;

	*ret_why = "not JSON";
	if (tokener && len <= INT32_MAX)
		root = json_tokener_parse_ex(tokener, text, (int)len);
	if (root)
		system = from_object(root, ret_why);
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	return system;
}
