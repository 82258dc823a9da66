/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/ports_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define MAGIC 0x31505153U /* "SQP1" */

static void empty(struct ports_file *file, uint32_t own)
{
	memset(file, 0, sizeof(*file));
	for (unsigned int i = 0; i < PORTS_FILE_ROWS; i++)
		file->rows[i].domain = PORTS_NO_DOMAIN;
	file->own = own;
	file->magic = MAGIC;
}

int ports_file_open(const char *path, uint32_t own, struct ports_file **ret_file)
{
	OWNED_FD int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct ports_file *file;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	/* All of it has its memory now: writing into the map later cannot find a full file system. */
	errno = posix_fallocate(fd, 0, (off_t)sizeof(*file));
	if (errno)
		return -1;
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return -1;
	if (st.st_size != (off_t)sizeof(*file) || file->magic != MAGIC || file->own != own)
		empty(file, own);
	*ret_file = file;
	return 0;
}

void ports_file_close(struct ports_file *file)
{
	if (file)
		(void)munmap(file, sizeof(*file));
}

struct ports_row *ports_file_row(struct ports_file *file, uint32_t domain)
{
	struct ports_row *unused = NULL;

	for (unsigned int i = 0; i < PORTS_FILE_ROWS; i++) {
		struct ports_row *row = &file->rows[i];

		if (row->domain == domain)
			return row;
		if (!unused && row->domain == PORTS_NO_DOMAIN)
			unused = row;
	}
	if (unused) {
		memset(unused->ports, 0, sizeof(unused->ports));
		unused->domain = domain;
	}
	return unused;
}
