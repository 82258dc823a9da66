/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/rights.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"

/*
 * What the helpers of the policy service keep. The recorder: its channel, and the folder of the log,
 * for rotation renames and makes files there. The facts helper: its channel, connections to Unix
 * sockets, and with --system-info that one file. The prompter starts qrexec-client, which inherits
 * what is taken away: programs of the system may be run, channels be made, and no other file is read
 * or written; a list of system calls would have to be that of every program, so it has none.
 */

#define WRITE_FLAGS  (O_ACCMODE | O_CREAT | O_TRUNC)
#define HELPER_FILES 64U
#define FACTS_MEMORY (256U << 20) /* a description of 16 MiB, parsed; chosen */
#define LOG_MEMORY   (64U << 20)  /* chosen */
#define PROMPT_FILES 2048U        /* JOBS_MAX prompts, each with a process; chosen */

static const struct confine_call recorder_calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"recvfrom", "records"},
        {"sendto", "confirmations"},
        {"openat", "the log, for Landlock to judge"},
        {"open", "the log, other C libraries"},
        {"fstat", "size of the log"},
        {"stat", "whether the log was rotated"},
        {"newfstatat", "size of the log, whether it was rotated"},
        {"statx", "the same, other C libraries"},
        {"pread64", "last line of the log"},
        {"flock", "one recorder at a time"},
        {"ftruncate", "a last line that a crash cut"},
        {"fdatasync", "records to disk"},
        {"rename", "rotation"},
        {"renameat", "rotation, other C libraries"},
        {"fcntl", "what open() does for close-on-exec, other C libraries"},
};

static const struct confine_call facts_calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"recvfrom", "requests of the service"},
        {"sendto", "the table; questions to the admin service"},
        {"socket",
         "connections to the admin service: Unix sockets only",
         1,
         {{.arg = 0, .mask = ~0ULL, .value = AF_UNIX}}},
        {"connect", "the admin service"},
        {"shutdown", "end of a question"},
        {"openat",
         "the file of --system-info, the folder of a long socket path; never for writing",
         1,
         {{.arg = 2, .mask = WRITE_FLAGS, .value = O_RDONLY}}},
        {"open",
         "the same, other C libraries",
         1,
         {{.arg = 1, .mask = WRITE_FLAGS, .value = O_RDONLY}}},
};

/* The folder that a file stands in. */
static const char *folder_of(char folder[PATH_MAX], const char *path)
{
	char *slash;

	if (strlen(path) >= PATH_MAX)
		return NULL;
	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	if (!slash)
		return NULL;
	slash[slash == folder] = 0;
	return folder;
}

int recorder_confine(const char *path)
{
	char folder[PATH_MAX];
	struct confine_path log = {.path = path ? folder_of(folder, path) : NULL, .write = true};
	const struct confine_rights rights = {
	        .name = "skerry-policy-recorder",
	        .calls = recorder_calls,
	        .n_calls = ARRAY_LEN(recorder_calls),
	        .paths = &log,
	        .n_paths = log.path ? 1 : 0,
	        .files_max = HELPER_FILES,
	        .memory_max = LOG_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}

int facts_confine(const char *file)
{
	char folder[PATH_MAX];
	/* The folder, for the file is replaced by renaming. */
	const struct confine_path info = {.path = file ? folder_of(folder, file) : NULL};
	const struct confine_rights rights = {
	        .name = "skerry-policy-facts",
	        .calls = facts_calls,
	        .n_calls = ARRAY_LEN(facts_calls),
	        .paths = &info,
	        .n_paths = info.path ? 1 : 0,
	        .files_max = HELPER_FILES,
	        .memory_max = FACTS_MEMORY,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}

/* Where qrexec-client makes its end of a channel; "" if it has none on this ground. */
static const char *channel_folder(char folder[PATH_MAX])
{
	const char *given = getenv("VCHAN_SOCKET_DIR");

	if (given && *given)
		return given;
	return path_make(folder, PATH_MAX, "/var/run/vchan", NULL) ? "" : folder;
}

int prompter_confine(const char *client)
{
	char folder[PATH_MAX];
	struct confine_path paths[] = {
	        {.path = "/usr", .run = true},
	        {.path = "/bin", .run = true},
	        {.path = "/lib", .run = true},
	        {.path = "/lib64", .run = true},
	        {.path = "/dev/null", .write = true},
	        {.path = "/dev/xen", .write = true},
	        {.path = channel_folder(folder), .write = true},
	        {.path = client ? client : "", .run = true},
	};
	const struct confine_rights rights = {
	        .name = "skerry-policy-prompter",
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .files_max = PROMPT_FILES,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}
