/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An archive unpacked into an empty folder of a file system in memory: nothing beside it may change. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "services/storage/disk.h"
#include "services/storage/tar_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int outer = -1, input = -1;

static int count(void *arg, int dir, const char *name)
{
	(void)dir;
	(void)name;
	(*(int *)arg)++;
	return 0;
}

static void prepare(void)
{
	char dir[] = "/dev/shm/fuzz-tar-XXXXXX";

	if (outer >= 0)
		return;
	CHECK(mkdtemp(dir));
	outer = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	input = memfd_create("archive", MFD_CLOEXEC);
	CHECK(outer >= 0 && input >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tar_fault fault;
	int n = 0, top;

	prepare();
	CHECK(mkdirat(outer, "top", 0700) == 0);
	top = openat(outer, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(top >= 0 && ftruncate(input, 0) == 0 && lseek(input, 0, SEEK_SET) == 0);
	CHECK(write(input, data, len) == (ssize_t)len && lseek(input, 0, SEEK_SET) == 0);
	(void)tar_unpack(input, top, 0, &fault, NULL, NULL);
	CHECK(memchr(fault.text, 0, sizeof(fault.text)));
	(void)close(top);
	CHECK(disk_each(outer, count, &n) == 0 && n == 1);
	CHECK(disk_remove_all(outer, "top") == 0);
	return 0;
}
