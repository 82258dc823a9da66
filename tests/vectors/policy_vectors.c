/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a rule that somebody wrote years ago would now decide something else.
 *
 * policy_vectors PATH...: replays files of recorded cases, or directories of them; TAP on stdout.
 * Cases of bytes on the service's sockets need the running service: policy_daemon.py replays those.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "tests/vectors/tree.h"
#include "tests/vectors/vectors.h"

struct totals {
	unsigned int n;
	unsigned int failed;
	unsigned int elsewhere; /* for policy_daemon.py; not in n */
};

enum outcome vector_fail(struct vector *v, const char *what, struct json_object *want,
                         struct json_object *got)
{
	(void)snprintf(v->why, sizeof(v->why), "%s: want %s got %s", what,
	               json_object_to_json_string_ext(want, JSON_C_TO_STRING_PLAIN),
	               json_object_to_json_string_ext(got, JSON_C_TO_STRING_PLAIN));
	return FAILED;
}

const char *vector_text(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value) || !value)
		return "";
	return json_object_get_string(value);
}

const char *vector_logical(const struct vector *v, const char *path, char *out, size_t max)
{
	size_t len = strlen(v->root);

	(void)snprintf(out, max, "%s",
	               strncmp(path, v->root, len) == 0 && path[len] == '/' ? path + len + 1
	                                                                    : path);
	return out;
}

static enum outcome replay(struct vector *v)
{
	if (json_object_object_get_ex(v->json, "request", NULL))
		return vector_eval(v);
	if (json_object_object_get_ex(v->json, "expect", NULL))
		return vector_parse(v);
	if (json_object_object_get_ex(v->json, "call", NULL))
		return vector_admin(v);
	(void)snprintf(v->why, sizeof(v->why), "no known kind of case");
	return FAILED;
}

/* Lays the case out, replays it, prints its line. */
static void run_case(struct json_object *json, struct json_object *systems, struct totals *totals)
{
	static struct vector v;
	const char *system = vector_text(json, "system");
	enum outcome outcome = FAILED;

	v = (struct vector){.json = json};
	(void)snprintf(v.why, sizeof(v.why), "cannot lay out the files");
	if (system[0] && !json_object_object_get_ex(systems, system, &v.domains))
		(void)snprintf(v.why, sizeof(v.why), "no system %s", system);
	else if (tree_make(&v) == 0)
		outcome = replay(&v);
	tree_remove(&v);
	totals->n++;
	totals->failed += outcome == FAILED;
	printf("%sok %u - %s\n", outcome == FAILED ? "not " : "", totals->n,
	       vector_text(json, "id"));
	if (outcome == FAILED)
		printf("# %s\n", v.why);
}

typedef void line_fn(struct json_object *json, struct json_object *systems, struct totals *totals);

static int each_line(const char *path, line_fn *fn, struct json_object *systems,
                     struct totals *totals)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	if (!file)
		return -1;
	while (r == 0 && getline(&line, &room, file) > 0) {
		struct json_object *json = json_tokener_parse(line);

		if (json)
			fn(json, systems, totals);
		else
			r = -1;
		json_object_put(json);
	}
	free(line);
	(void)fclose(file);
	return r;
}

/* Facts: {"id", "domains"}. Cases of such a file are none. */
static void take_system(struct json_object *json, struct json_object *systems,
                        struct totals *totals)
{
	struct json_object *domains;

	if (json_object_object_get_ex(json, "domains", &domains))
		(void)json_object_object_add(systems, vector_text(json, "id"),
		                             json_object_get(domains));
}

static void take_case(struct json_object *json, struct json_object *systems, struct totals *totals)
{
	if (json_object_object_get_ex(json, "domains", NULL))
		return;
	if (json_object_object_get_ex(json, "input", NULL))
		totals->elsewhere++;
	else
		run_case(json, systems, totals);
}

static int is_case_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 6 && strcmp(entry->d_name + len - 6, ".jsonl") == 0;
}

/* The facts come from systems.jsonl beside the cases, wherever those are. */
static int run_path(const char *path, struct json_object *systems, struct totals *totals)
{
	struct dirent **list;
	struct stat st;
	char file[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n;
	int r = 0;

	if (stat(path, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode)) {
		(void)snprintf(file, sizeof(file), "%.*s/systems.jsonl",
		               slash ? (int)(slash - path) : 1, slash ? path : ".");
		if (access(file, R_OK) == 0 && each_line(file, take_system, systems, totals))
			return -1;
		if (each_line(path, take_system, systems, totals))
			return -1;
		return each_line(path, take_case, systems, totals);
	}
	n = scandir(path, &list, is_case_file, alphasort);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		if (r == 0)
			r = run_path(file, systems, totals);
		free(list[i]);
	}
	free(list);
	return r;
}

int main(int argc, char **argv)
{
	struct json_object *systems = json_object_new_object();
	struct totals totals = {0};
	int r = 0;

	log_init("policy_vectors");
	(void)umask(022);
	for (int i = 1; i < argc && r == 0; i++) {
		r = run_path(argv[i], systems, &totals);
		if (r)
			printf("Bail out! %s: cannot be read\n", argv[i]);
	}
	json_object_put(systems);
	printf("1..%u%s\n", totals.n,
	       totals.n == 0 && totals.elsewhere ? " # SKIP every case needs the service" : "");
	printf("# %u cases, %u failed; %u for the service\n", totals.n, totals.failed,
	       totals.elsewhere);
	return r || totals.failed || totals.n + totals.elsewhere == 0;
}
