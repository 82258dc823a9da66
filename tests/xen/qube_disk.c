/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In a test's qube: a socket service that reads and writes its files, and looks at its disks. One
 * request a connection: write PATH TEXT, read PATH, size DEVICE, grow DEVICE.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define SOCKET "/run/test.Disk"

static int put(const char *path, const char *text)
{
	OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 || fd_write_all(fd, text, strlen(text)) || fsync(fd) ? -1 : 0;
}

static ssize_t get(const char *path, char *text, size_t max)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : read(fd, text, max);
}

static uint64_t size_of(const char *device)
{
	OWNED_FD int fd = open(device, O_RDONLY | O_CLOEXEC);
	uint64_t bytes = 0;
	char block[512];

	/* dom0 tells of a new size with the next answer. */
	if (fd < 0 || pread(fd, block, sizeof(block), 0) < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		return 0;
	return bytes;
}

static int grow(const char *device)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)execl("/sbin/resize2fs", "resize2fs", device, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void answer(int fd, char *request)
{
	char *verb = strsep(&request, " "), *path = strsep(&request, " "), text[256] = "no";
	struct statvfs v;
	ssize_t n = 2;

	if (!path)
		return;
	if (strcmp(verb, "write") == 0 && request && put(path, request) == 0)
		n = snprintf(text, sizeof(text), "ok");
	else if (strcmp(verb, "read") == 0)
		n = get(path, text, sizeof(text));
	else if (strcmp(verb, "size") == 0)
		n = snprintf(text, sizeof(text), "%llu", (unsigned long long)size_of(path));
	else if (strcmp(verb, "grow") == 0 && grow(path) == 0 && statvfs("/rw", &v) == 0)
		n = snprintf(text, sizeof(text), "%llu",
		             (unsigned long long)v.f_blocks * v.f_frsize);
	if (n > 0 && fd_write_all(fd, text, (size_t)n))
		perror("answer");
}

int main(void)
{
	int listener = fd_listen_unix(SOCKET, SOCK_STREAM, 0600, 16);

	for (;;) {
		OWNED_FD int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		char bytes[1024], *text = NULL;
		size_t len = 0;
		ssize_t n;

		if (fd < 0)
			return 1;
		while (len < sizeof(bytes) - 1 &&
		       (n = read(fd, bytes + len, sizeof(bytes) - 1 - len)) > 0)
			len += (size_t)n;
		bytes[len] = '\0';
		/* What comes after the call's own text. */
		text = memchr(bytes, '\0', len);
		if (text)
			answer(fd, text + 1);
	}
}
