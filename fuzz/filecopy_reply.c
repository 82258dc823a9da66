/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer to the sender: believed only if it is the one; what is printed cannot drive a terminal. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "filecopy/reply.h"
#include "lib/base/check.h"
#include "lib/base/fd.h"
#include "proto/filecopy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CRC 0x12345678U

static int file_of(const uint8_t *data, size_t len)
{
	int fd = memfd_create("reply", MFD_CLOEXEC);

	CHECK(fd >= 0 && fd_write_all(fd, data, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void check_printed(int fd)
{
	char text[8192];
	ssize_t n;

	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	n = read(fd, text, sizeof(text));
	CHECK(n >= 0 && n < (ssize_t)sizeof(text));
	for (ssize_t i = 0; i < n; i++)
		CHECK((text[i] >= 0x20 && text[i] <= 0x7e) || text[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	OWNED_FD int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
	OWNED_FD int printed = memfd_create("stderr", MFD_CLOEXEC);
	OWNED_FD int in = -1;
	bool finished;
	bool believed;

	if (len == 0)
		return 0;
	finished = data[0] & 1;
	in = file_of(data + 1, len - 1);
	CHECK(saved >= 0 && printed >= 0 && dup2(printed, STDERR_FILENO) >= 0);
	believed = reply_read(in, "fuzz", finished, CRC);
	CHECK(dup2(saved, STDERR_FILENO) >= 0);
	if (believed) {
		static const uint8_t fine[FILECOPY_REPLY_LEN] = {[8] = 0x78, 0x56, 0x34, 0x12};

		/* Four bytes mean nothing; the rest is what a good answer has. */
		CHECK(finished && len > FILECOPY_REPLY_LEN);
		CHECK(memcmp(data + 1, fine, 4) == 0 && memcmp(data + 9, fine + 8, 8) == 0);
	}
	check_printed(printed);
	return 0;
}
