/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a service would take something that the original refuses, or the other way round.
 *
 * services_vectors PATH...: replays files of recorded cases, or directories of them; TAP on stdout. What
 * a case is for shows by its keys, so a file may have any name ending in .json.
 */
#include <dirent.h>
#include <json-c/json.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "tests/vectors/services_cases.h"

static struct {
	unsigned int n;
	unsigned int failed;
} totals;

const char *case_text(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value) || !value)
		return NULL;
	return json_object_get_string(value);
}

uint8_t *case_bytes(struct json_object *object, const char *key, size_t *ret_len)
{
	const char *hex = case_text(object, key);
	size_t len = hex ? strlen(hex) / 2 : 0;
	uint8_t *data = malloc(len + 1);

	if (!data || !hex ||
	    (len > 0 && sodium_hex2bin(data, len, hex, len * 2, NULL, ret_len, NULL) != 0)) {
		free(data);
		return NULL;
	}
	*ret_len = len;
	data[len] = 0;
	return data;
}

bool case_differs(char why[CASE_WHY], const char *what, const char *want, const char *got)
{
	if (strcmp(want, got) == 0)
		return false;
	(void)snprintf(why, CASE_WHY, "%s: want %.1500s got %.1500s", what, want, got);
	return true;
}

static void replay(struct json_object *json, const char *file, size_t number)
{
	static const struct {
		const char *key; /* that only cases of this kind have */
		bool (*run)(struct json_object *json, char why[CASE_WHY]);
	} kinds[] = {{"encode_argv_hex", case_vmexec_encode},
	             {"arg", case_vmexec_decode},
	             {"runs", case_date},
	             {"tinted_hex", case_tint},
	             {"max_width", case_image},
	             {"input_hex", case_appmenus}};
	const char *name = case_text(json, "name");
	char why[CASE_WHY] = "no decoder for a case with these keys";
	bool good = false;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (json_object_object_get_ex(json, kinds[i].key, NULL)) {
			good = kinds[i].run(json, why);
			break;
		}
	}
	totals.n++;
	totals.failed += !good;
	printf("%sok %u - %s %zu %s\n", good ? "" : "not ", totals.n, file, number + 1,
	       name ? name : "");
	if (!good) {
		char safe[CASE_WHY];

		(void)escape_text(safe, sizeof(safe), why, strlen(why));
		printf("# %s\n", safe);
	}
}

static int run_file(const char *path)
{
	static const char *const lists[] = {"cases", "tint"};
	struct json_object *json = json_object_from_file(path);
	const char *name = strrchr(path, '/');
	struct json_object *list;

	if (!json)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (!json_object_object_get_ex(json, lists[i], &list) ||
		    !json_object_is_type(list, json_type_array))
			continue;
		for (size_t k = 0; k < json_object_array_length(list); k++)
			replay(json_object_array_get_idx(list, k), name ? name + 1 : path, k);
	}
	json_object_put(json);
	return 0;
}

static int is_case_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int run_path(const char *path)
{
	struct dirent **list;
	struct stat st;
	int r = 0;
	int n;

	if (stat(path, &st))
		return -1;
	if (!S_ISDIR(st.st_mode))
		return run_file(path);
	n = scandir(path, &list, is_case_file, alphasort);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		char file[PATH_MAX];

		(void)snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		if (r == 0)
			r = run_file(file);
		free(list[i]);
	}
	free(list);
	return r;
}

int main(int argc, char **argv)
{
	int r = sodium_init() < 0 ? -1 : 0;

	log_init("services_vectors");
	for (int i = 1; i < argc && r == 0; i++) {
		r = run_path(argv[i]);
		if (r)
			printf("Bail out! %s: cannot be read\n", argv[i]);
	}
	printf("1..%u\n", totals.n);
	return r || totals.failed || totals.n == 0;
}
