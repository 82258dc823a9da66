/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a monitor that was taken over has other programs started than those of its table, or
 * these with options of its own. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "monitor/processes.h"
#include "tests/unit/unit.h"

#define REFUSED 111
#define LET     0 /* it waits for the word to go on, which does not come */

static const struct process_request legal = {.id = PROCESS_DATABASE};

/* What the starter's child makes of it. words: each with its NUL, args before env. */
static int outcome(struct process_request r, const char *words, size_t len, size_t n_fds)
{
	int go[2], status;
	int fds[FD_PASS_MAX];
	pid_t pid;

	assert_true(len <= sizeof(r.text));
	memcpy(r.text, words, len);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	for (size_t i = 0; i < n_fds; i++)
		fds[i] = go[0];
	pid = fork();
	if (pid == 0) {
		(void)close(go[1]);
		process_child(NULL, &r, offsetof(struct process_request, text) + len, fds, n_fds);
	}
	(void)close(go[0]);
	(void)close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define WORDS(text) text, sizeof(text)

static void rows(void **state)
{
	struct process_request r = legal;

	(void)state;
	r.n_args = 2;
	assert_int_equal(outcome(r, WORDS("7\0work"), 1), LET);
	r.n_args = 3; /* than there are */
	assert_int_equal(outcome(r, WORDS("7\0work"), 1), REFUSED);
	r.n_args = 1; /* something is left over */
	assert_int_equal(outcome(r, WORDS("7\0work"), 1), REFUSED);
	r.n_args = PROCESS_WORDS_MAX + 1;
	assert_int_equal(outcome(r, WORDS("7\0work"), 1), REFUSED);
	r = legal;
	r.id = PROCESS_NONE;
	assert_int_equal(outcome(r, "", 0, 1), REFUSED);
	r.id = PROCESS_MAX;
	assert_int_equal(outcome(r, "", 0, 1), REFUSED);
	r.id = PROCESS_STORE;
	assert_int_equal(outcome(r, "", 0, 1), LET);
	r.n_args = 1; /* what there is one of takes no word */
	assert_int_equal(outcome(r, WORDS("x"), 1), REFUSED);
}

static void options(void **state)
{
	struct process_request r = legal;

	(void)state;
	r.n_args = 2;
	assert_int_equal(outcome(r, WORDS("7\0--rw-socket-perms=0777"), 1), REFUSED);
	r.id = PROCESS_KEEPER;
	r.n_args = 4;
	assert_int_equal(outcome(r,
	                         WORDS("--uuid=x\0"
	                               "7\0work\0user"),
	                         1),
	                 LET);
	assert_int_equal(outcome(r,
	                         WORDS("--policy-program=/bin/sh\0"
	                               "7\0work\0user"),
	                         1),
	                 REFUSED);
	assert_int_equal(outcome(r,
	                         WORDS("--uuid=x\0"
	                               "7\0work\0--policy-program=/bin/sh"),
	                         1),
	                 REFUSED);
	r.id = PROCESS_CALL;
	r.n_args = 3;
	assert_int_equal(outcome(r, WORDS("-d\0work\0user:QUBESRPC a b"), 1), LET);
	/* A command line of dom0. */
	assert_int_equal(outcome(r, WORDS("-d\0dom0\0root:touch /x"), 1), REFUSED);
	assert_int_equal(outcome(r, WORDS("-d\0@adminvm\0root:touch /x"), 1), REFUSED);
	assert_int_equal(outcome(r, WORDS("-d\0uuid:00000000-0000-0000-0000-000000000000\0root:x"),
	                         1),
	                 REFUSED);
	assert_int_equal(outcome(r, WORDS("-d\0work\0-l"), 1), REFUSED);
	r.n_args = 4;
	assert_int_equal(outcome(r, WORDS("-d\0work\0user:a\0b"), 1), REFUSED);
}

static void environment_and_descriptors(void **state)
{
	struct process_request r = legal;

	(void)state;
	r.n_args = 2;
	r.n_env = 1;
	assert_int_equal(outcome(r, WORDS("7\0work\0VCHAN_BROKER=/x"), 1), LET);
	assert_int_equal(outcome(r, WORDS("7\0work\0LD_PRELOAD=/x"), 1), REFUSED);
	r.n_env = 0;
	assert_int_equal(outcome(r, WORDS("7\0work"), 0), REFUSED);
	assert_int_equal(outcome(r, WORDS("7\0work"), 2), REFUSED); /* one of no number */
	r.has = 1U << 4;
	assert_int_equal(outcome(r, WORDS("7\0work"), 2), LET);
	assert_int_equal(outcome(r, WORDS("7\0work"), 1), REFUSED);
	r.has = UINT32_MAX;
	assert_int_equal(outcome(r, WORDS("7\0work"), FD_PASS_MAX), LET);
}

static void put(const char *root, const char *path)
{
	char full[128];
	int fd;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static int gone(const char *root, const char *path)
{
	char full[128];

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	return unlink(full) != 0;
}

/* After the end nothing is left of the system, and what is not the system's is. */
static void the_end(void **state)
{
	static char root[] = "/tmp/child-XXXXXX";
	static const char *const folders[] = {"/run", "/run/qubes", "/run/skerry",
	                                      "/run/skerry/records"};
	const uint32_t id = PROCESS_CLEAR;
	char full[128];
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(full, sizeof(full), "%s%s", root, folders[i]);
		assert_int_equal(mkdir(full, 0700), 0);
	}
	put(root, "/run/qubesd.sock");
	put(root, "/run/qubes/qubesdb.work.sock");
	put(root, "/run/qubes/qubesdb.work.ro.sock");
	put(root, "/run/qubes/qubesdb.dom0.sock");
	put(root, "/run/qubes/mine");
	put(root, "/run/skerry/records/1.2");
	paths_set_root(root);
	pid = fork();
	if (pid == 0)
		process_child(NULL, &id, sizeof(id), NULL, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(gone(root, "/run/qubesd.sock") && gone(root, "/run/qubes/qubesdb.work.sock") &&
	            gone(root, "/run/qubes/qubesdb.work.ro.sock"));
	assert_false(gone(root, "/run/qubes/qubesdb.dom0.sock") || gone(root, "/run/qubes/mine"));
	for (size_t i = 3; i-- > 0;) {
		(void)snprintf(full, sizeof(full), "%s%s", root, folders[i]);
		assert_int_equal(rmdir(full), 0); /* so it was empty */
	}
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows),
	        cmocka_unit_test(options),
	        cmocka_unit_test(environment_and_descriptors),
	        cmocka_unit_test(the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
