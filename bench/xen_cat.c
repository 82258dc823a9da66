/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-bench-cat FILE: what it holds. dom0's image has no program for that; bench/xen-system adds this one. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/fd.h"

int main(int argc, char **argv)
{
	OWNED_FD int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	char bytes[4096];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		if (fd_write_all(1, bytes, (size_t)n))
			return 1;
	if (n < 0)
		perror(argc == 2 ? argv[1] : "usage: xen-bench-cat FILE");
	return n < 0;
}
