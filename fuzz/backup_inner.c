/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tar with one member that a file of a backup is: read into memory, nothing beyond its size. */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "services/backup/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int in = -1, out = -1;
	struct stat st;
	uint64_t size;

	if (in < 0) {
		in = memfd_create("in", MFD_CLOEXEC);
		out = memfd_create("out", MFD_CLOEXEC);
		CHECK(in >= 0 && out >= 0);
	}
	CHECK(ftruncate(in, 0) == 0 && lseek(in, 0, SEEK_SET) == 0 && ftruncate(out, 0) == 0);
	CHECK(write(in, data, len) == (ssize_t)len && lseek(in, 0, SEEK_SET) == 0);
	if (inner_read(in, "vm7/private.img", out, 1 << 20, &size) == 0) {
		CHECK(size <= 1 << 20 && fstat(out, &st) == 0 && (uint64_t)st.st_size == size);
	}
	return 0;
}
