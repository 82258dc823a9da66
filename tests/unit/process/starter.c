/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a process that gave up its rights starts its programs with too few of them, or cannot
 * tell how they ended. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "process/proc.h"
#include "process/starter.h"
#include "tests/unit/unit.h"

static struct loop *loop;
static int n_ended, ended_status, n_starter_ended;

static void on_end(void *arg, int wait_status)
{
	(void)arg;
	ended_status = wait_status;
	n_ended++;
}

static void on_starter_end(void *arg, uint32_t events)
{
	struct starter *s = arg;

	(void)events;
	n_starter_ended++;
	loop_fd_remove(loop, &s->source);
}

/* "exit N": so; "echo": the request and what the child knows go to the descriptor; else it returns. */
static void child(void *arg, const void *untrusted_request, size_t len, const int *fds,
                  size_t n_fds)
{
	const char *text = untrusted_request;

	if (len == 6 && memcmp(text, "exit ", 5) == 0)
		_exit(text[5] - '0');
	if (len > 4 && memcmp(text, "echo", 4) == 0 && n_fds == 2) {
		char line[64];
		int n = snprintf(line, sizeof(line), "%d %d %d %s", getppid() == *(pid_t *)arg,
		                 prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
		                 signal(SIGTERM, SIG_DFL) == SIG_DFL, text + 4);

		if (write(fds[1], line, (size_t)n) != n)
			_exit(9);
		_exit(0);
	}
}

static int wait_for_child(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void starter_children(void **state)
{
	static pid_t self;
	struct starter s;
	char text[64] = "";
	int pipe_fds[2];
	pid_t pid;

	(void)state;
	self = getpid();
	assert_int_equal(starter_open(&s, child, NULL, &self), 0);
	/* What it gives up now the starter has not. In a process of its own: it is for good. */
	pid = fork();
	if (pid == 0) {
		pid_t grandchild;

		self = getpid();
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(1);
		grandchild = starter_run(&s, "exit 0", 6, NULL, 0);
		/* A child of the one that forked the starter, whoever asks. */
		_exit(grandchild > 0 && waitpid(grandchild, NULL, 0) < 0 && errno == ECHILD ? 0
		                                                                            : 2);
	}
	assert_int_equal(wait_for_child(pid), 0);
	assert_true(waitpid(-1, NULL, 0) > 0);

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = starter_run(&s, "echo hello", 11, pipe_fds, 2);
	assert_true(pid > 0);
	assert_int_equal(wait_for_child(pid), 0);
	assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "1 0 1  hello");
	(void)fd_close(pipe_fds[0]);
	(void)fd_close(pipe_fds[1]);
	/* One that does not know what to do ends. */
	pid = starter_run(&s, "what", 4, NULL, 0);
	assert_int_equal(WEXITSTATUS(wait_for_child(pid)), 111);
	/* Too long a request is refused, and the next one is served. */
	errno = 0;
	assert_int_equal(starter_run(&s, text, STARTER_REQUEST_MAX + 1U, NULL, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	pid = starter_run(&s, "exit 3", 6, NULL, 0);
	assert_int_equal(WEXITSTATUS(wait_for_child(pid)), 3);
	starter_close(&s, NULL);
}

static void starter_is_watched(void **state)
{
	struct proc proc = PROC_EMPTY;
	struct starter s;
	pid_t pid;

	(void)state;
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(starter_open(&s, child, NULL, NULL), 0);
	assert_int_equal(starter_watch(&s, loop, on_starter_end, &s), 0);
	pid = starter_run(&s, "exit 7", 6, NULL, 0);
	assert_true(pid > 0);
	assert_int_equal(proc_watch(loop, &proc, pid, on_end, NULL), 0);
	while (n_ended == 0)
		assert_int_equal(loop_turn(loop, 10000), 0);
	assert_int_equal(WEXITSTATUS(ended_status), 7);
	assert_int_equal(kill(s.pid, SIGKILL), 0);
	while (n_starter_ended == 0)
		assert_int_equal(loop_turn(loop, 10000), 0);
	assert_int_equal(starter_run(&s, "exit 0", 6, NULL, 0), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	starter_close(&s, loop);
	loop = loop_free(loop);
}

static int refuse(void)
{
	return -1;
}

static void starter_that_cannot_begin(void **state)
{
	struct starter s;

	(void)state;
	assert_int_equal(starter_open(&s, child, refuse, NULL), 0);
	assert_int_equal(starter_run(&s, "exit 0", 6, NULL, 0), -1);
	starter_close(&s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(starter_children),
	        cmocka_unit_test(starter_is_watched),
	        cmocka_unit_test(starter_that_cannot_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
