/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/storage/rights.h"

#include <linux/capability.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "services/storage/device.h"

/*
 * A worker has the folders of the pools of its one request and its channel; no socket can be made, so
 * there is no network, and no program can be started. As root it keeps the capabilities that a tree
 * with files of several owners needs, which reach no further than those folders (Landlock).
 *
 * The service opens nothing that a message names: workers do. It cannot make itself smaller than what
 * its workers need to start, so its own filter is theirs and what starting a process takes.
 */
#define WORKER_MEMORY (512U << 20) /* names of files with several links, and buffers; chosen */
#define WORKER_FILES  1024U        /* two for each level of a tree; TREE_DEPTH_MAX */
#define SERVICE_FILES 1024U

#define CAP(n)        (1ULL << (n))
#define CAPABILITIES                                                                               \
	(CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_FOWNER) |     \
	 CAP(CAP_FSETID) | CAP(CAP_SETFCAP))

#define DISK_CALLS                                                                                 \
	{"openat2", "names below a pool; Landlock judges"},                                        \
	        {"openat", "one name in an open folder, or the pool; Landlock judges"},            \
	        {"newfstatat", "what a name is"}, {"fstat", "what a descriptor is"},               \
	        {"statx", "the same, other C libraries"}, {"fstatfs", "size of a pool"},           \
	        {"getdents64", "folders"}, {"lseek", "holes of a file; folders from the start"},   \
	        {"readlinkat", "links, as text"}, {"mkdirat", "folders"}, {"mkdir", "a new pool"}, \
	        {"mknodat", "FIFOs of a tree; Landlock allows no device"},                         \
	        {"symlinkat", "links of a tree, and states by name"},                              \
	        {"linkat", "revisions; files with several names"}, {"renameat", "commits"},        \
	        {"renameat2", "removal without replacing"}, {"unlinkat", "removal"},               \
	        {"ftruncate", "sizes"}, {"copy_file_range", "data"}, {"pread64", "data"},          \
	        {"pwrite64", "data"},                                                              \
	        {"ioctl", "shared blocks", 1, {{.arg = 1, .mask = ~0ULL, .value = FICLONE}}},      \
	        {"fchmod", "modes"}, {"fchmodat", "modes of what cannot be opened"},               \
	        {"fchown", "owners"}, {"fchownat", "owners of links"}, {"utimensat", "times"},     \
	        {"flistxattr", "attributes"}, {"fgetxattr", "attributes"},                         \
	        {"fsetxattr", "attributes"}, {"fsync", "to disk"}, {"syncfs", "a tree to disk"},   \
	        {"fcntl", "flags of folders that are listed"}, {"geteuid", "whether it is root"},  \
	        {"sendto", "answers"}, {"sendmsg", "an open file to the process for devices"},     \
	        {"clock_nanosleep", "until a backend has let a device go"},                        \
	{                                                                                          \
		"recvfrom", "requests"                                                             \
	}

static const struct confine_call worker_calls[] = {CONFINE_CALLS_BASE, DISK_CALLS};

static const struct confine_call service_calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        DISK_CALLS,
        {"recvmsg", "requests of the admin service"},
        {"clone", "workers"},
        {"clone3", "workers, other C libraries"},
        {"set_robust_list", "start of a worker"},
        {"rseq", "start of a worker"},
        {"socketpair", "the channel of a worker"},
        {"pidfd_open", "the end of a worker"},
        {"waitid", "the end of a worker"},
        {"wait4", "the end of a worker"},
        {"kill", "a request that is given up"},
        {"signalfd4", "signals, in the loop"},
        {"rt_sigaction", "a worker's signals"},
        {"setpriority", "a worker's priority"},
        {"ioprio_set", "a worker's priority"},
        /* What a worker does to confine itself. */
        {"prctl", "a worker's confinement"},
        {"capget", "a worker's confinement"},
        {"capset", "a worker's confinement"},
        {"setrlimit", "a worker's confinement"},
        {"prlimit64", "a worker's confinement"},
        {"close_range", "a worker's confinement"},
        {"landlock_create_ruleset", "a worker's confinement"},
        {"landlock_add_rule", "a worker's confinement"},
        {"landlock_restrict_self", "a worker's confinement"},
        {"seccomp", "a worker's confinement"},
        {"uname", "a worker's confinement: libseccomp"},
};

int service_confine(void)
{
	const struct confine_rights rights = {
	        .name = "skerry-storage",
	        .calls = service_calls,
	        .n_calls = ARRAY_LEN(service_calls),
	        .capabilities = CAPABILITIES,
	        .files_max = SERVICE_FILES,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	};

	return confine(&rights);
}

/* A pool that does not exist yet is made below the deepest folder that does. */
static void existing_part(char path[STORAGE_DIR_LEN])
{
	struct stat st;
	char *slash;

	while (stat(path, &st) && (slash = strrchr(path, '/')) && slash != path)
		*slash = '\0';
}

int worker_confine(const struct pool *pool, const struct pool *source, int channel, int devices)
{
	char dir[STORAGE_DIR_LEN];
	struct confine_path paths[3];
	const int fds[] = {0, 1, 2, channel, devices};
	struct confine_rights rights = {
	        .name = "skerry-storage-worker",
	        .calls = worker_calls,
	        .n_calls = ARRAY_LEN(worker_calls),
	        .paths = paths,
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .capabilities = CAPABILITIES,
	        .memory_max = WORKER_MEMORY,
	        .files_max = WORKER_FILES,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK,
	};

	if (pool->dir[0]) {
		memcpy(dir, pool->dir, sizeof(dir));
		existing_part(dir);
		paths[rights.n_paths++] = (struct confine_path){
		        .path = dir, .write = pool->driver != STORAGE_LINUX_KERNEL, .links = true};
	}
	if (source && source != pool && source->dir[0])
		paths[rights.n_paths++] = (struct confine_path){.path = source->dir};
	if (pool->driver == STORAGE_DIRECTORY)
		paths[rights.n_paths++] = (struct confine_path){.path = "/etc/skel"};
	return confine(&rights);
}

/*
 * The process for devices (device.h). It holds the authority over the kernel's mapped devices, which is
 * one over every disk, and nothing else: no path but those of devices, no ioctl but those that it needs,
 * no program, no socket but its pairs.
 */
#define IOCTL(number, why)                                                                         \
	{                                                                                          \
		"ioctl", why, 1,                                                                   \
		{                                                                                  \
			{                                                                          \
				.arg = 1, .mask = ~0ULL, .value = (number)                         \
			}                                                                          \
		}                                                                                  \
	}

static const struct confine_call device_calls[] = {
        CONFINE_CALLS_BASE,
        {"poll", "workers"},
        {"recvmsg", "questions, and the files that they are about"},
        {"sendto", "answers"},
        {"fstat", "which file it is"},
        {"newfstatat", "which file it is, other C libraries"},
        {"openat", "devices; Landlock judges"},
        {"getdents64", "which loop devices there are"},
        {"lseek", "a folder that is listed"},
        {"fcntl", "flags of a folder that is listed"},
        IOCTL(LOOP_CTL_GET_FREE, "a loop device that nobody uses"),
        IOCTL(LOOP_CONFIGURE, "a file becomes a device"),
        IOCTL(LOOP_GET_STATUS64, "which file a device shows"),
        IOCTL(LOOP_SET_CAPACITY, "a file became larger"),
        IOCTL(LOOP_CLR_FD, "a device goes"),
        IOCTL(BLKGETSIZE64, "how large a device is"),
        IOCTL(DM_DEV_CREATE, "mapped devices"),
        IOCTL(DM_TABLE_LOAD, "mapped devices"),
        IOCTL(DM_DEV_SUSPEND, "mapped devices"),
        IOCTL(DM_DEV_STATUS, "mapped devices"),
        IOCTL(DM_DEV_REMOVE, "mapped devices"),
        IOCTL(DM_TABLE_STATUS, "what a mapped device that is to grow stands on"),
};

int device_confine(void)
{
	static const struct confine_path paths[] = {{.path = "/dev", .write = true}};
	const struct confine_rights rights = {
	        .name = "skerry-storage-devices",
	        .calls = device_calls,
	        .n_calls = ARRAY_LEN(device_calls),
	        .paths = paths,
	        .n_paths = ARRAY_LEN(paths),
	        .capabilities = CAP(CAP_SYS_ADMIN),
	        .files_max = 256,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};

	return confine(&rights);
}
