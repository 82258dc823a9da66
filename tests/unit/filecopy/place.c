/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a received file could end up in another folder than the one it is named in,
 * or outside of the destination.
 */
#include "filecopy/place.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/unit/unit.h"

#define DEPTH  (3 * PLACE_LEVELS)
#define ROUNDS 3000

static char top_path[] = "/tmp/skplaceXXXXXX";
static int top = -1;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(top_path))
		return -1;
	top = open(top_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	(void)fd_close(top);
	return nftw(top_path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* "a/b/a/a…" by the bits of a number: each folder has two below it on the way. */
static size_t path_of(char *out, unsigned int bits, size_t depth)
{
	size_t len = 0;

	for (size_t i = 0; i < depth; i++) {
		if (len > 0)
			out[len++] = '/';
		out[len++] = i < 4 && (bits >> i & 1) ? 'b' : 'a';
	}
	out[len] = '\0';
	return len;
}

static void make_folders(void)
{
	char path[4 * DEPTH];

	for (unsigned int bits = 0; bits < 16; bits++) {
		for (size_t depth = 1; depth <= DEPTH; depth++) {
			(void)path_of(path, bits, depth);
			assert_true(mkdirat(top, path, 0700) == 0 || errno == EEXIST);
		}
	}
}

/* From any folder to any other, however deep: it is the one that the whole path names. */
static void test_every_way(void **state)
{
	static struct place place;
	uint32_t seed = 7;

	(void)state;
	make_folders();
	place_init(&place, top);
	for (int i = 0; i < ROUNDS; i++) {
		char failed[FILECOPY_NAME_MAX + 1];
		char path[4 * DEPTH];
		struct stat want;
		struct stat got;
		size_t len;
		int fd;

		seed = seed * 1103515245 + 12345;
		len = path_of(path, seed >> 8 & 15,
		              seed >> 12 & 1 ? seed >> 16 & 7 : (seed >> 16) % DEPTH);
		if (seed >> 28 == 0)
			place_refresh(&place);
		assert_int_equal(place_enter(&place, path, len, &fd, failed), 0);
		assert_int_equal(fstat(fd, &got), 0);
		assert_int_equal(fstatat(top, len > 0 ? path : ".", &want, 0), 0);
		assert_true(got.st_ino == want.st_ino && got.st_dev == want.st_dev);
	}
	place_fini(&place);
	for (size_t i = 0; i < PLACE_LEVELS; i++)
		assert_int_equal(place.fd[i], -1);
}

/* What is not there is named, and the next way begins where it was. */
static void test_failures(void **state)
{
	static struct place place;
	static const struct {
		const char *path;
		const char *failed;
		int error;
	} rows[] = {
	        {"a/none/a", "none", ENOENT}, {"file", "file", ENOTDIR},
	        {"a/link", "link", ENOTDIR},  {"..", "..", EXDEV},
	        {"a/../a", "..", EXDEV},      {"a/b/../../..", "..", EXDEV},
	};
	char failed[FILECOPY_NAME_MAX + 1];
	int fd;

	(void)state;
	(void)mkdirat(top, "a", 0700);
	(void)mkdirat(top, "a/b", 0700);
	(void)fd_close(openat(top, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_true(symlinkat("b", top, "a/link") == 0 || errno == EEXIST);
	place_init(&place, top);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		        place_enter(&place, rows[i].path, strlen(rows[i].path), &fd, failed), -1);
		assert_int_equal(errno, rows[i].error);
		assert_string_equal(failed, rows[i].failed);
		assert_int_equal(place_enter(&place, "a/b", 3, &fd, failed), 0);
	}
	place_fini(&place);
}

/* Moved away, or replaced by a link: not the folder that was walked to. */
static void test_moved_folders(void **state)
{
	static struct place place;
	char failed[FILECOPY_NAME_MAX + 1];
	int fd;

	(void)state;
	assert_int_equal(mkdirat(top, "m", 0700), 0);
	assert_int_equal(mkdirat(top, "m/n", 0700), 0);
	place_init(&place, top);
	assert_int_equal(place_enter(&place, "m/n", 3, &fd, failed), 0);
	assert_int_equal(renameat(top, "m/n", top, "moved"), 0);
	place_refresh(&place);
	assert_int_equal(place_enter(&place, "m/n", 3, &fd, failed), -1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(failed, "n");
	assert_int_equal(symlinkat("../moved", top, "m/n"), 0);
	assert_int_equal(place_enter(&place, "m", 1, &fd, failed), 0);
	place_refresh(&place);
	assert_int_equal(place_enter(&place, "m/n", 3, &fd, failed), -1);
	assert_int_equal(errno, ENOTDIR);
	place_fini(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_way),
	        cmocka_unit_test(test_failures),
	        cmocka_unit_test(test_moved_folders),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
