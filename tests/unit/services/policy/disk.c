/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If this fails, a changed file goes unseen, a change is checked against other files than those on
 * disk, or a strange file in a policy directory hangs or kills who reads it.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/policy/policy.h"
#include "services/policy/store.h"
#include "tests/unit/services/policy/alloc.h"

static char root[] = "/tmp/skerry-disk-XXXXXX";
static char dir[64];
static const char *const dirs[] = {dir};
static const struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = "/nonexistent"};

static const char *at(const char *name)
{
	static char path[4][256];
	static unsigned turn;

	turn = (turn + 1) % 4;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const char *text)
{
	OWNED_FD int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static int start(void **state)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	if (!mkdtemp(root))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/p", root);
	return mkdir(dir, 0755) || mkdir(at("inc"), 0755);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int stop(void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The directory is made old before, for clocks of files are coarse and tests are quick. */
static struct policy *load(struct policy_inputs *inputs, struct policy_fault *fault)
{
	static const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	assert_int_equal(utimensat(AT_FDCWD, dir, old, 0), 0);
	return policy_load_disk(&place, inputs, fault);
}

static bool changes(struct policy_inputs *inputs)
{
	struct policy_fault fault;
	bool changed = policy_inputs_changed(inputs);

	policy_inputs_fini(inputs);
	(void)policy_unref(load(inputs, &fault));
	assert_false(policy_inputs_changed(inputs));
	return changed;
}

static void test_changes(void **state)
{
	struct policy_inputs inputs;
	struct policy_fault fault;
	struct policy *policy;
	char away[96];

	(void)snprintf(away, sizeof(away), "%s.away", dir);
	put("1.policy", "!include inc/a\n!include link\n");
	put("inc/a", "a.B * work vault deny\n");
	put("inc/b", "a.B * work vault allow\n");
	assert_int_equal(symlink("inc/a", at("link")), 0);
	policy = load(&inputs, &fault);
	assert_non_null(policy);
	assert_int_equal(policy_n_rules(policy), 2);
	(void)policy_unref(policy);
	assert_false(policy_inputs_changed(&inputs));
	put("inc/a", "a.B * work vault deny notify=no\n");
	assert_true(changes(&inputs));
	put("2.policy", "");
	assert_true(changes(&inputs));
	assert_int_equal(unlink(at("link")), 0);
	assert_int_equal(symlink("inc/b", at("link")), 0);
	assert_true(changes(&inputs));
	assert_int_equal(unlink(at("inc/b")), 0);
	assert_true(changes(&inputs));
	put("inc/b", "");
	assert_true(changes(&inputs));
	assert_int_equal(rename(dir, away), 0);
	assert_true(policy_inputs_changed(&inputs));
	assert_int_equal(rename(away, dir), 0);
	policy_inputs_fini(&inputs);
}

static void test_strange(void **state)
{
	struct policy_inputs inputs;
	struct policy_fault fault;
	struct policy *policy;

	/* Neither a FIFO nor a directory is a policy file, and a FIFO is not waited for. */
	assert_int_equal(mkfifo(at("1.policy"), 0644), 0);
	assert_int_equal(mkdir(at("2.policy"), 0755), 0);
	assert_int_equal(symlink("nowhere", at("3.policy")), 0);
	policy = load(&inputs, &fault);
	assert_non_null(policy);
	assert_int_equal(policy_n_rules(policy), 0);
	(void)policy_unref(policy);
	policy_inputs_fini(&inputs);
	put("4.policy", "!include 1.policy\n");
	assert_null(load(&inputs, &fault));
	assert_int_equal(fault.code, CODE_INCLUDE_NOT_FILE);
	policy_inputs_fini(&inputs);
	put("4.policy", "!include-dir 1.policy\n");
	assert_null(load(NULL, &fault));
	assert_int_equal(fault.code, CODE_INCLUDE_NOT_DIR);
	put("4.policy", "!compat-4.0\n");
	assert_null(load(NULL, &fault));
	assert_int_equal(fault.kind, FAULT_IO);
	assert_int_equal(fault.error, ENOENT);
	assert_int_equal(truncate(at("4.policy"), (off_t)POLICY_FILE_MAX + 1), 0);
	assert_null(load(NULL, &fault));
	assert_int_equal(fault.kind, FAULT_LIMIT);
}

static void test_read(void **state)
{
	struct policy_disk disk = {0};
	struct policy_files files = policy_files_disk(&disk);
	char *data;
	size_t len;

	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	assert_int_equal(files.read(files.ctx, at("fifo"), &data, &len), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(files.read(files.ctx, at("none"), &data, &len), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(files.list(files.ctx, at("none"), &data), -1);
	/* Its size is said to be 0; it is read to the end. */
	assert_int_equal(files.read(files.ctx, "/proc/self/status", &data, &len), 0);
	assert_true(len > 100);
	free(data);
}

static void test_overlay(void **state)
{
	static const char text[] = "x.Y * work vault allow\n";
	struct policy_inputs inputs = {0};
	char path[256];
	struct policy_disk disk = {.overlay_path = path,
	                           .overlay_data = text,
	                           .overlay_len = sizeof(text) - 1,
	                           .inputs = &inputs};
	struct policy_files files = policy_files_disk(&disk);
	struct policy_fault fault;
	struct policy *policy;

	/* A new file, an old one with other text, an old one by a link, and one that goes. */
	(void)snprintf(path, sizeof(path), "%s", at("1.policy"));
	for (int turn = 0; turn < 4; turn++) {
		if (turn == 1)
			put("1.policy", "broken\n");
		if (turn == 2)
			assert_int_equal(symlink("1.policy", at("2.policy")), 0);
		if (turn == 3) {
			assert_int_equal(unlink(at("2.policy")), 0);
			disk.overlay_data = NULL;
		}
		policy = policy_load(&place, &files, &fault);
		assert_non_null(policy);
		assert_int_equal(policy_n_rules(policy), turn == 3 ? 0 : turn == 2 ? 2 : 1);
		(void)policy_unref(policy);
		policy_inputs_fini(&inputs);
	}
	put("3.policy", "!include 1.policy\n");
	assert_null(policy_load(&place, &files, &fault));
	assert_int_equal(fault.code, CODE_INCLUDE_NOT_FILE);
	policy_inputs_fini(&inputs);
}

/* No memory, at each place: a fault, and what was noted so far can be freed. */
static void test_memory(void **state)
{
	static const char text[] = "x.Y * work vault allow\n";
	char path[256];
	struct policy_inputs inputs = {0};
	struct policy_disk disk = {.overlay_path = path,
	                           .overlay_data = text,
	                           .overlay_len = sizeof(text) - 1,
	                           .inputs = &inputs};
	struct policy_files files = policy_files_disk(&disk);
	struct policy *policy = NULL;
	int n = 1;

	(void)snprintf(path, sizeof(path), "%s", at("9.policy"));
	put("1.policy", "!include inc/a\n!include-dir inc\n");
	put("inc/a", "a.B * work vault deny\n");
	put("inc/b.policy", "a.B * work vault deny\n");
	assert_int_equal(symlink("nowhere", at("3.policy")), 0);
	for (; !policy; n++) {
		struct policy_fault fault;

		alloc_fail_from(n, false);
		policy = policy_load(&place, &files, &fault);
		alloc_fail_from(0, false);
		policy_inputs_fini(&inputs);
		if (!policy)
			assert_true(fault.kind == FAULT_MEMORY || fault.error == ENOMEM);
		assert_true(n < 1000);
	}
	assert_true(n > 50);
	assert_int_equal(policy_n_rules(policy), 3);
	(void)policy_unref(policy);
}

static void read_name(const char *name, const char *text)
{
	OWNED_FD int fd = open(at(name), O_RDONLY | O_CLOEXEC);
	char *data;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(fd_read_to_end(fd, 4096, 1U << 20, &data, &len), 0);
	assert_string_equal(data, text);
	free(data);
}

static void test_store(void **state)
{
	static char big[20000];
	char *data;
	size_t len;
	int fd;

	assert_int_equal(store_lock("/nonexistent"), -1);
	fd = store_lock(dir);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(store_replace(dir, "a", "one", 3), 0);
	read_name("a", "one");
	/* What an interrupted writer left is no obstacle. */
	put(".a.new", "half");
	assert_int_equal(store_replace(dir, "a", "two", 3), 0);
	read_name("a", "two");
	assert_int_equal(access(at(".a.new"), F_OK), -1);
	assert_int_equal(store_replace("/nonexistent", "a", "", 0), -1);
	memset(big, 'x', sizeof(big) - 1);
	big[300] = '\0';
	assert_int_equal(store_replace(dir, big, "", 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	big[300] = 'x';
	/* A directory in the way: refused, and nothing is left. */
	assert_int_equal(mkdir(at("d"), 0755), 0);
	assert_int_equal(store_replace(dir, "d", "", 0), -1);
	assert_int_equal(access(at(".d.new"), F_OK), -1);
	assert_int_equal(mkdir(at(".e.new"), 0755), 0);
	assert_int_equal(store_replace(dir, "e", "", 0), -1);
	assert_int_equal(store_remove(dir, "a"), 0);
	assert_int_equal(store_remove(dir, "a"), -1);
	assert_int_equal(store_remove("/nonexistent", "a"), -1);
	/* Streams: longer than the first piece, longer than allowed, not readable. */
	put("big", big);
	read_name("big", big);
	fd = open(at("big"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_read_to_end(fd, 4096, 100, &data, &len), -1);
	assert_int_equal(errno, EFBIG);
	(void)close(fd);
	fd = open(at("big"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(fd_read_to_end(fd, 4096, 100, &data, &len), -1);
	(void)close(fd);
	for (int n = 1; n < 4; n++) {
		fd = open(at("big"), O_RDONLY | O_CLOEXEC);
		alloc_fail_from(n, false);
		assert_int_equal(fd_read_to_end(fd, 4096, 1U << 20, &data, &len), -1);
		alloc_fail_from(0, false);
		(void)close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_changes, start, stop),
	        cmocka_unit_test_setup_teardown(test_strange, start, stop),
	        cmocka_unit_test_setup_teardown(test_read, start, stop),
	        cmocka_unit_test_setup_teardown(test_overlay, start, stop),
	        cmocka_unit_test_setup_teardown(test_memory, start, stop),
	        cmocka_unit_test_setup_teardown(test_store, start, stop),
	};

	return cmocka_run_group_tests_name("services/policy disk", tests, NULL, NULL);
}
