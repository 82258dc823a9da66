/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a daemon would call into freed memory when a peer leaves, starve one qube
 * for another, or lose the end of a child.
 */
#include "lib/loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/unit/unit.h"

static struct loop *loop;
static char order[64];
static size_t n_order;

static void note(char c)
{
	assert_true(n_order + 1 < sizeof(order));
	order[n_order++] = c;
	order[n_order] = '\0';
}

static int setup(void **state)
{
	(void)state;
	n_order = 0;
	order[0] = '\0';
	loop = loop_new();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop = loop_free(loop);
	return 0;
}

static int ready_fd(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void turn(void)
{
	assert_int_equal(loop_turn(loop, 0), 0);
}

struct pair {
	struct loop_fd *mine;
	struct loop_fd *other;
};

static void on_fd_free_both(void *arg, uint32_t events)
{
	struct pair *p = arg;

	(void)events;
	note('x');
	loop_fd_remove(loop, p->mine);
	loop_fd_remove(loop, p->other);
	/* Freed: an access by the loop after this is seen by the sanitizer. */
	free(p->mine);
	free(p->other);
}

static void test_a_handler_may_free_itself_and_others_that_are_ready(void **state)
{
	int fd_a = ready_fd();
	int fd_b = ready_fd();
	struct loop_fd *a = calloc(1, sizeof(*a));
	struct loop_fd *b = calloc(1, sizeof(*b));
	struct pair pa = {a, b};
	struct pair pb = {b, a};

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(loop_fd_add(loop, a, fd_a, EPOLLIN, on_fd_free_both, &pa), 0);
	assert_int_equal(loop_fd_add(loop, b, fd_b, EPOLLIN, on_fd_free_both, &pb), 0);
	turn();
	turn();
	assert_string_equal(order, "x");
	(void)fd_close(fd_a);
	(void)fd_close(fd_b);
}

static void on_fd_note(void *arg, uint32_t events)
{
	assert_true(events & EPOLLIN);
	note(*(const char *)arg);
}

static void test_busy_source_is_called_once_a_turn(void **state)
{
	struct loop_fd a = LOOP_FD_EMPTY;
	struct loop_fd b = LOOP_FD_EMPTY;
	int fd_a = ready_fd();
	int fd_b = ready_fd();

	(void)state;
	assert_int_equal(loop_fd_add(loop, &a, fd_a, EPOLLIN, on_fd_note, (char[]){"a"}), 0);
	assert_int_equal(loop_fd_add(loop, &b, fd_b, EPOLLIN, on_fd_note, (char[]){"b"}), 0);
	for (int i = 0; i < 3; i++) {
		n_order = 0;
		turn();
		assert_int_equal(n_order, 2);
		assert_int_not_equal(order[0], order[1]);
	}
	loop_fd_set(loop, &a, 0);
	n_order = 0;
	turn();
	assert_string_equal(order, "b");
	loop_fd_set(loop, &a, EPOLLIN);
	loop_fd_remove(loop, &b);
	loop_fd_remove(loop, &b);
	n_order = 0;
	turn();
	assert_string_equal(order, "a");
	assert_int_equal(b.fd, -1);
	(void)fd_close(fd_a);
	(void)fd_close(fd_b);
}

static void test_regular_file_is_an_error_not_a_hang(void **state)
{
	struct loop_fd s = LOOP_FD_EMPTY;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(loop_fd_add(loop, &s, fd, EPOLLIN, on_fd_note, NULL), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(s.fd, -1);
	(void)fd_close(fd);
}

/* Moves a timer's deadline into the past without waiting. */
static void expire(struct loop_timer *t, uint64_t ns)
{
	t->deadline_ns = ns;
}

static void on_timer_note(void *arg)
{
	note(*(const char *)arg);
}

#define N_TIMERS 200

static uint64_t last_deadline;
static size_t n_fired;

static void on_timer_in_order(void *arg)
{
	const struct loop_timer *t = arg;

	assert_int_equal(t->index, 0);
	assert_true(t->deadline_ns >= last_deadline);
	last_deadline = t->deadline_ns;
	n_fired++;
}

static void test_timers_fire_in_order_of_their_deadlines(void **state)
{
	static struct loop_timer timers[N_TIMERS];
	uint32_t random = 12345;

	(void)state;
	last_deadline = 0;
	n_fired = 0;
	memset(timers, 0, sizeof(timers));
	for (size_t i = 0; i < N_TIMERS; i++) {
		random = random * 1103515245U + 12345U;
		assert_int_equal(loop_timer_set(loop, &timers[i], 0, on_timer_in_order, &timers[i]),
		                 0);
		/* Through the public calls only: cleared and set again in random order. */
		if (random & 0x10000)
			loop_timer_clear(loop, &timers[random % (i + 1)]);
	}
	for (size_t i = 0; i < N_TIMERS; i++)
		assert_int_equal(loop_timer_set(loop, &timers[i], (i * 7919U) % 5U,
		                                on_timer_in_order, &timers[i]),
		                 0);
	while (n_fired < N_TIMERS)
		assert_int_equal(loop_turn(loop, -1), 0);
	turn();
	assert_int_equal(n_fired, N_TIMERS);
}

static void test_cleared_timer_does_not_fire(void **state)
{
	struct loop_timer a = {0};
	struct loop_timer b = {0};

	(void)state;
	loop_timer_clear(loop, &a);
	assert_int_equal(loop_timer_set(loop, &a, 0, on_timer_note, (char[]){"a"}), 0);
	assert_int_equal(loop_timer_set(loop, &b, 0, on_timer_note, (char[]){"b"}), 0);
	loop_timer_clear(loop, &a);
	turn();
	turn();
	assert_string_equal(order, "b");
}

static void test_far_timer_does_not_fire_and_is_moved_by_a_second_set(void **state)
{
	struct loop_timer a = {0};

	(void)state;
	assert_int_equal(loop_timer_set(loop, &a, 3600000, on_timer_note, (char[]){"a"}), 0);
	turn();
	assert_string_equal(order, "");
	assert_int_equal(loop_timer_set(loop, &a, 0, on_timer_note, (char[]){"b"}), 0);
	turn();
	turn();
	assert_string_equal(order, "b");
}

struct killer {
	struct loop_timer *victim;
};

static void on_timer_clear_other(void *arg)
{
	struct killer *k = arg;

	note('k');
	loop_timer_clear(loop, k->victim);
	free(k->victim);
}

static void test_timer_may_free_another_that_is_due(void **state)
{
	struct loop_timer a = {0};
	struct killer k = {.victim = calloc(1, sizeof(*k.victim))};

	(void)state;
	assert_non_null(k.victim);
	assert_int_equal(loop_timer_set(loop, &a, 0, on_timer_clear_other, &k), 0);
	assert_int_equal(loop_timer_set(loop, k.victim, 0, on_timer_note, (char[]){"v"}), 0);
	expire(&a, 1);
	turn();
	turn();
	assert_string_equal(order, "k");
}

static void on_timer_again(void *arg)
{
	struct loop_timer *t = arg;

	note('t');
	assert_int_equal(loop_timer_set(loop, t, 3600000, on_timer_again, t), 0);
}

static void test_timer_may_set_itself_again(void **state)
{
	struct loop_timer t = {0};

	(void)state;
	assert_int_equal(loop_timer_set(loop, &t, 0, on_timer_again, &t), 0);
	turn();
	turn();
	assert_string_equal(order, "t");
	assert_int_equal(t.index, 1);
}

static struct loop_defer deferred;

static void on_defer_note(void *arg)
{
	note(*(const char *)arg);
}

static void on_fd_defer(void *arg, uint32_t events)
{
	(void)events;
	note('f');
	loop_defer_set(loop, &deferred, on_defer_note, arg);
	loop_defer_set(loop, &deferred, on_defer_note, arg);
}

static void test_order_of_a_turn_is_descriptors_timers_deferred(void **state)
{
	struct loop_fd s = LOOP_FD_EMPTY;
	struct loop_timer t = {0};
	int fd = ready_fd();

	(void)state;
	assert_int_equal(loop_fd_add(loop, &s, fd, EPOLLIN, on_fd_defer, (char[]){"d"}), 0);
	assert_int_equal(loop_timer_set(loop, &t, 0, on_timer_note, (char[]){"t"}), 0);
	turn();
	assert_string_equal(order, "ftd");
	(void)fd_close(fd);
}

static void on_defer_again(void *arg)
{
	note('d');
	loop_defer_set(loop, arg, on_defer_again, arg);
}

static void test_work_that_defers_itself_runs_once_a_turn(void **state)
{
	struct loop_defer d = {0};

	(void)state;
	loop_defer_set(loop, &d, on_defer_again, &d);
	turn();
	assert_string_equal(order, "d");
	/* With work waiting, a turn does not sleep. */
	assert_int_equal(loop_turn(loop, -1), 0);
	assert_string_equal(order, "dd");
	loop_defer_clear(loop, &d);
	loop_defer_clear(loop, &d);
	turn();
	assert_string_equal(order, "dd");
}

static int child_status;

static void on_child(void *arg, int status)
{
	(void)arg;
	child_status = status;
	loop_stop(loop, 17);
}

static void test_end_of_a_child_arrives_with_its_status(void **state)
{
	struct loop_child c = LOOP_CHILD_EMPTY;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(42);
	assert_int_equal(loop_child_add(loop, &c, pid, on_child, NULL), 0);
	assert_int_equal(loop_run(loop), 17);
	assert_int_equal(WEXITSTATUS(child_status), 42);
	assert_int_equal(c.pid, -1);
	/* It was reaped. */
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_removed_child_is_not_reaped(void **state)
{
	struct loop_child c = LOOP_CHILD_EMPTY;
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(3);
	assert_int_equal(loop_child_add(loop, &c, pid, on_child, NULL), 0);
	loop_child_remove(loop, &c);
	loop_child_remove(loop, &c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
	turn();
	assert_int_equal(loop_child_add(loop, &c, pid, on_child, NULL), -1);
}

static int signal_seen;
static pid_t signal_sender;

static void on_signal(void *arg, int signo, pid_t sender)
{
	(void)arg;
	signal_seen = signo;
	signal_sender = sender;
	loop_stop(loop, 0);
}

static void test_signals_arrive_from_the_loop_with_their_sender(void **state)
{
	(void)state;
	assert_int_equal(loop_signal_add(loop, SIGUSR1, on_signal, NULL), 0);
	assert_int_equal(loop_signal_add(loop, SIGUSR2, on_signal, NULL), 0);
	(void)kill(getpid(), SIGUSR2);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(signal_seen, SIGUSR2);
	assert_int_equal(signal_sender, getpid());
	(void)kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(signal_seen, SIGUSR1);
}

static void test_too_many_signals_are_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < LOOP_SIGNAL_MAX; i++)
		assert_int_equal(loop_signal_add(loop, SIGRTMIN + i, on_signal, NULL), 0);
	assert_int_equal(loop_signal_add(loop, SIGUSR1, on_signal, NULL), -1);
	assert_int_equal(errno, ENOSPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_a_handler_may_free_itself_and_others_that_are_ready),
	        TEST(test_busy_source_is_called_once_a_turn),
	        TEST(test_regular_file_is_an_error_not_a_hang),
	        TEST(test_timers_fire_in_order_of_their_deadlines),
	        TEST(test_cleared_timer_does_not_fire),
	        TEST(test_far_timer_does_not_fire_and_is_moved_by_a_second_set),
	        TEST(test_timer_may_free_another_that_is_due),
	        TEST(test_timer_may_set_itself_again),
	        TEST(test_order_of_a_turn_is_descriptors_timers_deferred),
	        TEST(test_work_that_defers_itself_runs_once_a_turn),
	        TEST(test_end_of_a_child_arrives_with_its_status),
	        TEST(test_removed_child_is_not_reaped),
	        TEST(test_signals_arrive_from_the_loop_with_their_sender),
	        TEST(test_too_many_signals_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
