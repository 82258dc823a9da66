/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry apps - what can be started in which qube
 *
 * The list of a qube is its own, or that of the template that it is based on. It was checked when the
 * qube told it (qubes.SyncAppMenus); what is in the files is shown through the escaper all the same.
 */
#include "tools/skerry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/name.h"
#include "lib/untrusted/text.h"
#include "proto/services/desktop.h"
#include "tools/client/client.h"

#define MENUS     "/var/lib/qubes/appmenus"
#define TEMPLATES "apps.templates"
#define SUFFIX    ".desktop"
#define FIELD_MAX 1100 /* bytes of a value: more than the menus take */
#define SYNC      "dom0-sync-appmenus"

struct app {
	char id[NAME_MAX];
	char name[FIELD_MAX];
	char comment[FIELD_MAX];
	char categories[FIELD_MAX];
};

static int folder_of(const char *qube, char path[PATH_MAX])
{
	char name[NAME_MAX];
	int n = snprintf(name, sizeof(name), "%s/" TEMPLATES, qube);

	return n < 0 || (size_t)n >= sizeof(name) ? -1 : path_make(path, PATH_MAX, MENUS, name);
}

static int is_entry(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > sizeof(SUFFIX) - 1 &&
	       strcmp(entry->d_name + len - (sizeof(SUFFIX) - 1), SUFFIX) == 0;
}

static bool has_list(const char *qube)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n;

	if (folder_of(qube, path))
		return false;
	n = scandir(path, &entries, is_entry, NULL);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	if (n >= 0)
		free(entries);
	return n > 0;
}

/* The qube whose list counts for this one; NULL: there is none, and why was said. */
static const char *list_owner(const char *qube)
{
	struct admin_reply reply;
	const char *name;

	if (has_list(qube))
		return qube;
	reply = admin_call("admin.vm.property.Get", "template", qube, NULL);
	name = reply.error ? NULL : strstr(reply.content, " type=vm ");
	if (name && has_list(name + sizeof(" type=vm ") - 1))
		return name + sizeof(" type=vm ") - 1;
	(void)fprintf(
	        stderr,
	        "skerry apps: %s: no list of applications yet; 'skerry apps --sync QUBE' asks %s\n",
	        qube, name ? "its template for it" : "a qube for it");
	return NULL;
}

static void keep(char dst[FIELD_MAX], const struct desktop_line *line)
{
	static const char prefix[] = "%VMNAME%: ";
	const char *value = line->value;
	size_t len = line->value_len;

	if (len >= sizeof(prefix) - 1 && memcmp(value, prefix, sizeof(prefix) - 1) == 0) {
		value += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	(void)untrusted_text_escape(dst, FIELD_MAX, value, len);
}

static int read_app(const char *folder, const char *file, struct app *app)
{
	char path[PATH_MAX];
	struct desktop_reader reader;
	struct desktop_line line;
	OWNED_FD int fd = -1;
	char *data;
	size_t len;
	int n = snprintf(path, sizeof(path), "%s/%s", folder, file);

	*app = (struct app){0};
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fd_read_to_end(fd, 1024, DESKTOP_FILE_MAX, &data, &len))
		return -1;
	(void)snprintf(app->id, sizeof(app->id), "%.*s", (int)(strlen(file) - (sizeof(SUFFIX) - 1)),
	               file);
	reader = desktop_reader(data, len);
	while (desktop_next(&reader, &line)) {
		if (desktop_is_key(&line, "Name"))
			keep(app->name, &line);
		else if (desktop_is_key(&line, "Comment"))
			keep(app->comment, &line);
		else if (desktop_is_key(&line, "Categories"))
			keep(app->categories, &line);
	}
	free(data);
	return 0;
}

static void print_app(const char *qube, const struct app *app, const struct skerry_options *options)
{
	struct json_object *json;

	if (!options->json) {
		printf("%s%-30s%s %-30s %s%s%s\n", skerry_style(options, STYLE_BOLD), app->id,
		       skerry_style(options, STYLE_PLAIN), app->name,
		       skerry_style(options, STYLE_FAINT), app->comment,
		       skerry_style(options, STYLE_PLAIN));
		return;
	}
	json = json_object_new_object();
	(void)json_object_object_add(json, "qube", json_object_new_string(qube));
	(void)json_object_object_add(json, "app", json_object_new_string(app->id));
	(void)json_object_object_add(json, "name", json_object_new_string(app->name));
	(void)json_object_object_add(json, "comment", json_object_new_string(app->comment));
	(void)json_object_object_add(json, "categories", json_object_new_string(app->categories));
	printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
}

static int list_qube(const char *qube, const struct skerry_options *options)
{
	static struct app app;
	const char *owner = list_owner(qube);
	struct dirent **entries;
	char folder[PATH_MAX];
	int n;

	if (!owner || folder_of(owner, folder))
		return SKERRY_REFUSED;
	n = scandir(folder, &entries, is_entry, alphasort);
	for (int i = 0; i < n; i++) {
		if (read_app(folder, entries[i]->d_name, &app) == 0)
			print_app(qube, &app, options);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return n >= 0 ? SKERRY_DONE : SKERRY_REFUSED;
}

/* Qubes that told of their applications. */
static int list_owners(const struct skerry_options *options)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int shown = 0;
	int n;

	if (path_make(path, sizeof(path), MENUS, NULL))
		return SKERRY_REFUSED;
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (untrusted_qube_name_check(name, strlen(name)) == UNTRUSTED_QUBE_NAME_OK &&
		    has_list(name)) {
			shown++;
			if (options->json)
				printf("{\"qube\":\"%s\"}\n", name);
			else
				printf("%s\n", name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (shown == 0)
		(void)fprintf(stderr, "skerry apps: no qube has told of its applications yet\n");
	return shown > 0 ? SKERRY_DONE : SKERRY_REFUSED;
}

static int launch(const char *qube, const char *id)
{
	static struct app app;
	const char *owner = list_owner(qube);
	char folder[PATH_MAX];
	char file[NAME_MAX];
	char command[NAME_MAX + 64];
	struct admin_reply reply;

	if (!owner)
		return SKERRY_REFUSED;
	(void)snprintf(file, sizeof(file), "%s" SUFFIX, id);
	if (!desktop_id_legal(id) || folder_of(owner, folder) || read_app(folder, file, &app)) {
		(void)fprintf(
		        stderr,
		        "skerry apps: %s has no application %s; 'skerry apps %s' lists them\n",
		        qube, desktop_id_legal(id) ? id : "of that name", qube);
		return SKERRY_REFUSED;
	}
	reply = admin_call("admin.vm.Start", NULL, qube, NULL);
	if (reply.error && strcmp(reply.error, "QubesVMNotHaltedError") != 0) {
		(void)fprintf(stderr, "skerry apps: %s cannot be started: %s\n", qube, reply.text);
		return SKERRY_REFUSED;
	}
	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC qubes.StartApp+%s dom0", id);
	execlp("qrexec-client", "qrexec-client", "-d", qube, command, (char *)NULL);
	(void)fprintf(stderr, "skerry apps: qrexec-client: %s\n", strerror(errno));
	return SKERRY_REFUSED;
}

static int sync_qube(const char *qube)
{
	static const char *const places[] = {"../services/dom0/" SYNC, "../libexec/skerry/" SYNC,
	                                     NULL};
	char program[PATH_MAX];

	if (path_program(program, sizeof(program), places) == 0)
		execl(program, SYNC, "--from", qube, (char *)NULL);
	(void)fprintf(stderr, "skerry apps: " SYNC ": %s\n", strerror(errno));
	return SKERRY_REFUSED;
}

int skerry_apps(int argc, char **argv, const struct skerry_options *options)
{
	const char *qube = NULL;
	const char *app = NULL;
	bool sync = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--sync") == 0)
			sync = true;
		else if (strncmp(argv[i], "--launch=", 9) == 0)
			app = argv[i] + 9;
		else if (strcmp(argv[i], "--launch") == 0 && i + 1 < argc)
			app = argv[++i];
		else if (argv[i][0] == '-' || qube)
			return skerry_usage(argv[0]);
		else
			qube = argv[i];
	}
	if ((sync || app) && (!qube || (sync && app)))
		return skerry_usage(argv[0]);
	if (!qube)
		return list_owners(options);
	if (untrusted_qube_name_check(qube, strlen(qube)) != UNTRUSTED_QUBE_NAME_OK) {
		(void)fprintf(stderr, "skerry apps: this is no name of a qube\n");
		return SKERRY_USAGE;
	}
	if (sync)
		return sync_qube(qube);
	return app ? launch(qube, app) : list_qube(qube, options);
}
