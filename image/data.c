/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-data - dom0's disk: finds or makes the partition that holds its state, and mounts it. Started
 * once by process 1, before everything that keeps state; it ends when all is mounted.
 *
 *   partition "skerry-data" there --> opened, mounted
 *   partition "skerry-new" there  --> a first start was cut off: formatted again
 *   one disk to which nothing was ever written --> partitioned, formatted
 *   nothing of that               --> state is kept in memory, and a line says so
 *
 * A disk that holds anything else is never written to. The kernel's command line may say
 * skerry.data=vda (that disk and no other), skerry.data=none, and skerry.encrypt (a new partition gets
 * LUKS2, with a passphrase that is asked for on the console).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "image/data.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define PLACE      "/data"
#define MAPPED     "/dev/mapper/" DATA_NAME
#define WAIT_TRIES 30 /* for disks that the kernel still looks for; with the pause, 3 s; chosen */
#define FLAGS      (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME)

struct wish {
	char disk[NAME_MAX + 1]; /* "": any */
	bool none, encrypt;
};

static int run(const char *const args[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int console = open("/dev/console", O_RDWR | O_CLOEXEC);

		/* A passphrase is asked for where it can be typed. */
		if (console >= 0)
			(void)dup2(console, 0);
		(void)execv(args[0], (char *const *)(uintptr_t)args);
		LOG_ERRNO("%s", args[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		LOG_ERRNO("%s", args[0]);
		return -1;
	}
	if (status)
		LOG("%s ended with status %d", args[0],
		    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return status ? -1 : 0;
}

static void read_wish(struct wish *w)
{
	OWNED_FD int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	char text[4096], *at = text, *word;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	memset(w, 0, sizeof(*w));
	text[MAX(n, 0)] = '\0';
	while ((word = strsep(&at, " \n"))) {
		if (strcmp(word, "skerry.encrypt") == 0)
			w->encrypt = true;
		else if (strcmp(word, "skerry.data=none") == 0)
			w->none = true;
		else if (strncmp(word, "skerry.data=", 12) == 0)
			(void)snprintf(w->disk, sizeof(w->disk), "%.255s",
			               word + (strncmp(word + 12, "/dev/", 5) == 0 ? 17 : 12));
	}
}

static bool encrypted(const char *device)
{
	OWNED_FD int fd = open(device, O_RDONLY | O_CLOEXEC);
	char head[6];

	return fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
	       memcmp(head, "LUKS\xba\xbe", sizeof(head)) == 0;
}

/* What is mounted: the partition, or what cryptsetup makes of it. */
static int unlock(char device[PATH_MAX])
{
	const char *const args[] = {"/sbin/cryptsetup", "open", device, DATA_NAME, NULL};

	if (!encrypted(device))
		return 0;
	if (run(args)) {
		LOG("the passphrase of %s is not known: nothing can be started", device);
		return -1;
	}
	(void)snprintf(device, PATH_MAX, "%s", MAPPED);
	return 0;
}

static int format(char device[PATH_MAX], bool encrypt)
{
	const char *const lock[] = {"/sbin/cryptsetup", "luksFormat",          "--type", "luks2",
	                            "--batch-mode",     "--verify-passphrase", device,   NULL};
	const char *const make[] = {"/sbin/mkfs.xfs", "-q", "-f", "-L", DATA_NAME, device, NULL};

	if (encrypt && (run(lock) || unlock(device)))
		return -1;
	return run(make);
}

/* An empty disk, or one whose preparation was cut off, becomes the place of all state. */
static int prepare(const struct data_disks *d, const struct wish *w, const char *blank,
                   char device[PATH_MAX])
{
	char disk[NAME_MAX + 1], partition[NAME_MAX + 1];

	/* One that was cut off may have the partitions of an older image: from the beginning. */
	if (d->unfinished[0] ? data_disk_of(d->unfinished, disk)
	                     : snprintf(disk, sizeof(disk), "%s", blank) < 0)
		return -1;
	if (data_name(disk, DATA_NAME_NEW, true, partition))
		return -1;
	LOG("%s is prepared to keep all state", disk);
	(void)snprintf(device, PATH_MAX, "/dev/%s", partition);
	return format(device, w->encrypt) || data_name(disk, DATA_NAME, false, partition) ? -1 : 0;
}

/* 1: @device is to be mounted; 0: there is none; -1 after a log line. */
static int find(const struct wish *w, char device[PATH_MAX])
{
	const struct timespec pause = {.tv_nsec = 100000000};
	const char *blank = NULL;
	static struct data_disks d;

	for (int i = 0; i < WAIT_TRIES; i++) {
		data_look(&d, w->disk[0] ? w->disk : NULL);
		if (d.partition[0] || d.unfinished[0] || d.n_disks > 0)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (d.n_partitions > 1) {
		LOG("more than one partition is called " DATA_NAME
		    ": skerry.data=DISK on the kernel's command line says which counts");
		return -1;
	}
	if (d.partition[0]) {
		(void)snprintf(device, PATH_MAX, "/dev/%s", d.partition);
		return unlock(device) ? -1 : 1;
	}
	for (size_t i = 0; i < d.n_disks && !d.unfinished[0]; i++) {
		if (data_blank(d.disks[i]) <= 0)
			continue;
		if (blank) {
			LOG("more than one disk is empty: skerry.data=DISK on the kernel's command "
			    "line says which may be used");
			return 0;
		}
		blank = d.disks[i];
	}
	if (!blank && !d.unfinished[0])
		return 0;
	return prepare(&d, w, blank, device) ? -1 : 1;
}

/* The kernel replays what a power cut left in the journal; what it refuses is repaired once. */
static int mount_data(const char *device)
{
	const char *const repair[] = {"/sbin/xfs_repair", device, NULL};

	if (mount(device, PLACE, "xfs", FLAGS, NULL) == 0)
		return 0;
	LOG_ERRNO("mounting %s", device);
	if (errno != EUCLEAN && errno != EIO && errno != EINVAL)
		return -1;
	LOG("%s is checked and repaired", device);
	if (run(repair) == 0 && mount(device, PLACE, "xfs", FLAGS, NULL) == 0)
		return 0;
	LOG("%s cannot be mounted: nothing can be started", device);
	return -1;
}

/* A folder of the partition with the mode of the image's own, which it stands for from now on. */
static int make_folder(const char *path, const struct stat *like)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return -1;
	return chown(path, like->st_uid, like->st_gid) || chmod(path, like->st_mode & 07777) ? -1
	                                                                                     : 0;
}

/* Folders that programs expect in a place, with the modes that the image gives them. */
static int make_folders(const char *path, const char *like)
{
	DIR *dir = opendir(like);
	const struct dirent *e;
	static char from[PATH_MAX], to[PATH_MAX];
	struct stat st;
	int r = dir ? 0 : -1;

	while (r == 0 && (e = readdir(dir))) {
		(void)snprintf(from, sizeof(from), "%.2000s/%.255s", like, e->d_name);
		(void)snprintf(to, sizeof(to), "%.2000s/%.255s", path, e->d_name);
		if (*e->d_name != '.' && lstat(from, &st) == 0 && S_ISDIR(st.st_mode) &&
		    access(to, F_OK))
			r = make_folder(to, &st);
	}
	if (dir)
		(void)closedir(dir);
	return r;
}

static int place(const char *device, const char *name, const char *at, bool layered)
{
	static char from[PATH_MAX], work[PATH_MAX], options[3 * PATH_MAX];
	struct stat st;

	/* Not in this image: nothing there to keep. */
	if (stat(at, &st))
		return 0;
	(void)snprintf(from, sizeof(from), PLACE "/%s", name);
	(void)snprintf(work, sizeof(work), PLACE "/%s.work", name);
	if (make_folder(from, &st) || (layered && make_folder(work, &st)))
		return -1;
	if (!layered)
		return make_folders(from, at) || mount(from, at, NULL, MS_BIND, NULL) ? -1 : 0;
	(void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", at, from,
	               work);
	/* Named after the device, so that process 1 unmounts it in order. */
	return mount(device, at, "overlay", FLAGS, options);
}

static int place_all(const char *device)
{
	static const struct {
		const char *name, *at;
		bool layered; /* over what the image has: a newer image's files are seen where the
		                 user has none */
	} places[] = {{"qubes", "/var/lib/qubes", false},
	              {"skerry", "/var/lib/skerry", false},
	              {"log", "/var/log", false},
	              {"etc-qubes", "/etc/qubes", true},
	              {"etc-qubes-rpc", "/etc/qubes-rpc", true}};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (place(device, places[i].name, places[i].at, places[i].layered)) {
			LOG_ERRNO("%s cannot be kept on %s", places[i].at, device);
			return -1;
		}
	}
	return 0;
}

/* The slot that GRUB started this image from says so on the command line. */
static int say_running(void)
{
	OWNED_FD int in = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	OWNED_FD int out = -1;
	char text[4096], *at;
	ssize_t n = in < 0 ? 0 : read(in, text, sizeof(text) - 1);

	text[MAX(n, 0)] = '\0';
	at = strstr(text, "skerry.slot=");
	if (!at || (at[12] != 'a' && at[12] != 'b'))
		return 0;
	out = open(DATA_SLOTS_PLACE "/running", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return out < 0 ? -1 : fd_write_all(out, at + 12, 1);
}

/* Links to the partitions for images of dom0, if this disk has them, for who reads and writes those. */
static int show_slots(const struct wish *w)
{
	static const char *const names[DATA_SLOTS] = {"a", "b", "state"};
	static struct data_disks d;
	char disk[NAME_MAX + 1], from[PATH_MAX], to[PATH_MAX];

	data_look(&d, w->disk[0] ? w->disk : NULL);
	/* The kernel knows the first name of one that was made just now. */
	if (data_disk_of(d.partition[0] ? d.partition : d.unfinished, disk))
		return -1;
	data_look(&d, disk);
	for (size_t i = 0; i < DATA_SLOTS; i++) {
		if (!d.slots[i][0])
			return 0;
	}
	if (mkdir(DATA_SLOTS_PLACE, 0755) && errno != EEXIST)
		return -1;
	for (size_t i = 0; i < DATA_SLOTS; i++) {
		(void)snprintf(from, sizeof(from), "/dev/%s", d.slots[i]);
		(void)snprintf(to, sizeof(to), DATA_SLOTS_PLACE "/%s", names[i]);
		if (symlink(from, to) && errno != EEXIST)
			return -1;
	}
	return say_running();
}

int main(int argc, char **argv)
{
	char device[PATH_MAX];
	struct wish w;
	int r;

	(void)argv;
	log_init("skerry-data");
	if (argc > 1) {
		(void)fprintf(stderr, "usage: skerry-data\n");
		return 2;
	}
	read_wish(&w);
	r = w.none ? 0 : find(&w, device);
	if (r == 0)
		LOG("no partition " DATA_NAME " and no empty disk: what changes is kept in memory "
		    "and lost at the end");
	if (r <= 0)
		return r == 0 ? 0 : 1;
	(void)mkdir(PLACE, 0755);
	if (mount_data(device) || place_all(device))
		return 1;
	/* Without them dom0 is what it is, and cannot be replaced. */
	if (show_slots(&w))
		LOG_ERRNO("the slots for images of dom0 are not to be had");
	return 0;
}
