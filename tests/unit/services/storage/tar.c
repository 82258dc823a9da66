/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives of trees: if this failed, a backup of a tree would not come back as it was, or an archive
 * could write outside of the tree it is unpacked to.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/tar/header.h"
#include "services/storage/tar_tree.h"
#include "tests/unit/unit.h"

static char top[64];

static int remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED,
                        struct FTW *ftw UNUSED)
{
	return remove(path);
}

static int setup(void **state UNUSED)
{
	memcpy(top, "/tmp/sk-tar-XXXXXX", 19);
	return mkdtemp(top) && chdir(top) == 0 && mkdir("in", 0700) == 0 && mkdir("out", 0700) == 0
	               ? 0
	               : -1;
}

static int teardown(void **state UNUSED)
{
	return chdir("/") || nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int open_dir(const char *name)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static void test_tar_tree_comes_back(void **state UNUSED)
{
	const struct timespec times[2] = {{.tv_sec = 5},
	                                  {.tv_sec = 1700000000, .tv_nsec = 123456789}};
	char deep[400] = "in/d", long_target[200], got[300];
	int archive = memfd_create("a", MFD_CLOEXEC), in = open_dir("in"), out = open_dir("out");
	struct tar_fault fault;
	struct stat a, b;
	ssize_t n;

	put_file("in/file", "text", 0640);
	assert_int_equal(link("in/file", "in/second"), 0);
	memset(long_target, 't', sizeof(long_target) - 1);
	long_target[sizeof(long_target) - 1] = '\0';
	assert_int_equal(symlink(long_target, "in/link"), 0);
	assert_int_equal(mkfifo("in/fifo", 0600), 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	for (int i = 0; i < 3; i++) {
		size_t len = strlen(deep);

		deep[len] = '/';
		memset(deep + len + 1, 'x', 90);
		deep[len + 91] = '\0';
		assert_int_equal(mkdir(deep, 0755), 0);
	}
	assert_int_equal(utimensat(AT_FDCWD, "in/file", times, 0), 0);
	assert_int_equal(chmod("in/d", 0500), 0);
	assert_int_equal(tar_pack(in, archive, "./", &fault, NULL, NULL), 0);
	assert_int_equal(lseek(archive, 0, SEEK_SET), 0);
	assert_int_equal(tar_unpack(archive, out, 0, &fault, NULL, NULL), 0);
	assert_int_equal(stat("out/file", &a), 0);
	assert_int_equal(a.st_mode & 07777, 0640);
	assert_int_equal(a.st_mtim.tv_sec, 1700000000);
	assert_int_equal(a.st_mtim.tv_nsec, 123456789);
	assert_int_equal(stat("out/second", &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	n = readlink("out/link", got, sizeof(got));
	assert_int_equal(n, sizeof(long_target) - 1);
	assert_int_equal(lstat("out/fifo", &a), 0);
	assert_true(S_ISFIFO(a.st_mode));
	memcpy(deep, "out", 3);
	memmove(deep + 3, deep + 2, 0);
	assert_int_equal(stat("out/d", &a), 0);
	assert_int_equal(a.st_mode & 07777, 0500);
	assert_int_equal(chmod("in/d", 0700) | chmod("out/d", 0700), 0);
	(void)close(archive);
	(void)close(in);
	(void)close(out);
}

static int unpack_one(const struct tar_header *h, const char *data, size_t len)
{
	int archive = memfd_create("a", MFD_CLOEXEC), out = open_dir("out"), r;
	static const uint8_t zeros[2 * TAR_BLOCK];
	uint8_t block[TAR_BLOCK];
	struct tar_fault fault;

	(void)!tar_header_encode(block, h);
	assert_int_equal(write(archive, block, sizeof(block)), sizeof(block));
	assert_int_equal(write(archive, data, len), len);
	assert_int_equal(write(archive, zeros, tar_padding(len)), tar_padding(len));
	assert_int_equal(write(archive, zeros, sizeof(zeros)), sizeof(zeros));
	assert_int_equal(lseek(archive, 0, SEEK_SET), 0);
	r = tar_unpack(archive, out, 0, &fault, NULL, NULL);
	assert_true(r == 0 || fault.text[0]);
	(void)close(archive);
	(void)close(out);
	return r;
}

static void test_tar_names_stay_inside(void **state UNUSED)
{
	static const char *const bad[] = {"../x", "/x", "a/../../x", "..", "./..", "../out/../x"};
	struct tar_header h = {.type = TAR_FILE, .mode = 0600};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(h.name, sizeof(h.name), "%s", bad[i]);
		assert_int_equal(unpack_one(&h, "", 0), -1);
	}
	assert_int_equal(access("x", F_OK), -1);
	(void)snprintf(h.name, sizeof(h.name), "././/x");
	assert_int_equal(unpack_one(&h, "", 0), 0);
	assert_int_equal(access("out/x", F_OK), 0);
}

static void test_tar_links_are_not_followed(void **state UNUSED)
{
	struct tar_header h = {.type = TAR_FILE, .mode = 0600, .size = 1};

	assert_int_equal(symlink("../in", "out/way"), 0);
	(void)snprintf(h.name, sizeof(h.name), "way/x");
	assert_int_equal(unpack_one(&h, "!", 1), -1);
	/* A member that is called as the link is takes its place. */
	(void)snprintf(h.name, sizeof(h.name), "way");
	assert_int_equal(unpack_one(&h, "!", 1), 0);
	h.type = TAR_LINK;
	h.size = 0;
	assert_int_equal(symlink("../in", "out/way2"), 0);
	put_file("in/secret", "s", 0600);
	(void)snprintf(h.name, sizeof(h.name), "y");
	(void)snprintf(h.link, sizeof(h.link), "way2/secret");
	assert_int_equal(unpack_one(&h, "", 0), -1);
	assert_int_equal(access("in/x", F_OK), -1);
}

static void test_tar_header_boundaries(void **state UNUSED)
{
	static struct tar_header h, back;
	uint8_t block[TAR_BLOCK];

	h = (struct tar_header){.type = TAR_FILE,
	                        .mode = 07777,
	                        .uid = 07777777,
	                        .size = (1ULL << 33) - 1,
	                        .mtime = 1};
	memset(h.name, 'n', 100);
	assert_int_equal(tar_header_encode(block, &h), 0);
	assert_int_equal(tar_header_decode(block, &back), TAR_OK);
	assert_string_equal(back.name, h.name);
	assert_int_equal(back.size, h.size);
	assert_int_equal(back.uid, h.uid);
	h.name[100] = 'n';
	assert_int_equal(tar_header_encode(block, &h), -1);
	h.name[100] = '\0';
	h.size++;
	assert_int_equal(tar_header_encode(block, &h), -1);
	h.size = 0;
	h.uid = 010000000;
	assert_int_equal(tar_header_encode(block, &h), -1);
	assert_int_equal(tar_header_decode(block, &back), TAR_OK);
	block[0] ^= 1;
	assert_int_equal(tar_header_decode(block, &back), TAR_BAD);
	memset(block, 0, sizeof(block));
	assert_int_equal(tar_header_decode(block, &back), TAR_END);
}

static void test_tar_pax_records(void **state UNUSED)
{
	static const char *const bad[] = {"5 a=\n",  "6 a=b\n ",  "06 a=bc\n",
	                                  "6 =ab\n", "999 a=b\n", "0 a=b\n",
	                                  "a",       " 6 a=b\n",  "6 a=b."};
	struct tar_pax p;
	char out[64];
	size_t at;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		enum tar_result r = TAR_OK;

		at = 0;
		while (r == TAR_OK)
			r = tar_pax_next(bad[i], strlen(bad[i]), &at, &p);
		/* Two of them begin well. */
		assert_true(r == TAR_BAD || at == strlen(bad[i]));
	}
	assert_int_equal(tar_pax_put(out, sizeof(out), "k", "v", 1), 6);
	assert_memory_equal(out, "6 k=v\n", 6);
	assert_int_equal(tar_pax_put(out, sizeof(out), "key", "12345", 5), 13);
	assert_memory_equal(out, "13 key=12345\n", 13);
	assert_int_equal(tar_pax_put(out, 12, "key", "12345", 5), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_tar_tree_comes_back, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_tar_names_stay_inside, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_tar_links_are_not_followed, setup, teardown),
	        cmocka_unit_test(test_tar_header_boundaries),
	        cmocka_unit_test(test_tar_pax_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
