/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every operation on a volume ended at every one of its steps: if this failed, a power cut or a killed
 * service would cost an acknowledged state or a revision, or leave something half made in a list.
 *
 * Each operation runs in a child that ends itself at step n, for n from 1 until the operation gets
 * through. After each, what a start of the service does is done (setup of the pool, the stop of a qube
 * that is not running), and the volume must hold the state before or the state after, and list only
 * states that were once acknowledged. Then the operation must succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "services/storage/job.h"
#include "tests/unit/unit.h"

#define SIZE 65536U

static struct pool pool;
static char parts[16][STORAGE_PATH_LEN];
static size_t n_parts;
static unsigned int steps_left;

static void die_at_step(void)
{
	if (--steps_left == 0)
		_exit(77);
}

static void take_part(struct job *job UNUSED, const struct storage_answer *a)
{
	if (a->kind == STORAGE_PART && n_parts < ARRAY_LEN(parts))
		memcpy(parts[n_parts++], a->path, sizeof(parts[0]));
}

static struct storage_answer ask(const struct storage_request *q)
{
	static struct job job;

	memset(&job, 0, sizeof(job));
	job.q = *q;
	job.q.serial = 1;
	memcpy(job.q.pool, pool.name, sizeof(job.q.pool));
	job.pool = &pool;
	if (job.q.source[0])
		job.source_pool = &pool;
	job.same_boot = true;
	job.say = take_part;
	n_parts = 0;
	job_run(&job);
	return job.out;
}

static struct storage_request request(enum storage_kind kind, const char *vid)
{
	struct storage_request q = {.kind = (uint32_t)kind,
	                            .flags = STORAGE_F_RW | STORAGE_F_SAVE | STORAGE_F_SHARED,
	                            .keep = 2,
	                            .size = SIZE};

	(void)snprintf(q.vid, sizeof(q.vid), "%s", vid);
	return q;
}

static struct storage_answer must(const struct storage_request *q)
{
	struct storage_answer a = ask(q);

	if (a.kind != STORAGE_DONE)
		fail_msg("request %u: %s", q->kind, a.text);
	return a;
}

/* true: the operation got through before step n. */
static bool die_in(const struct storage_request *q, unsigned int n)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		steps_left = n;
		job_step_hook = die_at_step;
		_exit(ask(q).kind == STORAGE_DONE ? 0 : 78);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	return WEXITSTATUS(status) == 0;
}

static void path_of_mark(char out[1024], const char *path)
{
	(void)snprintf(out, 1024, pool.driver == STORAGE_DIRECTORY ? "%s/mark" : "%s", path);
}

static void write_mark(const char *path, char mark)
{
	char name[1024];
	int fd;

	path_of_mark(name, path);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &mark, 1), 1);
	(void)close(fd);
}

static char read_mark(const char *path)
{
	char name[1024], mark = '-';
	int fd;

	path_of_mark(name, path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '-';
	if (read(fd, &mark, 1) != 1)
		mark = '-';
	(void)close(fd);
	return mark;
}

/* What the volume holds now. */
static char state_of(const char *vid)
{
	struct storage_request q = request(STORAGE_EXPORT, vid);
	struct storage_answer a = ask(&q);
	char mark;

	if (a.kind != STORAGE_DONE)
		return '!';
	mark = read_mark(a.path);
	q.kind = STORAGE_EXPORT_END;
	(void)must(&q);
	return mark;
}

static size_t revisions_of(const char *vid)
{
	struct storage_request q = request(STORAGE_REVISIONS, vid);

	(void)must(&q);
	return n_parts;
}

/* What a start of the service does for a qube that is not running. */
static void recover(const char *vid)
{
	struct storage_request q = {.kind = STORAGE_POOL_SETUP, .driver = pool.driver};

	memcpy(q.dir, pool.dir, sizeof(q.dir));
	(void)must(&q);
	q = request(STORAGE_STOP, vid);
	q.flags |= STORAGE_F_RECOVER;
	(void)must(&q);
}

static void session(const char *vid, char mark)
{
	struct storage_request q = request(STORAGE_START, vid);

	write_mark(must(&q).path, mark);
	q.kind = STORAGE_STOP;
	(void)must(&q);
}

static int remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED,
                        struct FTW *ftw UNUSED)
{
	return remove(path);
}

static void fresh(uint32_t driver)
{
	struct storage_request q = {.kind = STORAGE_POOL_SETUP, .driver = driver};
	const char *base = getenv("TMPDIR");

	if (pool.dir[0])
		(void)nftw(pool.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	memset(&pool, 0, sizeof(pool));
	(void)snprintf(pool.name, sizeof(pool.name), "p");
	(void)snprintf(pool.dir, sizeof(pool.dir), "%.100s/sk-crash-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(pool.dir));
	pool.driver = driver;
	memcpy(q.dir, pool.dir, sizeof(q.dir));
	(void)must(&q);
	q = request(STORAGE_CREATE, "appvms/a/data");
	(void)must(&q);
	session("appvms/a/data", 'a');
	session("appvms/a/data", 'b');
	session("appvms/a/data", 'c');
	assert_int_equal(revisions_of("appvms/a/data"), 2);
}

/* No revision may be a copy of the present state, and each must be one of those that were made. */
static void check_revisions(const char *vid, size_t least, size_t most)
{
	size_t n = revisions_of(vid);
	char listed[16][STORAGE_PATH_LEN];

	assert_in_range(n, least, most);
	memcpy(listed, parts, sizeof(listed));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(listed[i], listed[k]);
	}
}

static void test_stop(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_START, "appvms/a/data");
		bool through;

		fresh(*(uint32_t *)*state);
		write_mark(must(&q).path, 'd');
		q.kind = STORAGE_STOP;
		through = die_in(&q, n);
		recover("appvms/a/data");
		/* The guest wrote it, and the machine did not fail: it counts. */
		assert_int_equal(state_of("appvms/a/data"), 'd');
		check_revisions("appvms/a/data", 2, 2);
		session("appvms/a/data", 'e');
		assert_int_equal(state_of("appvms/a/data"), 'e');
		check_revisions("appvms/a/data", 2, 2);
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_start(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_START, "appvms/a/data");
		bool through;

		fresh(*(uint32_t *)*state);
		through = die_in(&q, n);
		recover("appvms/a/data");
		assert_int_equal(state_of("appvms/a/data"), 'c');
		session("appvms/a/data", 'e');
		assert_int_equal(state_of("appvms/a/data"), 'e');
		check_revisions("appvms/a/data", 2, 2);
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_clone(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_CLONE, "appvms/a/data");
		struct storage_request create = request(STORAGE_CREATE, "appvms/b/data");
		bool through;
		char now;

		fresh(*(uint32_t *)*state);
		(void)must(&create);
		session("appvms/b/data", 'x');
		(void)snprintf(q.source, sizeof(q.source), "appvms/b/data");
		(void)snprintf(q.source_pool, sizeof(q.source_pool), "p");
		through = die_in(&q, n);
		recover("appvms/a/data");
		now = state_of("appvms/a/data");
		assert_true(now == 'c' || now == 'x');
		assert_true(!through || now == 'x');
		check_revisions("appvms/a/data", 2, 3);
		(void)must(&q);
		assert_int_equal(state_of("appvms/a/data"), 'x');
		assert_int_equal(state_of("appvms/b/data"), 'x');
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_clear(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_CLEAR, "appvms/a/data");
		bool through;
		char now;

		fresh(*(uint32_t *)*state);
		through = die_in(&q, n);
		recover("appvms/a/data");
		now = state_of("appvms/a/data");
		assert_true(now == 'c' || now == '-' || now == '\0');
		check_revisions("appvms/a/data", 2, 3);
		session("appvms/a/data", 'f');
		assert_int_equal(state_of("appvms/a/data"), 'f');
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_revert(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_REVERT, "appvms/a/data");
		bool through;
		char now;

		fresh(*(uint32_t *)*state);
		assert_int_equal(revisions_of("appvms/a/data"), 2);
		memcpy(q.revision, parts[1], sizeof(q.revision));
		through = die_in(&q, n);
		recover("appvms/a/data");
		now = state_of("appvms/a/data");
		assert_true(now == 'b' || now == 'c');
		assert_true(!through || now == 'b');
		check_revisions("appvms/a/data", 2, 3);
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_create(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_CREATE, "appvms/n/data");
		bool through;

		fresh(*(uint32_t *)*state);
		through = die_in(&q, n);
		recover("appvms/n/data");
		/* Not acknowledged: it may be there or not, but then it can be made or removed. */
		if (!through && ask(&q).kind != STORAGE_DONE) {
			q.kind = STORAGE_REMOVE;
			(void)must(&q);
			q.kind = STORAGE_CREATE;
			(void)must(&q);
		}
		session("appvms/n/data", 'z');
		assert_int_equal(state_of("appvms/n/data"), 'z');
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

static void test_remove(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct storage_request q = request(STORAGE_REMOVE, "appvms/a/data");
		bool through;
		char now;

		fresh(*(uint32_t *)*state);
		through = die_in(&q, n);
		recover("appvms/a/data");
		now = state_of("appvms/a/data");
		/* All of it or nothing. */
		if (now == 'c')
			check_revisions("appvms/a/data", 2, 2);
		else
			assert_int_equal(now, '!');
		assert_true(!through || now == '!');
		(void)must(&q);
		if (through)
			break;
		assert_in_range(n, 1, 50);
	}
}

int main(void)
{
	static uint32_t drivers[] = {STORAGE_FILE_REFLINK, STORAGE_DIRECTORY};
	struct CMUnitTest tests[] = {
	        cmocka_unit_test_prestate(test_stop, &drivers[0]),
	        cmocka_unit_test_prestate(test_start, &drivers[0]),
	        cmocka_unit_test_prestate(test_clone, &drivers[0]),
	        cmocka_unit_test_prestate(test_clear, &drivers[0]),
	        cmocka_unit_test_prestate(test_revert, &drivers[0]),
	        cmocka_unit_test_prestate(test_create, &drivers[0]),
	        cmocka_unit_test_prestate(test_remove, &drivers[0]),
	        cmocka_unit_test_prestate(test_stop, &drivers[1]),
	        cmocka_unit_test_prestate(test_start, &drivers[1]),
	        cmocka_unit_test_prestate(test_clone, &drivers[1]),
	        cmocka_unit_test_prestate(test_clear, &drivers[1]),
	        cmocka_unit_test_prestate(test_revert, &drivers[1]),
	        cmocka_unit_test_prestate(test_create, &drivers[1]),
	        cmocka_unit_test_prestate(test_remove, &drivers[1]),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	if (pool.dir[0])
		(void)nftw(pool.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}
