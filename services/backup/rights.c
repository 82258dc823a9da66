/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two confined processes of a backup keep. Neither can make a socket, so there is no network
 * and no way to another process but the connection that it was started with.
 */
#include <asm/termbits.h>
#include <asm/ioctls.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "services/backup/service.h"

#define READER_MEMORY (64U << 20)
#define MAKER_MEMORY  (4ULL << 30) /* scrypt takes what it is allowed; chosen */
#define FILES         256U         /* one for each level of a tree */

static const struct confine_call reader_calls[] = {
        CONFINE_CALLS_BASE,
        {"openat", "the profile; Landlock judges"},
        {"fstat", "whether it is a file"},
        {"newfstatat", "the same, other C libraries"},
        {"sendmsg", "the answer"},
};

/* Of the maker, which reads volumes, and of scrypt and gzip, which it starts with the same rights. */
static const struct confine_call maker_calls[] = {
        CONFINE_CALLS_BASE,
        {"mmap",
         "code of the programs and their libraries: from files, and not to be written",
         2,
         {{.arg = 2, .mask = PROT_WRITE, .value = 0},
          {.arg = 3, .mask = MAP_ANONYMOUS, .value = 0}}},
        {"sendmsg", "what it wants next, how far it is"},
        {"recvmsg", "what is to be saved"},
        {"openat", "volumes, one name in an open folder; libraries; Landlock judges"},
        {"fstat", "sizes"},
        {"newfstatat", "what a name is"},
        {"statx", "the same, other C libraries"},
        {"getdents64", "folders"},
        {"lseek", "holes"},
        {"pread64", "data at its place; libraries"},
        {"pwrite64", "files in memory"},
        {"readlinkat", "links, as text"},
        {"flistxattr", "attributes"},
        {"fgetxattr", "attributes"},
        {"fcntl", "descriptors of a program"},
        {"ftruncate", "files in memory"},
        {"memfd_create", "parts of the archive"},
        {"pipe2", "to a program"},
        {"clone", "programs"},
        {"clone3", "programs, other C libraries"},
        {"vfork", "programs, other C libraries"},
        {"execve", "scrypt, gzip; Landlock judges"},
        {"wait4", "their end"},
        {"waitid", "their end"},
        {"dup2", "their descriptors"},
        {"dup3", "their descriptors"},
        {"rt_sigaction", "their signals"},
        {"access", "the dynamic linker"},
        {"faccessat", "the dynamic linker, other architectures"},
        {"arch_prctl", "start of a program"},
        {"set_tid_address", "start of a program"},
        {"set_robust_list", "start of a program"},
        {"rseq", "start of a program"},
        {"prlimit64",
         "scrypt: how much memory there is; nothing is set",
         1,
         {{.arg = 2, .mask = ~0ULL, .value = 0}}},
        {"getrlimit", "scrypt: how much memory there is"},
        {"sysinfo", "scrypt: how much memory there is"},
        {"clock_getres", "scrypt: how fast it is"},
        {"mlock", "scrypt: its key is not to be paged out"},
        {"munlock", "scrypt"},
        {"ioctl",
         "whether that is a terminal: none is",
         1,
         {{.arg = 1, .mask = ~0ULL, .value = TCGETS}}},
        {"uname", "the dynamic linker, other C libraries"},
        {"readlink", "the dynamic linker, other C libraries"},
        {"geteuid", "gzip, other versions"},
        {"fadvise64", "gzip, other versions"},
        {"sigaltstack", "gzip, other versions"},
};

int reader_confine(int conn)
{
	static char folder[PATH_MAX];
	const struct confine_path paths[] = {{.path = folder}};
	const int fds[] = {0, 1, 2, conn};
	const struct confine_rights rights = {
	        .name = "skerry-backup-reader",
	        .calls = reader_calls,
	        .n_calls = ARRAY_LEN(reader_calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .memory_max = READER_MEMORY,
	        .files_max = FILES,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (path_make(folder, sizeof(folder), "/etc/qubes/backup", NULL))
		return -1;
	return confine(&rights);
}

/* What scrypt and gzip are made of, and the volumes. */
int maker_confine(int conn, int out, const struct backup_message *m)
{
	static const struct confine_path fixed[] = {
	        {.path = "/usr/bin/scrypt", .run = true},
	        {.path = "/usr/bin/gzip", .run = true},
	        {.path = "/lib64/ld-linux-x86-64.so.2", .run = true},
	        {.path = "/lib/ld-linux-aarch64.so.1", .run = true},
	        {.path = "/usr/lib"},
	        {.path = "/lib"},
	        {.path = "/etc/ld.so.cache"},
	        {.path = "/dev/urandom"},
	        /* scrypt is given its passphrase at /dev/fd/3. */
	        {.path = "/proc/self/fd"},
	};
	struct confine_path paths[ARRAY_LEN(fixed) + BACKUP_DIRS_MAX];
	const int fds[] = {0, 1, 2, conn, out};
	struct confine_rights rights = {
	        .name = "skerry-backup-maker",
	        .calls = maker_calls,
	        .n_calls = ARRAY_LEN(maker_calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(fixed),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        /* Files of a qube's own user, where this is root; reading only. */
	        .capabilities = 1ULL << CAP_DAC_READ_SEARCH,
	        .memory_max = MAKER_MEMORY,
	        .files_max = FILES,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};

	memcpy(paths, fixed, sizeof(fixed));
	for (size_t i = 0; i < m->n_dirs; i++)
		paths[rights.n_paths++] = (struct confine_path){.path = m->dirs[i]};
	return confine(&rights);
}
