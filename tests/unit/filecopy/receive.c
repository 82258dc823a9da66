/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a file would not arrive on a kernel or a file system other than the one
 * that the recorded cases are replayed on: unnamed files linked by /proc, and none at all.
 */
#include "filecopy/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/crc/crc32.h"
#include "proto/filecopy.h"
#include "tests/unit/unit.h"

static const char content[] = "what is in the file\n";

static size_t make_stream(uint8_t *out, const char *name, uint32_t mode)
{
	const struct filecopy_header header = {
	        .name_len = (uint32_t)strlen(name) + 1,
	        .mode = mode,
	        .size = sizeof(content) - 1,
	        .mtime = 1700000000,
	        .mtime_nsec = 5,
	};
	size_t len = FILECOPY_HEADER_LEN;

	filecopy_header_encode(&header, out);
	memcpy(out + len, name, header.name_len);
	len += header.name_len;
	memcpy(out + len, content, header.size);
	len += header.size;
	memset(out + len, 0, FILECOPY_HEADER_LEN);
	return len + FILECOPY_HEADER_LEN;
}

static void receive_one(bool by_proc, bool no_temp)
{
	char path[] = "/tmp/skreceiveXXXXXX";
	uint8_t stream[256];
	uint8_t reply[64];
	size_t len = make_stream(stream, "f", S_IFREG | 0640);
	struct receive_config config = {
	        .mode_mask = 07777, .no_temp = no_temp, .by_proc = by_proc, .proc_fd = -1};
	struct stat st;
	uint32_t error;
	uint64_t crc;

	assert_non_null(mkdtemp(path));
	config.top_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	config.in_fd = memfd_create("stream", MFD_CLOEXEC);
	config.out_fd = memfd_create("reply", MFD_CLOEXEC);
	if (by_proc || receive_needs_proc(config.top_fd))
		config.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fd_write_all(config.in_fd, stream, len), 0);
	assert_int_equal(lseek(config.in_fd, 0, SEEK_SET), 0);
	assert_int_equal(receive(&config), 0);
	assert_int_equal(lseek(config.out_fd, 0, SEEK_SET), 0);
	assert_int_equal(read(config.out_fd, reply, sizeof(reply)),
	                 FILECOPY_REPLY_LEN + FILECOPY_TAIL_LEN + 1);
	filecopy_reply_decode(reply, &error, &crc);
	assert_int_equal(error, 0);
	assert_int_equal(crc, crc32_update(0, stream, len));
	assert_int_equal(fstatat(config.top_fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, sizeof(content) - 1);
	assert_true(st.st_mtim.tv_sec == 1700000000 && st.st_mtim.tv_nsec == 5 && st.st_nlink == 1);
	assert_int_equal(unlinkat(config.top_fd, "f", 0), 0);
	assert_int_equal(rmdir(path), 0);
	(void)fd_close(config.top_fd);
	(void)fd_close(config.in_fd);
	(void)fd_close(config.out_fd);
	(void)fd_close(config.proc_fd);
}

static void test_ways_to_a_name(void **state)
{
	(void)state;
	receive_one(false, false);
	receive_one(true, false);
	receive_one(false, true);
}

/* What is decoded is what was encoded, and nothing else of the bytes matters. */
static void test_header(void **state)
{
	uint8_t bytes[FILECOPY_HEADER_LEN];
	uint8_t again[FILECOPY_HEADER_LEN];
	struct filecopy_header header;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(0x80 + 7 * i);
	filecopy_header_decode(bytes, &header);
	assert_int_equal(header.name_len, 0x958e8780U);
	filecopy_header_encode(&header, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ways_to_a_name),
	        cmocka_unit_test(test_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
