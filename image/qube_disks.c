/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-qube-disks - what a qube does with its own disks at each start, before everything else: xvdb,
 * the private volume, at /rw, with /home and /usr/local on it; xvdc, which is new at each start, as
 * swap. A private volume to which nothing was ever written gets a file system. In the qube, as root.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define PRIVATE  "/dev/xvdb"
#define VOLATILE "/dev/xvdc"
#define PAGE     4096U
#define HEAD     65536U /* bytes that say whether a volume is empty */

static bool blank(const char *device)
{
	static uint8_t bytes[HEAD];
	OWNED_FD int fd = open(device, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) &&
	       bytes[0] == 0 && memcmp(bytes, bytes + 1, sizeof(bytes) - 1) == 0;
}

static int format(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)execl("/sbin/mkfs.ext4", "mkfs.ext4", "-q", "-F", "-m", "0", "-L", "private",
		            "-O", "^metadata_csum_seed,^orphan_file", PRIVATE, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* A folder of the private volume in the place of the root's, which it began with. */
static void bind_folder(const char *from, const char *at)
{
	struct stat st;

	if (stat(at, &st))
		return;
	if ((mkdir(from, st.st_mode & 07777) == 0 && chown(from, st.st_uid, st.st_gid)) ||
	    mount(from, at, NULL, MS_BIND, NULL))
		LOG_ERRNO("%s", at);
}

static int mount_private(void)
{
	if (access(PRIVATE, F_OK))
		return 0;
	if (blank(PRIVATE)) {
		LOG(PRIVATE " is empty: it gets a file system");
		if (format()) {
			LOG("mkfs.ext4 " PRIVATE " failed");
			return -1;
		}
	}
	(void)mkdir("/rw", 0755);
	if (mount(PRIVATE, "/rw", "ext4", MS_NOATIME, "discard")) {
		LOG_ERRNO("mounting " PRIVATE);
		return -1;
	}
	(void)mkdir("/rw/config", 0755);
	bind_folder("/rw/home", "/home");
	bind_folder("/rw/usrlocal", "/usr/local");
	return 0;
}

/* A swap area's first page: version 1, the number of the last page, and the mark at its end. */
static void swap_on(void)
{
	static struct {
		uint8_t boot[1024];
		uint32_t version, last_page, bad_pages;
		uint8_t rest[PAGE - 1024 - 12 - 10];
		char mark[10];
	} page = {.version = 1, .mark = {'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2'}};
	uint64_t bytes = 0;
	OWNED_FD int fd = open(VOLATILE, O_RDWR | O_CLOEXEC);

	static_assert(sizeof(page) == PAGE, "a page");
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) || bytes < 16ULL * PAGE) {
		LOG_ERRNO(VOLATILE);
		return;
	}
	page.last_page = (uint32_t)MIN(bytes / PAGE - 1, (uint64_t)UINT32_MAX);
	if (pwrite(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page) || fsync(fd) ||
	    swapon(VOLATILE, SWAP_FLAG_DISCARD))
		LOG_ERRNO("swap on " VOLATILE);
}

int main(int argc, char **argv)
{
	(void)argv;
	log_init("skerry-qube-disks");
	if (argc > 1) {
		(void)fprintf(stderr, "usage: skerry-qube-disks\n");
		return 2;
	}
	swap_on();
	return mount_private() ? 1 : 0;
}
