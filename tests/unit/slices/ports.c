/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, two calls would get the same data channel, a busy pair of qubes would take
 * the ports of the others, or ports would be lost. doc/protocol/qrexec.md, 6.7, cases 15, 16, 32.
 */
#include "slices/qrexec/ports.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slices/qrexec/ports_file.h"

#define OWN  42
#define HOLD 130000

static struct ports ports;
static uint64_t now;

static int set_up(void **state)
{
	(void)state;
	ports_init(&ports, OWN, HOLD);
	now = 1000;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ports_fini(&ports);
	return 0;
}

static uint32_t take(uint32_t domain)
{
	uint32_t port = 0;

	assert_int_equal(ports_take(&ports, domain, now, NULL, &port), 0);
	return port;
}

static void release(uint32_t domain, uint32_t port)
{
	assert_true(ports_release(&ports, domain, port, ++now, NULL));
}

static void test_parity_says_whose_daemon_gave_the_port(void **state)
{
	(void)state;
	assert_int_equal(take(7), 513);
	assert_int_equal(take(OWN), 515);
	assert_int_equal(take(77), 514);
	assert_int_equal(take(43), 516);
	assert_int_equal(take(0), 517);
	assert_int_equal(take(0), 518);
}

static void test_a_returned_port_serves_another_peer_at_once_and_the_same_one_last(void **state)
{
	(void)state;
	assert_int_equal(take(43), 514);
	release(43, 514);
	assert_int_equal(take(44), 514);
	assert_int_equal(take(43), 516);
	release(44, 514);
	for (uint32_t port = 518; port <= 768; port += 2)
		assert_int_equal(take(43), port);
	assert_int_equal(take(43), 514);
	release(43, 600);
	release(43, 520);
	assert_int_equal(take(43), 600);
	assert_int_equal(take(43), 520);
}

static void test_a_peer_with_all_its_ports_takes_none_from_another(void **state)
{
	uint32_t port = 0;

	(void)state;
	for (int i = 0; i < 128; i++)
		(void)take(43);
	assert_true(ports_full(&ports, 43));
	assert_false(ports_full(&ports, 44));
	assert_int_equal(ports_take(&ports, 43, now, NULL, &port), -1);
	for (int i = 0; i < 128; i++)
		(void)take(44);
	for (int i = 0; i < 128; i++)
		(void)take(7);
	for (int i = 0; i < 256; i++)
		(void)take(0);
	assert_int_equal(ports_take(&ports, 0, now, NULL, &port), -1);
	assert_int_equal(ports_used(&ports), 128 * 3 + 256);
}

static void test_release_needs_exactly_that_domain_and_port(void **state)
{
	(void)state;
	assert_int_equal(take(43), 514);
	assert_false(ports_release(&ports, 44, 514, now, NULL));
	assert_false(ports_release(&ports, 43, 516, now, NULL));
	assert_false(ports_release(&ports, 43, 0, now, NULL));
	assert_false(ports_release(&ports, 43, 512, now, NULL));
	assert_false(ports_release(&ports, 43, 769, now, NULL));
	assert_false(ports_release(&ports, 43, UINT32_MAX, now, NULL));
	assert_true(ports_release(&ports, 43, 514, now, NULL));
	assert_false(ports_release(&ports, 43, 514, now, NULL));
	assert_int_equal(ports_used(&ports), 0);
}

static void test_the_owner_comes_back_unless_it_went(void **state)
{
	int owner;
	void *ret = NULL;
	uint32_t port = 0;

	(void)state;
	assert_int_equal(ports_take(&ports, 43, now, &owner, &port), 0);
	assert_true(ports_release(&ports, 43, port, now, &ret));
	assert_ptr_equal(ret, &owner);
	assert_int_equal(ports_take(&ports, 43, now, &owner, &port), 0);
	ports_disown(&ports, 43, port);
	assert_true(ports_release(&ports, 43, port, now, &ret));
	assert_null(ret);
}

static int order[4];
static int n_called;

static void on_free(void *arg)
{
	order[n_called++] = *(int *)arg;
}

static void test_waiters_are_served_in_order_one_for_each_port(void **state)
{
	struct port_wait waits[3] = {0};
	int names[] = {1, 2, 3};

	(void)state;
	n_called = 0;
	assert_int_equal(ports_wait(&ports, 43, &waits[0], on_free, &names[0]), -1);
	assert_int_equal(take(43), 514);
	assert_int_equal(take(43), 516);
	assert_int_equal(take(44), 518);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ports_wait(&ports, 43, &waits[i], on_free, &names[i]), 0);
	release(44, 518);
	assert_int_equal(n_called, 0);
	ports_wait_clear(&waits[1]);
	release(43, 514);
	assert_int_equal(n_called, 1);
	release(43, 516);
	assert_int_equal(n_called, 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 3);
	ports_wait_clear(&waits[0]);
}

/* If this failed, a call would reach the service of an older one, whose caller never came. */
static void test_ports_of_a_lost_connection_are_held(void **state)
{
	uint32_t port = 0;

	(void)state;
	assert_int_equal(take(43), 514);
	assert_int_equal(take(43), 516);
	ports_hold_all(&ports, now);
	assert_int_equal(ports_used(&ports), 0);
	/* The channel's name has the peer in it: another one may have the port. */
	assert_int_equal(take(44), 514);
	for (int i = 2; i < 128; i++)
		assert_int_not_equal(take(43), 514 + (i & 1) * 2);
	assert_true(ports_full(&ports, 43));
	assert_int_equal(ports_take(&ports, 43, now, NULL, &port), -1);
	/* The next connection says that one of the calls is over. */
	release(43, 516);
	assert_int_equal(take(43), 516);
	assert_int_equal(ports_held_until_ms(&ports, 44), 0);
	assert_int_equal(ports_expire(&ports, 1000 + HOLD), 1000 + HOLD + 1);
	assert_int_equal(ports_take(&ports, 43, now, NULL, &port), -1);
	assert_int_equal(ports_expire(&ports, 1000 + HOLD + 1), 0);
	assert_int_equal(take(43), 514);
}

static void test_a_port_with_an_older_call_is_held_again_after_the_first_end(void **state)
{
	(void)state;
	assert_int_equal(take(43), 514);
	ports_hold_all(&ports, now);
	now += HOLD + 1;
	assert_int_equal(ports_expire(&ports, now), 0);
	for (int i = 0; i < 127; i++)
		(void)take(43);
	assert_int_equal(take(43), 514);
	/* Whose end is it? The other call may still have a service that waits. */
	release(43, 514);
	assert_true(ports_full(&ports, 43));
	release(43, 514);
	assert_false(ports_full(&ports, 43));
	assert_int_equal(take(43), 514);
	release(43, 514);
	assert_int_equal(take(43), 514);
}

static void test_who_waits_is_served_when_a_hold_ends(void **state)
{
	struct port_wait waits[2] = {0};
	int names[] = {1, 2};

	(void)state;
	n_called = 0;
	(void)take(43);
	(void)take(43);
	ports_hold_all(&ports, now);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ports_wait(&ports, 43, &waits[i], on_free, &names[i]), 0);
	assert_true(ports_release(&ports, 43, 516, now, NULL));
	assert_int_equal(n_called, 1);
	assert_int_equal(order[0], 1);
	assert_int_equal(ports_expire(&ports, now + HOLD + 1), 0);
	assert_int_equal(n_called, 2);
	assert_int_equal(order[1], 2);
	assert_int_equal(ports_last_ms(&ports, 43), now + HOLD + 1);
}

static const char *file_path(void)
{
	static char path[256];
	const char *dir = getenv("TMPDIR");

	(void)snprintf(path, sizeof(path), "%s/skerry-ports-%ld", dir ? dir : "/tmp",
	               (long)getpid());
	return path;
}

/* A keeper that was killed, and the next one. */
static void next_keeper(void)
{
	struct ports_file *file = ports.file;

	ports.file = NULL;
	ports_fini(&ports);
	ports_file_close(file);
	ports_init(&ports, OWN, HOLD);
	assert_int_equal(ports_remember(&ports, file_path(), ++now), 0);
}

/* If this failed, a call after a keeper's death would reach the service of one before it. */
static void test_ports_of_a_killed_keeper_are_held(void **state)
{
	(void)state;
	(void)unlink(file_path());
	assert_int_equal(ports_remember(&ports, file_path(), now), 0);
	assert_int_equal(take(43), 514);
	assert_int_equal(take(43), 516);
	assert_int_equal(take(7), 513);
	release(43, 514);
	next_keeper();
	assert_int_equal(ports.n_held, 2);
	assert_int_equal(take(43), 514);
	assert_int_equal(take(43), 518);
	assert_int_equal(take(7), 515);
	release(7, 513);
	release(7, 515);
	next_keeper();
	/* 514, 516 and 518 of 43; its holds begin anew. Nothing of 7. */
	assert_int_equal(ports.n_held, 3);
	assert_int_equal(take(7), 513);
	assert_int_equal(take(43), 520);
	assert_int_equal(ports_expire(&ports, now + HOLD), now + HOLD + 1);
	assert_int_equal(ports_expire(&ports, now + HOLD + 1), 0);
	release(7, 513);
	release(43, 520);
	ports_fini(&ports);
	assert_int_equal(access(file_path(), F_OK), -1);
}

static void test_more_peers_than_the_file_has_rows_and_a_file_of_another(void **state)
{
	(void)state;
	(void)unlink(file_path());
	assert_int_equal(ports_remember(&ports, file_path(), now), 0);
	for (uint32_t domain = 100; domain < 100 + PORTS_FILE_ROWS + 10; domain++)
		assert_int_equal(take(domain) % 2, 0);
	next_keeper();
	assert_int_equal(ports.n_held, PORTS_FILE_ROWS);
	ports.file->own = OWN + 1;
	next_keeper();
	assert_int_equal(ports.n_held, 0);
	/* Bytes that no keeper wrote: whatever they say, ports can be had and given back. */
	memset(ports.file->rows, 0x5a, sizeof(ports.file->rows));
	next_keeper();
	release(43, take(43));
	(void)unlink(file_path());
}

static void test_many_peers_are_forgotten_when_idle(void **state)
{
	(void)state;
	for (uint32_t domain = 100; domain < 3000; domain++) {
		release(domain, take(domain));
		now += 2000;
	}
	assert_int_equal(ports_used(&ports), 0);
	assert_int_equal(take(100), 514);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_parity_says_whose_daemon_gave_the_port),
	        TEST(test_a_returned_port_serves_another_peer_at_once_and_the_same_one_last),
	        TEST(test_a_peer_with_all_its_ports_takes_none_from_another),
	        TEST(test_release_needs_exactly_that_domain_and_port),
	        TEST(test_the_owner_comes_back_unless_it_went),
	        TEST(test_waiters_are_served_in_order_one_for_each_port),
	        TEST(test_ports_of_a_lost_connection_are_held),
	        TEST(test_a_port_with_an_older_call_is_held_again_after_the_first_end),
	        TEST(test_who_waits_is_served_when_a_hold_ends),
	        TEST(test_ports_of_a_killed_keeper_are_held),
	        TEST(test_more_peers_than_the_file_has_rows_and_a_file_of_another),
	        TEST(test_many_peers_are_forgotten_when_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
