/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/rights.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

/*
 * The deciding process after its start: no program, no new socket, no connection, no path for writing.
 * It accepts connections on four sockets and reads policy.
 */

#define WRITE_FLAGS (O_ACCMODE | O_CREAT | O_TRUNC)
#define FILES_MAX   4096U /* descriptors: clients of all sockets */

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"accept4", "connections to the policy sockets"},
        {"recvmsg", "a new helper's channel from the starter"},
        {"recvfrom", "questions as text; frames of the helpers"},
        {"sendto", "answers as text; frames to the helpers"},
        {"recvmmsg", "questions on kept connections"},
        {"sendmmsg", "answers on kept connections"},
        {"openat",
         "policy files, never for writing",
         1,
         {{.arg = 2, .mask = WRITE_FLAGS, .value = O_RDONLY}}},
        {"open",
         "policy files, other C libraries",
         1,
         {{.arg = 1, .mask = WRITE_FLAGS, .value = O_RDONLY}}},
        {"fstat", "policy files"},
        {"stat", "policy files"},
        {"lstat", "policy files, other C libraries"},
        {"newfstatat", "policy files"},
        {"statx", "policy files, other C libraries"},
        {"getdents64", "policy directories"},
        {"readlink", "paths of policy files without links"},
        {"readlinkat", "paths of policy files, other C libraries"},
        {"getcwd", "realpath()"},
        {"lseek", "stdio of policy files"},
        {"pread64", "policy files"},
        {"fcntl", "directory streams"},
        {"inotify_add_watch", "changes of the policy"},
        {"inotify_rm_watch", "changes of the policy"},
};

struct places {
	struct confine_path list[CONFINE_PATHS_MAX];
	size_t n;
	char text[CONFINE_PATHS_MAX][PATH_MAX];
};

static bool below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0 || len == 1);
}

/* The folder above a path becomes readable, unless it is already. */
static void add_above(struct places *places, const char *path)
{
	char *text, *slash;
	size_t i;

	for (i = 0; i < places->n; i++)
		if (below(path, places->list[i].path))
			return;
	if (places->n == CONFINE_PATHS_MAX || strlen(path) >= PATH_MAX) {
		LOG("policy is read from too many places: %s will not be readable", path);
		return;
	}
	text = places->text[places->n];
	memcpy(text, path, strlen(path) + 1);
	slash = strrchr(text, '/');
	if (slash)
		slash[slash == text] = 0;
	places->list[places->n++] = (struct confine_path){.path = text};
}

int rights_drop(const struct policy_place *place, const struct policy_inputs *inputs)
{
	static struct places places;
	struct confine_rights rights = {
	        .name = "skerry-policy",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};
	size_t i;

	for (i = 0; i < place->n_dirs; i++)
		add_above(&places, place->dirs[i]);
	add_above(&places, place->legacy_dir);
	for (i = 0; i < inputs->n; i++)
		add_above(&places, inputs->list[i].path);
	rights.paths = places.list;
	rights.n_paths = places.n;
	return confine(&rights);
}
