/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a new monitor does not find the qubes that run, or takes a stranger for one of them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/paths.h"
#include "process/link.h"
#include "process/proc.h"
#include "process/record.h"
#include "tests/unit/unit.h"

static char root[] = "/tmp/process-XXXXXX";
static struct loop *loop;
static int ended_status;
static int n_ended;

static void on_end(void *arg, int wait_status)
{
	(void)arg;
	ended_status = wait_status;
	n_ended++;
}

static pid_t child(int status)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (status < 0)
			for (;;)
				(void)pause();
		_exit(status);
	}
	return pid;
}

static void turn_until(const int *n, int wanted)
{
	while (*n < wanted)
		assert_int_equal(loop_turn(loop, 10000), 0);
}

static void test_proc_child(void **state)
{
	struct proc p = PROC_EMPTY;
	pid_t pid = child(7);

	(void)state;
	n_ended = 0;
	assert_int_equal(proc_watch(loop, &p, pid, on_end, NULL), 0);
	assert_true(proc_runs(&p));
	turn_until(&n_ended, 1);
	assert_true(WIFEXITED(ended_status) && WEXITSTATUS(ended_status) == 7);
	assert_false(proc_runs(&p));
	assert_int_equal(waitpid(pid, NULL, 0), -1);
	pid = child(-1);
	assert_int_equal(proc_watch(loop, &p, pid, on_end, NULL), 0);
	proc_signal(&p, SIGKILL);
	turn_until(&n_ended, 2);
	assert_true(WIFSIGNALED(ended_status) && WTERMSIG(ended_status) == SIGKILL);
}

/* A number names nobody: only with its moment of start is a process the one that was meant. */
static void test_proc_adopt(void **state)
{
	struct proc p = PROC_EMPTY;
	pid_t pid = child(-1);
	uint64_t start = 0;

	(void)state;
	assert_int_equal(proc_start_time(pid, &start), 0);
	assert_int_equal(proc_adopt(loop, &p, pid, start + 1, on_end, NULL), -1);
	assert_int_equal(errno, ESRCH);
	assert_false(proc_runs(&p));
	assert_int_equal(proc_kill_wait(pid, start + 1, 1000), 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(proc_adopt(loop, &p, pid, start, on_end, NULL), 0);
	proc_forget(&p);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(proc_kill_wait(pid, start, 5000), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_adopt(loop, &p, pid, start, on_end, NULL), -1);
	assert_int_equal(proc_adopt(loop, &p, 0, start, on_end, NULL), -1);
	assert_int_equal(proc_start_time(pid, &start), -1);
	assert_int_equal(errno, ESRCH);
}

static struct record sample(void)
{
	struct record r = {.kind = RECORD_KEEPER, .domid = 5, .pid = 4242, .start = 1ULL << 40};

	memcpy(r.name, "work", 5);
	memset(r.uuid, 0xaa, sizeof(r.uuid));
	r.data[RECORD_DATA_MAX - 1] = 99;
	return r;
}

static void test_record_bytes(void **state)
{
	struct record in = sample(), out;
	uint8_t data[RECORD_LEN + 1] = {0};

	(void)state;
	record_encode(data, &in);
	assert_int_equal(record_decode(data, RECORD_LEN, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(record_decode(data, RECORD_LEN - 1, &out), -1);
	assert_int_equal(record_decode(data, RECORD_LEN + 1, &out), -1);
	data[0] ^= 1; /* magic */
	assert_int_equal(record_decode(data, RECORD_LEN, &out), -1);
	in.kind = RECORD_MAX + 1;
	record_encode(data, &in);
	assert_int_equal(record_decode(data, RECORD_LEN, &out), -1);
	in = sample();
	in.domid = MONITOR_DOMID_MAX + 1;
	record_encode(data, &in);
	assert_int_equal(record_decode(data, RECORD_LEN, &out), -1);
	in = sample();
	in.name[0] = '/';
	record_encode(data, &in);
	assert_int_equal(record_decode(data, RECORD_LEN, &out), -1);
	in = sample();
	in.pid = UINT32_MAX;
	record_encode(data, &in);
	assert_int_equal(record_decode(data, RECORD_LEN, &out), -1);
}

static int n_seen;
static struct record seen;

static void on_record(void *arg, const struct record *record)
{
	(void)arg;
	n_seen++;
	seen = *record;
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void test_record_files(void **state)
{
	struct record in = sample(), out;
	int dir = record_open();

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(record_read(dir, in.kind, in.domid, &out), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(record_write(dir, &in), 0);
	in.pid = 4343;
	assert_int_equal(record_write(dir, &in), 0);
	assert_int_equal(record_read(dir, in.kind, in.domid, &out), 0);
	assert_int_equal(out.pid, 4343);
	/* Left behind by a starter that died while it wrote; and what is no record at all. */
	put(dir, "4.6.new", "half");
	put(dir, "4.7", "nonsense");
	n_seen = 0;
	assert_int_equal(record_each(dir, RECORD_KEEPER, on_record, NULL), 1);
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen.pid, 4343);
	assert_int_equal(faccessat(dir, "4.7", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "4.6.new", F_OK, 0), 0);
	assert_int_equal(record_each(dir, RECORD_QUBE, on_record, NULL), 0);
	record_remove(dir, in.kind, in.domid);
	record_remove(dir, in.kind, in.domid);
	assert_int_equal(record_each(dir, RECORD_KEEPER, on_record, NULL), 0);
	(void)unlinkat(dir, "4.6.new", 0);
	(void)close(dir);
}

static int n_messages;
static int n_ends;
static struct monitor_message last;

static void on_message(void *arg, const struct monitor_message *message)
{
	(void)arg;
	n_messages++;
	last = *message;
}

static void on_link_end(void *arg)
{
	(void)arg;
	n_ends++;
}

/* The other side takes nothing for a while: all comes, in order, when it does. */
static void test_link_waits(void **state)
{
	struct link link = LINK_EMPTY, other = LINK_EMPTY;
	struct monitor_message m = {.kind = MONITOR_DONE};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(link_open(&link, loop, pair[0], on_message, on_link_end, NULL), 0);
	for (uint32_t i = 1; i <= 5000; i++) {
		m.serial = i;
		link_send(&link, &m);
	}
	assert_true(link.waiting > 0);
	n_messages = 0;
	assert_int_equal(link_open(&other, loop, pair[1], on_message, on_link_end, NULL), 0);
	turn_until(&n_messages, 5000);
	assert_int_equal(last.serial, 5000);
	assert_int_equal(link.waiting, 0);
	n_ends = 0;
	link_close(&link);
	turn_until(&n_ends, 1);
	assert_false(link_is_open(&other));
	link_send(&other, &m);
}

static void test_link_nonsense(void **state)
{
	struct link link = LINK_EMPTY;
	uint8_t data[64] = {200};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(link_open(&link, loop, pair[0], on_message, on_link_end, NULL), 0);
	n_ends = n_messages = 0;
	assert_int_equal(send(pair[1], data, sizeof(data), 0), sizeof(data));
	turn_until(&n_ends, 1);
	assert_int_equal(n_messages, 0);
	(void)close(pair[1]);
}

/* Somebody who never reads does not fill our memory. */
static void test_link_bound(void **state)
{
	struct link link = LINK_EMPTY;
	struct monitor_message m = {.kind = MONITOR_CREATE};
	int pair[2];

	(void)state;
	memcpy(m.create.name, "a", 2);
	memcpy(m.create.default_user, "u", 2);
	m.create.vcpus = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(link_open(&link, loop, pair[0], on_message, on_link_end, NULL), 0);
	n_ends = 0;
	for (int i = 0; i < 2000; i++)
		link_send(&link, &m);
	assert_true(link.waiting <= LINK_WAITING_MAX);
	turn_until(&n_ends, 1);
	(void)close(pair[1]);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	paths_set_root(root);
	loop = loop_new();
	return loop ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	loop = loop_free(loop);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"/run/skerry/records", "/run/skerry", "/run",
		                                    ""};

		(void)snprintf(path, sizeof(path), "%s%s", root, names[i]);
		if (rmdir(path))
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_proc_child),   cmocka_unit_test(test_proc_adopt),
	        cmocka_unit_test(test_record_bytes), cmocka_unit_test(test_record_files),
	        cmocka_unit_test(test_link_waits),   cmocka_unit_test(test_link_nonsense),
	        cmocka_unit_test(test_link_bound),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
