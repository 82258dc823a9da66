/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loop devices. See device.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/device.h"

#define TRIES 64 /* another process may take a free device first; chosen */

static int open_loop(uint32_t number, int flags)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/dev/loop%u", number);
	return open(path, flags | O_CLOEXEC);
}

static bool shows(int loop, const struct stat *image)
{
	struct loop_info64 info;

	return ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == image->st_dev &&
	       info.lo_inode == image->st_ino;
}

static int number_of(const char *name, uint32_t *ret_number)
{
	char end;

	return sscanf(name, "loop%u%c", ret_number, &end) == 1 ? 0 : -1;
}

/* The device of an image, open; -1 with errno ENODEV: none. */
static int find(int image, uint32_t *ret_number)
{
	struct stat st;
	DIR *devices;
	struct dirent *e;
	int fd = -1;

	if (fstat(image, &st))
		return -1;
	devices = opendir("/dev");
	if (!devices)
		return -1;
	while (fd < 0 && (e = readdir(devices))) {
		if (number_of(e->d_name, ret_number))
			continue;
		fd = open_loop(*ret_number, O_RDONLY);
		if (fd >= 0 && !shows(fd, &st))
			fd = fd_close(fd);
	}
	(void)closedir(devices);
	if (fd < 0)
		errno = ENODEV;
	return fd;
}

int loop_find(int image, uint32_t *ret_number)
{
	OWNED_FD int fd = find(image, ret_number);

	if (fd >= 0)
		return 1;
	return errno == ENODEV ? 0 : -1;
}

/* Qubes' writes bypass dom0's memory where the file system can: it would hold them twice. */
static int configure(int loop, int image, bool read_only, bool transient)
{
	struct loop_config config = {.fd = (uint32_t)image};

	config.info.lo_flags = (read_only ? LO_FLAGS_READ_ONLY : LO_FLAGS_DIRECT_IO) |
	                       (transient ? LO_FLAGS_AUTOCLEAR : 0U);
	if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
		return 0;
	config.info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
	return errno == EINVAL ? ioctl(loop, LOOP_CONFIGURE, &config) : -1;
}

int loop_attach(int image, bool read_only, bool transient, uint32_t *ret_number, int *ret_fd)
{
	OWNED_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	*ret_fd = -1;
	if (control < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		OWNED_FD int loop =
		        number < 0 ? -1
		                   : open_loop((uint32_t)number, read_only ? O_RDONLY : O_RDWR);

		if (loop < 0)
			return -1;
		if (configure(loop, image, read_only, transient) == 0) {
			*ret_number = (uint32_t)number;
			*ret_fd = fd_take(&loop);
			return 0;
		}
		if (errno != EBUSY)
			return -1;
	}
	return -1;
}

/* A device that is still open goes with its last user: it is looked whether it did. */
int loop_detach(int image)
{
	uint32_t number;
	int loop = find(image, &number);

	if (loop < 0)
		return errno == ENODEV ? 0 : -1;
	if (ioctl(loop, LOOP_CLR_FD, 0) && errno != ENXIO) {
		fd_close(loop);
		return -1;
	}
	fd_close(loop);
	loop = find(image, &number);
	if (loop < 0)
		return errno == ENODEV ? 0 : -1;
	fd_close(loop);
	errno = EBUSY;
	return -1;
}

int loop_grow(uint32_t number)
{
	OWNED_FD int loop = open_loop(number, O_RDWR);

	return loop < 0 ? -1 : ioctl(loop, LOOP_SET_CAPACITY, 0);
}

int loop_resize(int image)
{
	uint32_t number;
	OWNED_FD int found = find(image, &number);

	if (found < 0)
		return errno == ENODEV ? 0 : -1;
	return loop_grow(number);
}
