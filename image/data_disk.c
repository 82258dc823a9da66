/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks and partitions, as the kernel lists them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "image/data.h"
#include "image/gpt.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define BLOCK      "/sys/class/block"
#define EDGE       (1U << 20) /* bytes at both ends of a disk that say whether it is empty */
#define NODE_TRIES 200 /* until the kernel has made a partition's node; with the pause, 2 s */

static ssize_t read_text(const char *name, const char *file, char *text, size_t max)
{
	char path[PATH_MAX];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), BLOCK "/%s/%s", name, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, max - 1);
	text[n < 0 ? 0 : n] = '\0';
	return n;
}

static bool is_zero(const char *name, const char *file)
{
	char text[32];

	return read_text(name, file, text, sizeof(text)) > 0 && strcmp(text, "0\n") == 0;
}

/* A disk of the machine, and not one that is made of files or memory. */
static bool is_disk(const char *name, const char *uevent)
{
	static const char *const others[] = {"loop", "ram", "dm-", "zram", "sr", "fd", "nbd", "md"};

	if (!strstr(uevent, "DEVTYPE=disk\n") || !is_zero(name, "removable") ||
	    !is_zero(name, "ro") || is_zero(name, "size"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	}
	return true;
}

static bool of_disk(const char *name, const char *disk)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), BLOCK "/%s/%s", disk, name);
	return strcmp(name, disk) == 0 || access(path, F_OK) == 0;
}

static void look_for_slot(struct data_disks *d, const char *name, const char *uevent)
{
	static const char *const lines[DATA_SLOTS] = {"PARTNAME=" GPT_SLOT_A "\n",
	                                              "PARTNAME=" GPT_SLOT_B "\n",
	                                              "PARTNAME=" GPT_STATE "\n"};

	for (size_t i = 0; i < DATA_SLOTS; i++) {
		if (strstr(uevent, lines[i]))
			(void)snprintf(d->slots[i], sizeof(d->slots[i]), "%s", name);
	}
}

static void look_at(struct data_disks *d, const char *name)
{
	char uevent[1024];

	if (read_text(name, "uevent", uevent, sizeof(uevent)) < 0)
		return;
	look_for_slot(d, name, uevent);
	if (strstr(uevent, "PARTNAME=" DATA_NAME "\n")) {
		(void)snprintf(d->partition, sizeof(d->partition), "%s", name);
		d->n_partitions++;
	} else if (strstr(uevent, "PARTNAME=" DATA_NAME_NEW "\n")) {
		(void)snprintf(d->unfinished, sizeof(d->unfinished), "%s", name);
	} else if (is_disk(name, uevent) && d->n_disks < DATA_DISKS_MAX) {
		(void)snprintf(d->disks[d->n_disks++], sizeof(d->disks[0]), "%s", name);
	}
}

void data_look(struct data_disks *d, const char *only)
{
	DIR *dir = opendir(BLOCK);
	const struct dirent *e;

	memset(d, 0, sizeof(*d));
	while (dir && (e = readdir(dir))) {
		if (*e->d_name != '.' && (!only || of_disk(e->d_name, only)))
			look_at(d, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
}

static int open_disk(const char *name, int flags, uint64_t *ret_bytes)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, BLKGETSIZE64, ret_bytes) == 0)
		return fd;
	LOG_ERRNO("%s", path);
	return fd_close(fd);
}

static int zeros(int fd, uint64_t at)
{
	static uint8_t bytes[EDGE];
	ssize_t n = pread(fd, bytes, sizeof(bytes), (off_t)at);

	if (n != (ssize_t)sizeof(bytes))
		return -1;
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, sizeof(bytes) - 1) == 0;
}

int data_blank(const char *disk)
{
	uint64_t bytes = 0;
	OWNED_FD int fd = open_disk(disk, O_RDONLY, &bytes);
	int r = fd < 0 || bytes < 2 * EDGE ? -1 : zeros(fd, 0);

	return r > 0 ? zeros(fd, bytes - EDGE) : r;
}

static int wait_partition(const char *disk, char ret_partition[NAME_MAX + 1])
{
	const struct timespec pause = {.tv_nsec = 10000000};
	size_t len = strlen(disk);
	bool digit = len > 0 && disk[len - 1] >= '0' && disk[len - 1] <= '9';
	char path[PATH_MAX];

	(void)snprintf(ret_partition, NAME_MAX + 1, "%.200s%s1", disk, digit ? "p" : "");
	(void)snprintf(path, sizeof(path), "/dev/%s", ret_partition);
	for (int i = 0; i < NODE_TRIES; i++) {
		if (access(path, F_OK) == 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	LOG("%s does not appear", path);
	return -1;
}

int data_name(const char *disk, const char *name, bool fresh, char ret_partition[NAME_MAX + 1])
{
	uint64_t bytes = 0;
	OWNED_FD int fd = open_disk(disk, O_RDWR, &bytes);
	uint8_t id[32];
	int sector;

	if (fd < 0)
		return -1;
	if (ioctl(fd, BLKSSZGET, &sector) ||
	    (fresh ? getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id)
	           : gpt_identity(fd, (uint32_t)sector, id) != 0) ||
	    gpt_write(fd, bytes, (uint32_t)sector, id, name)) {
		LOG_ERRNO("the partition table of %s", disk);
		return -1;
	}
	if (!fresh)
		return 0;
	if (ioctl(fd, BLKRRPART)) {
		LOG_ERRNO("the kernel does not take the partition table of %s", disk);
		return -1;
	}
	return wait_partition(disk, ret_partition);
}

int data_disk_of(const char *partition, char ret_disk[NAME_MAX + 1])
{
	char path[PATH_MAX], *real, *slash;

	(void)snprintf(path, sizeof(path), BLOCK "/%s/..", partition);
	real = realpath(path, NULL);
	slash = real ? strrchr(real, '/') : NULL;
	if (!slash)
		LOG_ERRNO("%s", path);
	else
		(void)snprintf(ret_disk, NAME_MAX + 1, "%s", slash + 1);
	free(real);
	return slash ? 0 : -1;
}
