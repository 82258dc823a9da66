/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry-store after its start: SQLite in one directory, and the socket to the admin service. */
#include <fcntl.h>
#include <unistd.h>

#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "services/admin/rights.h"

#define MEMORY_MAX (512U << 20) /* SQLite's caches and one packet; chosen */
#define FILES_MAX  64U

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        {"poll", "the socket"},
        {"ppoll", "the socket, other C libraries"},
        {"recvfrom", "changes"},
        {"sendto", "what is durable"},
        {"open", "SQLite: its files, other C libraries"},
        {"openat", "SQLite: its files"},
        {"fstat", "SQLite"},
        {"stat", "SQLite"},
        {"lstat", "SQLite"},
        {"newfstatat", "SQLite"},
        {"statx", "SQLite, other C libraries"},
        {"access", "SQLite"},
        {"faccessat", "SQLite"},
        {"faccessat2", "SQLite"},
        {"fcntl", "SQLite: locks"},
        {"lseek", "SQLite"},
        {"pread64", "SQLite"},
        {"pwrite64", "SQLite"},
        {"ftruncate", "SQLite"},
        {"fallocate", "SQLite"},
        {"fsync", "SQLite"},
        {"fdatasync", "SQLite"},
        {"unlink", "SQLite: its journal"},
        {"rename", "a copy that is complete, a file that is damaged"},
        {"renameat", "the same, other C libraries"},
        {"renameat2", "the same, other C libraries"},
        {"fchmod", "SQLite: files as the database"},
        {"fchown", "SQLite: files as the database"},
        {"geteuid", "SQLite"},
        {"getcwd", "SQLite: full names"},
        {"readlink", "SQLite: full names"},
        {"gettimeofday", "SQLite"},
        {"clock_nanosleep", "SQLite: a lock that is held"},
        {"nanosleep", "SQLite: a lock that is held"},
        {"sysinfo", "SQLite"},
        {"uname", "SQLite"},
};

int store_rights_drop(const char *dir, int admin, int ready)
{
	struct confine_path path = {.path = dir, .write = true};
	const int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, admin, ready};
	struct confine_rights rights = {
	        .name = "skerry-store",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = &path,
	        .n_paths = 1,
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = MEMORY_MAX,
	        .files_max = FILES_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}
