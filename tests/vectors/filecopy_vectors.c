/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, names and texts that the original accepts are refused, or the other way round; what
 * is wrongly accepted can lead out of a folder, or drive the terminal that shows it.
 *
 * filecopy_vectors PATH...: files of recorded cases for lib/untrusted (validators.json,
 * codepoints.json, or others of that form), or folders of them; TAP on stdout. Recorded streams need
 * the programs: filecopy_programs.py replays those.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/compat.h"
#include "lib/untrusted/name.h"
#include "lib/untrusted/path.h"
#include "lib/untrusted/text.h"

#define TEXT_MAX 70000

struct totals {
	unsigned int n;
	unsigned int failed;
	unsigned int elsewhere; /* files for filecopy_programs.py */
};

static void report(struct totals *t, bool ok, const char *kind, const char *name)
{
	t->n++;
	t->failed += !ok;
	printf("%sok %u - %s %.60s\n", ok ? "" : "not ", t->n, kind, name);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, key, &value);
	return value;
}

/* A member in hexadecimal as bytes, NUL-terminated; the caller frees. NULL: no such thing. */
static char *bytes_of(struct json_object *object, const char *key, size_t *ret_len)
{
	const char *hex = json_object_get_string(member(object, key));
	size_t len = hex ? strlen(hex) / 2 : 0;
	char *bytes = hex && len < TEXT_MAX ? malloc(len + 1) : NULL;

	for (size_t i = 0; bytes && i < len; i++) {
		const char pair[] = {hex[2 * i], hex[2 * i + 1], '\0'};

		bytes[i] = (char)strtoul(pair, NULL, 16);
	}
	if (bytes) {
		bytes[len] = '\0';
		*ret_len = len;
	}
	return bytes;
}

/* Whether a name, or a link if there is a target, gives what is listed for each set of flags. */
static bool results_are(struct json_object *one, const char *name, const char *target)
{
	struct json_object *results = member(one, "results");
	bool ok = results && name;

	if (!ok)
		return false;
	json_object_object_foreach(results, key, want)
	{
		unsigned int flags = (unsigned int)strtoul(key, NULL, 10);
		int got = target ? untrusted_link_check(name, target, flags)
		                 : untrusted_path_check(name, flags);

		if (got == json_object_get_int(want))
			continue;
		printf("# flags %s: want %d got %d\n", key, json_object_get_int(want), got);
		ok = false;
	}
	return ok;
}

static bool name_is_right(struct json_object *one)
{
	size_t len;
	char *name = bytes_of(one, "name_hex", &len);
	bool ok = results_are(one, name, NULL);

	free(name);
	return ok;
}

static bool link_is_right(struct json_object *one)
{
	size_t len;
	char *name = bytes_of(one, "name_hex", &len);
	char *target = bytes_of(one, "target_hex", &len);
	bool ok = target && results_are(one, name, target);

	free(name);
	free(target);
	return ok;
}

/* One row of "sanitized": [room, returned length, bytes written in hexadecimal]. */
static bool row_is_right(struct json_object *row, const char *text)
{
	size_t room = (size_t)json_object_get_int(json_object_array_get_idx(row, 0));
	size_t want_len = (size_t)json_object_get_int(json_object_array_get_idx(row, 1));
	const char *want = json_object_get_string(json_object_array_get_idx(row, 2));
	char *out = malloc(room + 1);
	char *hex = malloc(2 * room + 3);
	size_t len;
	bool ok;

	if (!out || !hex || !want)
		abort();
	out[room] = 0x55;
	len = untrusted_text_clean(out, room, text);
	hex[0] = '\0';
	for (size_t i = 0; i < len; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)out[i]);
	ok = len == want_len && strcmp(hex, want) == 0 && out[room] == 0x55;
	if (!ok)
		printf("# room %zu: want %zu %s got %zu %s\n", room, want_len, want, len, hex);
	free(out);
	free(hex);
	return ok;
}

static bool text_is_right(struct json_object *one)
{
	struct json_object *rows = member(one, "sanitized");
	size_t len;
	char *text = bytes_of(one, "input_hex", &len);
	bool ok = text && rows &&
	          untrusted_text_shown(text, len) == json_object_get_boolean(member(one, "safe"));

	for (size_t i = 0; ok && i < json_object_array_length(rows); i++)
		ok = row_is_right(json_object_array_get_idx(rows, i), text);
	free(text);
	return ok;
}

static bool qube_is_right(struct json_object *one)
{
	size_t len;
	char *name = bytes_of(one, "name_hex", &len);
	bool ok = name && (int)untrusted_qube_name_check(name, len) ==
	                          json_object_get_int(member(one, "result"));

	free(name);
	return ok;
}

static const struct kind {
	const char *list;
	const char *name;
	const char *what; /* the member that names a case */
	bool (*is_right)(struct json_object *one);
} kinds[] = {
        {"file_names", "name", "name_hex", name_is_right},
        {"symlinks", "link from", "name_hex", link_is_right},
        {"display", "text", "input_hex", text_is_right},
        {"qube_names", "qube", "name_hex", qube_is_right},
};

static unsigned int run_lists(struct json_object *file, struct totals *totals)
{
	unsigned int found = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct json_object *list = member(file, kinds[i].list);

		for (size_t j = 0; list && j < json_object_array_length(list); j++) {
			struct json_object *one = json_object_array_get_idx(list, j);
			const char *what = json_object_get_string(member(one, kinds[i].what));

			report(totals, kinds[i].is_right(one), kinds[i].name, what ? what : "?");
		}
		found += list != NULL;
	}
	return found;
}

static size_t encode(uint32_t code, char out[5])
{
	static const uint32_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[n] | code);
	return n;
}

/* Every code point there is, as a number and as text; surrogates cannot be text at all. */
static void run_ranges(struct json_object *ranges, struct totals *totals)
{
	unsigned char *listed = calloc(0x110000, 1);
	unsigned int wrong = 0;

	if (!listed)
		abort();
	for (size_t i = 0; i < json_object_array_length(ranges); i++) {
		struct json_object *range = json_object_array_get_idx(ranges, i);
		int first = json_object_get_int(json_object_array_get_idx(range, 0));
		int last = json_object_get_int(json_object_array_get_idx(range, 1));

		for (int c = MAX(first, 0); c <= MIN(last, 0x10ffff); c++)
			listed[c] = 1;
	}
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[5] = {0};
		size_t len = encode(c, text);
		bool shown = untrusted_text_shown(text, len);

		if (untrusted_char_shown(c) == listed[c] && shown == listed[c])
			continue;
		wrong++;
		if (wrong < 10)
			printf("# U+%04X: want %d got %d\n", c, listed[c], shown);
	}
	free(listed);
	report(totals, wrong == 0, "every code point of", "the list");
}

static int run_file(const char *path, struct totals *totals)
{
	struct json_object *file = json_object_from_file(path);
	struct json_object *ranges;
	unsigned int found;

	if (!file)
		return -1;
	found = run_lists(file, totals);
	ranges = member(file, "ranges");
	if (ranges)
		run_ranges(ranges, totals);
	else if (found == 0)
		totals->elsewhere++;
	json_object_put(file);
	return 0;
}

static int run_path(const char *path, struct totals *totals)
{
	static const char *const names[] = {"validators.json", "codepoints.json", "index.json",
	                                    "sender.json"};
	struct stat st;
	char file[PATH_MAX];
	unsigned int found = 0;

	if (stat(path, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return run_file(path, totals);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		if (access(file, R_OK) < 0)
			continue;
		found++;
		if (run_file(file, totals))
			return -1;
	}
	return found > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct totals totals = {0};
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		r = run_path(argv[i], &totals);
		if (r)
			printf("Bail out! %s: no recorded cases, or not JSON\n", argv[i]);
	}
	printf("1..%u%s\n", totals.n,
	       totals.n == 0 && totals.elsewhere ? " # SKIP every case needs the programs" : "");
	return r || totals.failed || totals.n + totals.elsewhere == 0;
}
