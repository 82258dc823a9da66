/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry-image: the images of dom0 on its disk; manual: skerry-image(8). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/dom0/image.h"

#define UPDATES     "/var/lib/qubes/updates"
#define PACKAGE     "skerry-dom0 "
#define LIST_MAX    (1U << 20)
#define STATUS_NONE 3 /* nothing to do here: no slots */

static const char help[] =
        "usage: skerry-image [show] [--json]      what is in the slots, and what is started\n"
        "       skerry-image verify [--json]      the same, and every part of the images is read\n"
        "       skerry-image install [PACKAGE]    the image of a package to the other slot\n"
        "       skerry-image confirm [--start]    what runs is good\n"
        "       skerry-image back                 start the other image from now on\n"
        "       skerry-image reset                the state anew, by what is in the slots\n"
        "PACKAGE is a file; without one, the skerry-dom0 that qubes-dom0-update has fetched.\n";

struct slot_view {
	bool whole;
	struct release release;
};

static void print_time(const char *name, uint64_t value)
{
	char text[IMAGE_TIME_LEN];

	if (value)
		(void)printf(", \"%s\": \"%s\"", name, image_time(value, text));
	else
		(void)printf(", \"%s\": null", name);
}

static void print_slot(const char *name, char slot)
{
	if (slot)
		(void)printf("\"%s\": \"%c\"", name, slot);
	else
		(void)printf("\"%s\": null", name);
}

static bool is_stale(const struct image_disk *d)
{
	return d->boot.until > 0 && time(NULL) >= (time_t)d->boot.until;
}

static void print_json(const struct image_disk *d, const struct slot_view views[SLOTS])
{
	(void)printf("{");
	print_slot("running", d->running);
	(void)printf(", ");
	print_slot("good", d->boot.good);
	(void)printf(", ");
	print_slot("trying", d->boot.trying);
	(void)printf(", \"tries\": %u, \"floor\": %" PRIu64, d->boot.tries, d->boot.floor);
	print_time("newest_until", d->boot.until);
	(void)printf(", \"stale\": %s, \"slots\": [", is_stale(d) ? "true" : "false");
	for (size_t i = 0; i < SLOTS; i++) {
		const struct release *r = &views[i].release;

		(void)printf("%s{\"slot\": \"%c\", \"whole\": %s, \"version\": %" PRIu64,
		             i ? ", " : "", (char)('a' + i), views[i].whole ? "true" : "false",
		             r->version);
		print_time("created", r->created);
		print_time("expires", r->expires);
		(void)printf("}");
	}
	(void)printf("]}\n");
}

static const char *state_of(const struct image_disk *d, char slot, char text[64])
{
	char trial[40] = "";

	if (slot == d->boot.trying)
		(void)snprintf(trial, sizeof(trial), "on trial, %u starts left", d->boot.tries);
	(void)snprintf(text, 64, "%s%s%s", slot == d->boot.good ? "good" : trial,
	               slot == d->running && (slot == d->boot.good || *trial) ? ", " : "",
	               slot == d->running ? "runs" : "");
	return text;
}

static void print_text(const struct image_disk *d, const struct slot_view views[SLOTS])
{
	char when[IMAGE_TIME_LEN];
	char text[64];

	(void)printf("SLOT  VERSION               MADE                  STATE\n");
	for (size_t i = 0; i < SLOTS; i++) {
		char slot = (char)('a' + i);

		if (views[i].whole)
			(void)printf("%-4c  %-20" PRIu64 "  %-20s  %s\n", slot,
			             views[i].release.version,
			             image_time(views[i].release.created, when),
			             state_of(d, slot, text));
		else
			(void)printf("%-4c  %-20s  %-20s  %s\n", slot, "-", "-", "no whole image");
	}
	if (!d->running)
		(void)printf("dom0 runs from neither: from a medium, or as a test.\n");
	if (d->boot.floor)
		(void)printf("Nothing older than %" PRIu64 " is installed.\n", d->boot.floor);
	if (is_stale(d))
		(void)printf("The newest image was to be the newest until %s, and nothing came "
		             "since: see "
		             "qubes-dom0-update; if it finds nothing, updates may be withheld: try "
		             "another "
		             "qube (qubes-prefs updatevm QUBE).\n",
		             image_time(d->boot.until, when));
}

/* Status 1 if a slot that GRUB would start is not what was signed. */
static int show(bool json, bool whole)
{
	struct slot_view views[SLOTS] = {0};
	struct image_report report;
	struct signify_keys keys;
	struct image_disk d;
	char name[] = "slot x";
	int status = 0;

	if (image_disk_open(&d, IMAGE_READ)) {
		image_disk_close(&d);
		return 1;
	}
	if (image_keys_load(&keys))
		status = 1;
	for (size_t i = 0; i < SLOTS && status == 0; i++) {
		name[5] = (char)('a' + i);
		if (!image_slot_found(&d, name[5]))
			continue;
		views[i].whole = image_do(whole ? IMAGE_VERIFY_WHOLE : IMAGE_VERIFY, &d, name[5],
		                          -1, &keys, &report) == 0;
		if (views[i].whole)
			views[i].release = report.release;
		else
			image_say(name, &report, &keys);
	}
	for (size_t i = 0; i < SLOTS; i++) {
		char slot = (char)('a' + i);

		if ((slot == d.boot.good || slot == d.boot.trying) && !views[i].whole)
			status = 1;
	}
	if (json)
		print_json(&d, views);
	else
		print_text(&d, views);
	image_disk_close(&d);
	return status;
}

/* The one package of dom0 that the last transfer brought. */
static int find_package(char path[PATH_MAX])
{
	char file[PATH_MAX];
	OWNED_FD int fd = -1;
	char *text = NULL, *rest = NULL;
	unsigned int n = 0;
	size_t len;

	if (path_make(file, sizeof(file), UPDATES "/packages", NULL))
		return -1;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_to_end(fd, 4096, LIST_MAX, &text, &len)) {
		LOG("no package of dom0 is in " UPDATES ": fetch one with qubes-dom0-update");
		return -1;
	}
	/* NAME EPOCH VERSION RELEASE ARCHITECTURE FILE, by qubes.ReceiveUpdates, which knows no blanks in them */
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *last = strrchr(line, ' ');

		if (strncmp(line, PACKAGE, strlen(PACKAGE)) == 0 && last &&
		    path_make(path, PATH_MAX, UPDATES "/rpm", last + 1) == 0)
			n++;
	}
	free(text);
	if (n == 1)
		return 0;
	LOG(n == 0 ? "%s: no package of dom0 is in it: fetch one with qubes-dom0-update"
	           : "%s: more than one package of dom0: say which (skerry image install PACKAGE)",
	    file);
	return -1;
}

static int install(const char *package)
{
	char path[PATH_MAX];

	if (!package && find_package(path))
		return 1;
	return image_install(package ? package : path) ? 1 : 0;
}

/* As a child of process 1: a machine whose disk has no slots, or a damaged state, goes on. */
static int confirm_at_start(void)
{
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), IMAGE_SLOTS, "state") == 0 && access(path, F_OK) == 0 &&
	    image_confirm())
		LOG("dom0 goes on, and the image that runs is not yet taken for good");
	return 0;
}

static int run(const char *command, const char *word, bool json)
{
	if (strcmp(command, "show") == 0 && !word)
		return show(json, false);
	if (strcmp(command, "verify") == 0 && !word)
		return show(json, true);
	if (strcmp(command, "install") == 0 && !json)
		return install(word);
	if (strcmp(command, "confirm") == 0 && !json && word && strcmp(word, "--start") == 0)
		return confirm_at_start();
	if (strcmp(command, "confirm") == 0 && !json && !word)
		return image_confirm() ? 1 : 0;
	if (strcmp(command, "back") == 0 && !json && !word)
		return image_back() ? 1 : 0;
	if (strcmp(command, "reset") == 0 && !json && !word)
		return image_reset() ? 1 : 0;
	(void)fputs(help, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *words[2] = {"show", NULL};
	bool json = false;
	size_t n = 0;

	log_init("skerry-image");
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			(void)fputs(help, stdout);
			return 0;
		}
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (n < ARRAY_LEN(words)) {
			words[n++] = argv[i];
		} else {
			(void)fputs(help, stderr);
			return 2;
		}
	}
	if (fd_open_stdio() || paths_find_root())
		return 1;
	n = (size_t)run(words[0], words[1], json);
	return fflush(stdout) ? 1 : (int)n;
}
