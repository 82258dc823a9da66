/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel needs before and after everything else: mounts, modules, settings. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/init.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define MODULES         "/etc/skerry/modules"
#define MOUNTS_MAX      64
#define RUN_FOLDERS_MAX 32

static const struct {
	const char *type;
	const char *place;
	unsigned long flags;
	const char *data;
	bool wanted; /* where the kernel has it: no message if not */
} mounts[] = {
        {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible", false},
        {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
        {"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755", false},
        {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0600,ptmxmode=0666", false},
        {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=16m", false},
        {"tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64m", false},
        {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m", false},
        {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
};

/* After the modules: what xenfs shows, and what no later process is to change. */
static const struct {
	const char *path;
	const char *value;
} settings[] = {
        {"/proc/sys/kernel/kptr_restrict", "2"},
        {"/proc/sys/kernel/dmesg_restrict", "1"},
        {"/proc/sys/kernel/sysrq", "0"},
        {"/proc/sys/kernel/unprivileged_bpf_disabled", "2"},
        {"/proc/sys/kernel/yama/ptrace_scope", "3"},
        {"/proc/sys/kernel/kexec_load_disabled", "1"},
        {"/proc/sys/dev/tty/ldisc_autoload", "0"},
        {"/proc/sys/vm/unprivileged_userfaultfd", "0"},
        {"/proc/sys/fs/protected_symlinks", "1"},
        {"/proc/sys/fs/protected_hardlinks", "1"},
        {"/proc/sys/fs/protected_fifos", "2"},
        {"/proc/sys/fs/protected_regular", "2"},
        {"/proc/sys/fs/suid_dumpable", "0"},
        {"/proc/sys/kernel/modules_disabled", "1"},
};

/*
 * The kernel's first root cannot be left: pivot_root(2), with which confined processes get an empty
 * root, refuses it. The same tree once more, mounted over itself, can.
 */
static void leave_first_root(void)
{
	if (mount("/", "/run", NULL, MS_BIND, NULL) || chdir("/run") ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		LOG_ERRNO("a root that can be left");
}

/* What the image holds below /run, so that it is there again once /run is in memory. */
struct run_folders {
	size_t n;
	struct {
		char name[64];
		mode_t mode;
		gid_t group;
	} folders[RUN_FOLDERS_MAX];
};

static void remember_run(struct run_folders *run)
{
	DIR *dir = opendir("/run");
	struct dirent *entry;
	struct stat st;

	while (dir && run->n < RUN_FOLDERS_MAX && (entry = readdir(dir))) {
		if (*entry->d_name == '.' ||
		    strlen(entry->d_name) >= sizeof(run->folders[0].name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISDIR(st.st_mode))
			continue;
		(void)snprintf(run->folders[run->n].name, sizeof(run->folders[0].name), "%s",
		               entry->d_name);
		run->folders[run->n].group = st.st_gid;
		run->folders[run->n++].mode = st.st_mode & 07777;
	}
	if (dir)
		(void)closedir(dir);
}

static void restore_run(const struct run_folders *run)
{
	char path[80];

	for (size_t i = 0; i < run->n; i++) {
		(void)snprintf(path, sizeof(path), "/run/%s", run->folders[i].name);
		if (mkdir(path, 0700) || chown(path, 0, run->folders[i].group) ||
		    chmod(path, run->folders[i].mode))
			LOG_ERRNO("%s", path);
	}
}

static void mount_all(void)
{
	static struct run_folders run;

	leave_first_root();
	remember_run(&run);
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		(void)mkdir(mounts[i].place, 0755);
		if (mount(mounts[i].type, mounts[i].place, mounts[i].type, mounts[i].flags,
		          mounts[i].data) &&
		    errno != EBUSY && !mounts[i].wanted)
			LOG_ERRNO("mounting %s at %s", mounts[i].type, mounts[i].place);
	}
	restore_run(&run);
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		LOG_ERRNO("/dev/fd");
}

static void load_module(const char *line)
{
	char path[256];
	const char *options = strchr(line, ' ');
	size_t len = options ? (size_t)(options - line) : strlen(line);
	OWNED_FD int fd = -1;

	if (len == 0 || len >= sizeof(path))
		return;
	memcpy(path, line, len);
	path[len] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* ENODEV: a driver of what this machine does not have. */
	if (fd < 0 || (syscall(SYS_finit_module, fd, options ? options + 1 : "", 0) &&
	               errno != EEXIST && errno != ENODEV))
		LOG_ERRNO("kernel module %s", path);
}

void ground_load_modules(void)
{
	char line[512];
	FILE *file = fopen(MODULES, "re");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		load_module(line);
	}
	(void)fclose(file);
}

static void set(const char *path, const char *value)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A kernel without the thing has no file for it. */
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		LOG_ERRNO("%s", path);
}

void ground_prepare(void)
{
	mount_all();
	ground_load_modules();
	if (access("/sys/hypervisor/type", F_OK) == 0 && access("/proc/xen", F_OK) == 0 &&
	    mount("xenfs", "/proc/xen", "xenfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) &&
	    errno != EBUSY && errno != ENODEV)
		LOG_ERRNO("mounting xenfs");
	/* The last one closes the door behind the list of modules: only where there is a list. */
	for (size_t i = 0; i < ARRAY_LEN(settings) - (access(MODULES, F_OK) ? 1 : 0); i++)
		set(settings[i].path, settings[i].value);
}

void ground_release(void)
{
	static char places[MOUNTS_MAX][256];
	struct mntent *entry;
	FILE *file = setmntent("/proc/self/mounts", "re");
	size_t n = 0;

	sync();
	while (file && n < MOUNTS_MAX && (entry = getmntent(file))) {
		/* Only what holds data on a device; the rest goes with the memory. */
		if (strncmp(entry->mnt_fsname, "/dev/", 5) == 0)
			(void)snprintf(places[n++], sizeof(places[0]), "%s", entry->mnt_dir);
	}
	if (file)
		(void)endmntent(file);
	while (n-- > 0) {
		if (umount(places[n]) && mount(NULL, places[n], NULL, MS_REMOUNT | MS_RDONLY, NULL))
			LOG_ERRNO("unmounting %s", places[n]);
	}
	sync();
}
