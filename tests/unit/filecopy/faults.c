/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a full or failing disk, a quota, or a destination that changes under the
 * receiver would leave a half-written file that looks like a whole one, or a copy that is called a
 * success and is none.
 */
#include "filecopy/receive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/crc/crc32.h"
#include "proto/filecopy.h"
#include "tests/unit/unit.h"

#define HOLE 70000U /* bytes of zeros, more than the receiver writes */

/* The linker puts these in the place of the receiver's calls: the n-th one fails. */
static unsigned int calls;
static unsigned int fail_at;
static const char *failed; /* the call that did; NULL: it was not reached */
static int fail_errno;
static bool dies; /* instead of failing */

static bool fails(const char *name)
{
	if (++calls != fail_at)
		return false;
	failed = name;
	if (dies)
		_exit(0);
	errno = fail_errno;
	return true;
}

#define FAULT(type, name, params, args)                                                            \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails(#name) ? -1 : __real_##name args;                                     \
	}

FAULT(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
FAULT(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
FAULT(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
FAULT(int, symlinkat, (const char *target, int fd, const char *path), (target, fd, path))
FAULT(int, linkat, (int a, const char *b, int c, const char *d, int f), (a, b, c, d, f))
FAULT(int, fchmod, (int fd, mode_t mode), (fd, mode))
FAULT(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
FAULT(int, fstat64, (int fd, struct stat *st), (fd, st))
FAULT(off_t, lseek64, (int fd, off_t at, int from), (fd, at, from))
FAULT(int, ftruncate64, (int fd, off_t len), (fd, len))
FAULT(int, syncfs, (int fd), (fd))

/* openat2() */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long args[4];
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_openat2 && fails("openat2"))
		return -1;
	return __real_syscall(number, args[0], args[1], args[2], args[3]);
}

/* A tree with everything that the receiver makes in its own way. */
static const struct object {
	const char *name;
	uint32_t mode;
	const char *text; /* contents or target */
	uint32_t hole;    /* zeros behind */
} objects[] = {
        {"a", S_IFREG | 0644, "first", 0},     {"special", S_IFREG | 04755, "setuid", 0},
        {"d", S_IFDIR | 0750, "", 0},          {"d/sparse", S_IFREG | 0600, "with a hole", HOLE},
        {"d/e", S_IFDIR | 0700, "", 0},        {"d/e/link", S_IFLNK | 0777, "../a", 0},
        {"d/e/b", S_IFREG | 0640, "inner", 0}, {"d/e", S_IFDIR | 0700, "", 0},
        {"d", S_IFDIR | 0750, "", 0},          {"end", S_IFREG | 0444, "last", 0},
};

static uint8_t stream[2 * HOLE];
static size_t stream_len;

static void put(const void *bytes, size_t len)
{
	assert_true(len <= sizeof(stream) - stream_len);
	memcpy(stream + stream_len, bytes, len);
	stream_len += len;
}

static void make_stream(void)
{
	static const uint8_t zeros[HOLE];

	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		const struct object *o = &objects[i];
		const struct filecopy_header header = {
		        .name_len = (uint32_t)strlen(o->name) + 1,
		        .mode = o->mode,
		        .size = strlen(o->text) + o->hole,
		        .mtime = 1700000000,
		};
		uint8_t bytes[FILECOPY_HEADER_LEN];

		filecopy_header_encode(&header, bytes);
		put(bytes, sizeof(bytes));
		put(o->name, header.name_len);
		put(o->text, strlen(o->text));
		put(zeros, o->hole);
	}
	put(zeros, FILECOPY_HEADER_LEN);
}

static int set_up(void **state)
{
	(void)state;
	log_set_fd(-1);
	make_stream();
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Whether a visible file is whole; one that is not must be none that anybody takes for one. */
static bool is_whole(int top, const struct object *o, bool no_temp)
{
	size_t len = strlen(o->text);
	OWNED_FD int fd = -1;
	struct stat st;
	char text[32];

	if (fstatat(top, o->name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	assert_int_equal(st.st_mode & S_IFMT, o->mode & S_IFMT);
	if (!S_ISREG(o->mode))
		return true;
	if (no_temp && (st.st_mode & 07777) == 0)
		return false;
	assert_int_equal(st.st_size, len + o->hole);
	fd = openat(top, o->name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, text, len, 0), len);
	assert_memory_equal(text, o->text, len);
	/* Times come last, and none is visible that has not all of it. */
	if (!no_temp)
		assert_true(st.st_mode == o->mode && st.st_mtim.tv_sec == 1700000000);
	return true;
}

static unsigned int n_whole(int top, bool no_temp)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		n += is_whole(top, &objects[i], no_temp);
	return n;
}

static unsigned int n_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* What the receiver said: its error, or -1 if it said nothing. */
static long said(int fd, uint64_t *ret_crc)
{
	uint8_t reply[FILECOPY_REPLY_LEN];
	uint32_t error;

	if (pread(fd, reply, sizeof(reply), 0) != (ssize_t)sizeof(reply))
		return -1;
	filecopy_reply_decode(reply, &error, ret_crc);
	return error;
}

static void check_end(int status, long error, uint64_t crc, unsigned int whole)
{
	const bool unsaid = failed && strcmp(failed, "write") == 0 && error < 0;

	if (failed && strcmp(failed, "read") == 0) {
		/* To the receiver the stream is over. */
		assert_true(error == EREMOTEIO || error == FILECOPY_ERROR_EOF);
	} else if (!unsaid && error != 0) {
		assert_int_equal(error, fail_errno);
	}
	if (!unsaid)
		assert_int_equal(status, (int)(error & 0xff));
	if (error != 0 && !unsaid)
		return;
	assert_int_equal(whole, ARRAY_LEN(objects));
	if (!unsaid)
		assert_int_equal(crc, crc32_update(0, stream, stream_len));
}

/* One copy in which the n-th call fails; whether there was such a call. */
static bool run(unsigned int n, int error, bool no_temp)
{
	char path[] = "/tmp/skfaultsXXXXXX";
	struct receive_config config = {.mode_mask = 07777, .no_temp = no_temp, .proc_fd = -1};
	unsigned int open_before;
	unsigned int whole;
	uint64_t crc = 0;
	long error_said;
	int status;

	assert_non_null(mkdtemp(path));
	config.top_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	config.out_fd = memfd_create("reply", MFD_CLOEXEC);
	if (receive_needs_proc(config.top_fd))
		config.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_before = n_open();
	config.in_fd = memfd_create("stream", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(config.in_fd, stream, stream_len), 0);
	assert_int_equal(lseek(config.in_fd, 0, SEEK_SET), 0);
	failed = NULL;
	calls = 0;
	fail_at = n;
	fail_errno = error;
	if (dies) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(receive(&config) == 0 ? 1 : 2);
		fail_at = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		(void)n_whole(config.top_fd, no_temp);
		if (WEXITSTATUS(status) == 0)
			failed = "killed";
	} else {
		status = receive(&config);
		fail_at = 0;
		whole = n_whole(config.top_fd, no_temp);
		error_said = said(config.out_fd, &crc);
		check_end(status, error_said, crc, whole);
	}
	/* After an error the receiver has closed it. */
	if (fcntl(config.in_fd, F_GETFD) >= 0)
		(void)fd_close(config.in_fd);
	assert_int_equal(n_open(), open_before);
	(void)fd_close(config.top_fd);
	(void)fd_close(config.out_fd);
	(void)fd_close(config.proc_fd);
	assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	return failed;
}

static void each_call(int error, bool no_temp)
{
	unsigned int n = 1;

	while (run(n, error, no_temp))
		n++;
	/* At least one for each object. */
	assert_true(n > ARRAY_LEN(objects));
}

static void test_disk_full(void **state)
{
	(void)state;
	each_call(ENOSPC, false);
	each_call(ENOSPC, true);
}

static void test_quota(void **state)
{
	(void)state;
	each_call(EDQUOT, false);
	each_call(EDQUOT, true);
}

static void test_broken_disk(void **state)
{
	(void)state;
	each_call(EIO, false);
	each_call(EROFS, false);
}

/* The receiver is gone from one call to the next, as by kill -9. */
static void test_death(void **state)
{
	(void)state;
	dies = true;
	each_call(0, false);
	each_call(0, true);
	dies = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_disk_full),
	        cmocka_unit_test(test_quota),
	        cmocka_unit_test(test_broken_disk),
	        cmocka_unit_test(test_death),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
