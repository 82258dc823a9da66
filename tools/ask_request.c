/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/ask_request.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

/* JSON of policy.Ask and policy.Notify to checked texts. No I/O. */

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@_.-"

static bool made_of(const char *text, const char *chars)
{
	return text[0] && text[strspn(text, chars)] == 0;
}

void ask_show(char out[ASK_TEXT_MAX + 4], const char *text)
{
	size_t n = escape_text(out, ASK_TEXT_MAX + 1, text, strlen(text));

	/* One escaped byte has four characters: what was cut is at most that short of the end. */
	if (n + 4 > ASK_TEXT_MAX && strlen(text) > ASK_TEXT_MAX / 4)
		memcpy(out + n, "...", 4);
}

/* A text by key, without a NUL inside; NULL: missing. */
static char *get_text(struct json_object *object, const char *key)
{
	struct json_object *value;
	const char *text;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return NULL;
	return strdup(text);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Only what has an icon is a qube that the system knows. */
static int get_targets(struct json_object *list, struct json_object *icons, struct ask_request *out)
{
	size_t i, n = json_object_array_length(list);

	if (n > ASK_TARGETS_MAX)
		return -1;
	out->targets = calloc(n + 1, sizeof(*out->targets));
	for (i = 0; out->targets && i < n; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *name = json_object_is_type(item, json_type_string)
		                           ? json_object_get_string(item)
		                           : "";
		const char *plain = strncmp(name, "@dispvm:", 8) == 0 ? name + 8 : name;

		if (!made_of(plain, NAME_CHARS) || !json_object_object_get_ex(icons, name, NULL))
			continue;
		out->targets[out->n_targets] = strdup(name);
		if (!out->targets[out->n_targets++])
			return -1;
	}
	if (!out->targets)
		return -1;
	qsort(out->targets, out->n_targets, sizeof(*out->targets), compare);
	return 0;
}

static int get_prompt(struct json_object *object, struct ask_request *out)
{
	struct json_object *targets, *icons;

	out->target = get_text(object, "default_target");
	if (!out->target || !json_object_object_get_ex(object, "targets", &targets) ||
	    !json_object_object_get_ex(object, "icons", &icons) ||
	    !json_object_is_type(targets, json_type_array) ||
	    !json_object_is_type(icons, json_type_object))
		return -1;
	if (!json_object_object_get_ex(icons, out->source, NULL))
		return -1;
	return get_targets(targets, icons, out);
}

static int get_notice(struct json_object *object, struct ask_request *out)
{
	out->target = get_text(object, "target");
	out->resolution = get_text(object, "resolution");
	if (!out->target || !out->resolution)
		return -1;
	return strcmp(out->resolution, "allow") == 0 || strcmp(out->resolution, "deny") == 0 ||
	                       strcmp(out->resolution, "fail") == 0
	               ? 0
	               : -1;
}

static int get_request(struct json_object *object, struct ask_request *out)
{
	if (!object || !json_object_is_type(object, json_type_object))
		return -1;
	out->source = get_text(object, "source");
	out->service = get_text(object, "service");
	out->argument = get_text(object, "argument");
	if (!out->source || !out->service || !out->argument || !made_of(out->source, NAME_CHARS) ||
	    !made_of(out->service, NAME_CHARS "+"))
		return -1;
	return out->kind == ASK_PROMPT ? get_prompt(object, out) : get_notice(object, out);
}

/* "policy.Ask CALLER …": the service and at least one word more. */
static int get_kind(const char *header, struct ask_request *out)
{
	if (strncmp(header, "policy.Ask ", 11) == 0 && header[11])
		out->kind = ASK_PROMPT;
	else if (strncmp(header, "policy.Notify ", 14) == 0 && header[14])
		out->kind = ASK_NOTICE;
	else
		return -1;
	return 0;
}

int ask_request_decode(const char *data, size_t len, struct ask_request *out)
{
	size_t header = strnlen(data, len);
	struct json_object *object;
	int r;

	*out = (struct ask_request){0};
	if (header >= len || get_kind(data, out) || strlen(data + header + 1) != len - header - 1)
		return -1;
	object = json_tokener_parse(data + header + 1);
	r = get_request(object, out);
	(void)json_object_put(object);
	if (r)
		ask_request_fini(out);
	return r;
}

void ask_request_fini(struct ask_request *request)
{
	size_t i;

	for (i = 0; i < request->n_targets; i++)
		free(request->targets[i]);
	free(request->targets);
	free(request->source);
	free(request->service);
	free(request->argument);
	free(request->target);
	free(request->resolution);
	*request = (struct ask_request){0};
}
