/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry-store after its start: SQLite in one directory, and the socket to the admin service. */
#include <fcntl.h>

#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "services/admin/rights.h"

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

int store_rights_drop(const char *dir)
{
	struct confine_path path = {.path = dir, .write = true};
	struct confine_rights rights = {
	        .name = "skerry-store",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .paths = &path,
	        .n_paths = 1,
	        .files_max = 64,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}
