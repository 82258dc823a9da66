/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, a qube's text in xenstore could mislead dom0, or a lost event leave a qube without its end. */
#include "lib/xen/store.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "tests/unit/unit.h"

enum { XS_READ = 2, XS_WATCH = 4, XS_WRITE = 11, XS_SET_PERMS = 14, XS_EVENT = 15, XS_ERROR = 16 };

struct fixture {
	struct store *store;
	int peer;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    store_new(pair[0], &f->store))
		return -1;
	f->peer = pair[1];
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)store_free(f->store);
	(void)fd_close(f->peer);
	free(f);
	return 0;
}

/* What xenstored will say; written before the request, for the store reads no sooner. */
static void say(const struct fixture *f, uint32_t type, uint32_t serial, const char *body,
                size_t len)
{
	uint8_t head[16] = {0};

	le32_put(head, type);
	le32_put(head + 4, serial);
	le32_put(head + 12, (uint32_t)len);
	assert_int_equal(fd_write_all(f->peer, head, sizeof(head)), 0);
	assert_int_equal(fd_write_all(f->peer, body, len), 0);
}

static void expect(const struct fixture *f, uint32_t type, const char *body, size_t len)
{
	uint8_t head[16], got[256];

	assert_int_equal(fd_read_all(f->peer, head, sizeof(head)), 0);
	assert_int_equal(le32_get(head), type);
	assert_int_equal(le32_get(head + 8), 0);
	assert_int_equal(le32_get(head + 12), len);
	assert_int_equal(fd_read_all(f->peer, got, len), 0);
	assert_memory_equal(got, body, len);
}

static void test_requests_on_the_wire(void **state)
{
	struct fixture *f = *state;

	say(f, XS_WRITE, 1, "OK", 3);
	assert_int_equal(store_write(f->store, "a/b", "value"), 0);
	expect(f, XS_WRITE, "a/b\0value", 9);
	say(f, XS_SET_PERMS, 2, "OK", 3);
	assert_int_equal(store_set_access(f->store, "a/b", 5, 7, false), 0);
	expect(f, XS_SET_PERMS, "a/b\0n5\0r7", 10);
	say(f, XS_SET_PERMS, 3, "OK", 3);
	assert_int_equal(store_set_access(f->store, "a", 5, -1, false), 0);
	expect(f, XS_SET_PERMS, "a\0n5", 5);
	say(f, XS_SET_PERMS, 4, "OK", 3);
	assert_int_equal(store_set_access(f->store, "a", 0, STORE_EVERYBODY, false), 0);
	expect(f, XS_SET_PERMS, "a\0r0", 5);
	say(f, XS_WATCH, 5, "OK", 3);
	assert_int_equal(store_watch(f->store, "a", "token"), 0);
	expect(f, XS_WATCH, "a\0token", 8);
}

static void test_values_are_checked(void **state)
{
	struct fixture *f = *state;
	char value[8];
	uint32_t number = 77;

	say(f, XS_READ, 1, "seven77", 7);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), 0);
	assert_string_equal(value, "seven77");
	say(f, XS_READ, 2, "eight888", 8);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	assert_int_equal(errno, E2BIG);
	say(f, XS_READ, 3, "a\0b", 3);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	say(f, XS_ERROR, 4, "ENOENT", 7);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	assert_int_equal(errno, ENOENT);
	say(f, XS_READ, 5, "12345678901234567890", 20);
	assert_int_equal(store_read_number(f->store, "a", 0, UINT32_MAX, &number), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(number, 77);
}

static void test_numbers_are_plain_decimals(void **state)
{
	static const char *const bad[] = {"",   "-1",          "+1",         " 1", "1 ",  "0x1",
	                                  "1.", "99999999999", "4294967296", "9",  "101", "1\n"};
	uint32_t number;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(store_decimal(bad[i], 10, 100, &number));
	assert_true(store_decimal("10", 10, 100, &number) && number == 10);
	assert_true(store_decimal("100", 10, 100, &number) && number == 100);
	assert_true(store_decimal("4294967295", 0, UINT32_MAX, &number) && number == UINT32_MAX);
}

static bool readable(const struct store *store)
{
	struct pollfd look = {.fd = store_fd(store), .events = POLLIN};

	return poll(&look, 1, 0) == 1;
}

static void test_events_come_between_and_are_kept(void **state)
{
	struct fixture *f = *state;
	struct store_event event;
	char value[8];

	assert_int_equal(store_next(f->store, &event), 0);
	assert_false(readable(f->store));
	say(f, XS_EVENT, 0, "a/b\0token", 10);
	say(f, XS_READ, 1, "v", 1);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), 0);
	/* It came before the answer, and nothing more is to come: it must be told of all the same. */
	assert_true(readable(f->store));
	say(f, XS_EVENT, 0, "c\0other", 8);
	assert_int_equal(store_next(f->store, &event), 1);
	assert_string_equal(event.path, "a/b");
	assert_string_equal(event.token, "token");
	assert_int_equal(store_next(f->store, &event), 1);
	assert_string_equal(event.path, "c");
	assert_int_equal(store_next(f->store, &event), 0);
	assert_false(readable(f->store));
}

static void test_events_that_find_no_room_are_one_that_says_so(void **state)
{
	struct fixture *f = *state;
	struct store_event event;
	char value[8];

	for (unsigned int i = 0; i < STORE_EVENTS_MAX + 3; i++)
		say(f, XS_EVENT, 0, "a\0t", 4);
	say(f, XS_READ, 1, "v", 1);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), 0);
	for (unsigned int i = 0; i < STORE_EVENTS_MAX; i++) {
		assert_int_equal(store_next(f->store, &event), 1);
		assert_string_equal(event.token, "t");
	}
	assert_int_equal(store_next(f->store, &event), 1);
	assert_string_equal(event.token, "");
	assert_int_equal(store_next(f->store, &event), 0);
}

static void test_malformed_answers_end_the_connection(void **state)
{
	struct fixture *f = *state;
	struct store_event event;
	char value[8];

	say(f, XS_READ, 9, "v", 1); /* another request's */
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(store_next(f->store, &event), -1);
}

static void test_end_of_xenstored_is_seen(void **state)
{
	struct fixture *f = *state;
	struct store_event event;
	char value[8];

	f->peer = fd_close(f->peer);
	assert_int_equal(store_read(f->store, "a", value, sizeof(value)), -1);
	assert_int_equal(store_next(f->store, &event), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_requests_on_the_wire, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_values_are_checked, set_up, tear_down),
	        cmocka_unit_test(test_numbers_are_plain_decimals),
	        cmocka_unit_test_setup_teardown(test_events_come_between_and_are_kept, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(test_events_that_find_no_room_are_one_that_says_so,
	                                        set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_malformed_answers_end_the_connection, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(test_end_of_xenstored_is_seen, set_up, tear_down),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
