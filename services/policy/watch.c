/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/loop/loop.h"

/*
 * inotify on what the policy was read from. A file in the middle of being written in place (changed,
 * not yet closed) is remembered, for what it says then is nobody's policy. After some time without a
 * further change it is taken as it stands: truncate() announces itself but is never followed by a
 * close.
 */

#define DIRECT_MASK                                                                                \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |          \
	 IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD)
#define ABOVE_MASK                                                                                 \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |     \
	 IN_ATTRIB | IN_ONLYDIR | IN_MASK_ADD)

int watch_init(struct watch *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->facts_wd = -1;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return watch->fd < 0 ? -1 : 0;
}

void watch_fini(struct watch *watch)
{
	watch->fd = fd_close(watch->fd);
	free(watch->list);
	watch->list = NULL;
	watch->n = watch->room = 0;
}

static struct watch_entry *find(struct watch *watch, int wd)
{
	size_t i;

	for (i = 0; i < watch->n; i++)
		if (watch->list[i].wd == wd)
			return &watch->list[i];
	return NULL;
}

static struct watch_entry *append(struct watch *watch, int wd)
{
	if (watch->n == watch->room) {
		size_t room = watch->room ? watch->room * 2 : 32;
		struct watch_entry *list = realloc(watch->list, room * sizeof(*list));

		if (!list)
			return NULL;
		watch->list = list;
		watch->room = room;
	}
	watch->list[watch->n] = (struct watch_entry){.wd = wd};
	return &watch->list[watch->n++];
}

/* One path; returns whether it is new. What does not exist is seen by the folder above it. */
static bool add(struct watch *watch, const char *path, bool direct, bool legacy)
{
	int wd = inotify_add_watch(watch->fd, path, direct ? DIRECT_MASK : ABOVE_MASK);
	struct watch_entry *entry;
	bool fresh;

	if (wd < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			watch->incomplete = true;
		return false;
	}
	entry = find(watch, wd);
	fresh = !entry;
	if (!entry)
		entry = append(watch, wd);
	if (!entry) {
		watch->incomplete = true;
		return false;
	}
	if (!entry->kept)
		entry->direct = entry->legacy = false;
	entry->kept = true;
	entry->direct |= direct;
	entry->legacy |= legacy;
	return fresh;
}

/* The folders above a path, up to the root. last: those of the path before, to skip repeats. */
static bool add_above(struct watch *watch, const char *path, char last[PATH_MAX])
{
	char folder[PATH_MAX];
	size_t len = strlen(path);
	bool fresh = false;
	char *slash;

	if (len >= sizeof(folder))
		return false;
	memcpy(folder, path, len + 1);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	if (strcmp(folder, last) == 0)
		return false;
	memcpy(last, folder, strlen(folder) + 1);
	while (folder[0]) {
		fresh |= add(watch, folder, false, false);
		slash = strrchr(folder, '/');
		if (!slash)
			break;
		*slash = 0;
	}
	return add(watch, "/", false, false) || fresh;
}

bool watch_set(struct watch *watch, const struct policy_inputs *inputs, const char *legacy)
{
	char last[PATH_MAX] = "";
	bool fresh = false;
	size_t i, kept = 0;

	watch->incomplete = false;
	for (i = 0; i < watch->n; i++)
		watch->list[i].kept = false;
	for (i = 0; i < inputs->n; i++) {
		const char *path = inputs->list[i].path;

		fresh |= add(watch, path, true, strcmp(path, legacy) == 0);
		fresh |= add_above(watch, path, last);
	}
	for (i = 0; i < watch->n; i++) {
		if (watch->list[i].kept)
			watch->list[kept++] = watch->list[i];
		else if (watch->list[i].wd != watch->facts_wd)
			(void)inotify_rm_watch(watch->fd, watch->list[i].wd);
	}
	watch->n = kept;
	return fresh;
}

int watch_facts(struct watch *watch, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char folder[PATH_MAX] = ".";

	if (strlen(name) >= sizeof(watch->facts_name) || strlen(path) >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (slash) {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash == path ? 1 : slash - path] = 0;
	}
	memcpy(watch->facts_name, name, strlen(name) + 1);
	watch->facts_wd = inotify_add_watch(watch->fd, folder, DIRECT_MASK);
	return watch->facts_wd < 0 ? -1 : 0;
}

static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash | 1U;
}

static void writing_ended(struct watch *watch, int wd, uint32_t name)
{
	size_t i, kept = 0;

	for (i = 0; i < watch->n_writing; i++)
		if (watch->writing[i].wd != wd || watch->writing[i].name != name)
			watch->writing[kept++] = watch->writing[i];
	watch->n_writing = kept;
}

static void writing_began(struct watch *watch, int wd, uint32_t name)
{
	writing_ended(watch, wd, name);
	if (watch->n_writing == WATCH_WRITING_MAX)
		watch->n_writing--;
	watch->writing[watch->n_writing].wd = wd;
	watch->writing[watch->n_writing].name = name;
	watch->writing[watch->n_writing++].deadline_ns =
	        loop_now_ns() + WATCH_WRITING_MS * 1000000ULL;
}

/* A name that the loader would read from a folder. */
static bool name_counts(const struct watch_entry *entry, const char *name)
{
	static const char suffix[] = ".policy";
	size_t len = strlen(name);

	if (name[0] == '.')
		return false;
	return entry->legacy || (len >= sizeof(suffix) - 1 &&
	                         strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0);
}

static unsigned int take_event(struct watch *watch, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";
	struct watch_entry *entry;
	unsigned int change = 0;
	uint32_t hash = name[0] ? hash_name(name) : 0;

	if (event->mask & IN_Q_OVERFLOW)
		return WATCH_TOUCHED | WATCH_FACTS;
	if (event->wd == watch->facts_wd && strcmp(name, watch->facts_name) == 0)
		change |= WATCH_FACTS;
	entry = find(watch, event->wd);
	if (!entry)
		return change;
	if (event->mask & IN_IGNORED)
		entry->wd = -1;
	if (event->mask &
	    (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_IGNORED))
		writing_ended(watch, event->wd, hash);
	if (!entry->direct)
		return change | WATCH_AROUND;
	if (event->mask & IN_MODIFY && (!name[0] || name_counts(entry, name)))
		writing_began(watch, event->wd, hash);
	return change | (name[0] && !name_counts(entry, name) ? WATCH_AROUND : WATCH_TOUCHED);
}

unsigned int watch_poll(struct watch *watch)
{
	char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	unsigned int change = 0;
	ssize_t n;

	while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
		size_t at = 0;

		while (at < (size_t)n) {
			const struct inotify_event *event = (const void *)(buffer + at);

			change |= take_event(watch, event);
			at += sizeof(*event) + event->len;
		}
	}
	return change;
}

bool watch_writing(struct watch *watch)
{
	uint64_t now = watch->n_writing ? loop_now_ns() : 0;
	size_t i, kept = 0;

	for (i = 0; i < watch->n_writing; i++)
		if (watch->writing[i].deadline_ns > now)
			watch->writing[kept++] = watch->writing[i];
	watch->n_writing = kept;
	return kept > 0;
}
