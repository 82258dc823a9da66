/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * If one of these failed, a call would reach another service than the administrator meant, or a TCP
 * port that nobody allowed.
 */
#include "call/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/qrexec.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/sk-lookup-XXXXXX";

static void make(const char *name, mode_t mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	(void)close(fd);
}

/* The status of a lookup in first:second; what was found in *found. */
static int look(const char *call, struct service_found *found)
{
	struct service_command command;
	char line[1024];
	int r;

	(void)snprintf(line, sizeof(line), "user:QUBESRPC %s source", call);
	assert_int_equal(service_parse(line, false, &command), 0);
	r = service_find(&command, "first:second", "", found);
	service_command_fini(&command);
	return r;
}

static void test_directories_and_names_in_order(void **state)
{
	struct service_found found;

	make("first/both", 0755);
	make("second/both+arg", 0755);
	assert_int_equal(look("both+arg", &found), 0);
	assert_string_equal(found.path, "second/both+arg");
	assert_int_equal(look("both+other", &found), 0);
	assert_string_equal(found.path, "first/both");
	make("first/plus+", 0755);
	make("first/plus", 0755);
	assert_int_equal(look("plus", &found), 0);
	assert_string_equal(found.path, "first/plus+");
	assert_int_equal(look("absent", &found), QREXEC_EXIT_NOT_FOUND);
}

static void test_what_is_broken_does_not_fall_back(void **state)
{
	struct service_found found;

	make("second/broken", 0755);
	assert_int_equal(symlink("/dev/null/none", "first/broken"), 0);
	assert_int_equal(look("broken", &found), QREXEC_EXIT_PROBLEM);
	make("second/dangling", 0755);
	assert_int_equal(symlink("nowhere", "first/dangling"), 0);
	assert_int_equal(look("dangling", &found), 0);
	assert_string_equal(found.path, "second/dangling");
	make("first/plain", 0644);
	assert_int_equal(look("plain", &found), QREXEC_EXIT_PROBLEM);
}

static void test_long_names_are_absent_in_their_round(void **state)
{
	struct service_found found;
	char call[512] = "long+";

	make("first/long", 0755);
	memset(call + 5, 'a', 300);
	assert_int_equal(look(call, &found), 0);
	assert_string_equal(found.path, "first/long");
}

static void test_tcp_links(void **state)
{
	static const struct {
		const char *link;
		const char *argument;
		const char *host; /* NULL: refused */
		const char *port;
	} rows[] = {
	        {"/dev/tcp/127.0.0.1/80", "", "127.0.0.1", "80"},
	        {"/dev/tcp/127.0.0.1/80", "+x", NULL, NULL},
	        {"/dev/tcp/127.0.0.1", "+65535", "127.0.0.1", "65535"},
	        {"/dev/tcp/127.0.0.1", "+65536", NULL, NULL},
	        {"/dev/tcp/127.0.0.1", "+080", NULL, NULL},
	        {"/dev/tcp/127.0.0.1", "+0", NULL, NULL},
	        {"/dev/tcp/127.0.0.1", "", NULL, NULL},
	        {"/dev/tcp/::1", "+22", "::1", "22"},
	        {"/dev/tcp", "+127.0.0.1+22", "127.0.0.1", "22"},
	        {"/dev/tcp", "+++1+22", "::1", "22"},
	        {"/dev/tcp", "+host_name+22", NULL, NULL},
	        {"/dev/tcp", "+localhost+22", NULL, NULL},
	        {"/dev/tcp", "+127.0.0.1", NULL, NULL},
	        {"/dev/tcp", "", NULL, NULL},
	        {"/dev/tcp/", "+127.0.0.1+22", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct service_found found;
		char call[128];
		int r;

		(void)unlink("first/tcp");
		assert_int_equal(symlink(rows[i].link, "first/tcp"), 0);
		(void)snprintf(call, sizeof(call), "tcp%s", rows[i].argument);
		r = look(call, &found);
		if (!rows[i].host) {
			assert_int_equal(r, QREXEC_EXIT_PROBLEM);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(found.kind, SERVICE_TCP);
		assert_string_equal(found.host, rows[i].host);
		assert_string_equal(found.port, rows[i].port);
	}
}

static int set_up(void **state)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("first", 0755), 0);
	assert_int_equal(mkdir("second", 0755), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"first/both",      "second/both+arg", "first/plus+",
	                                    "first/plus",      "second/broken",   "first/broken",
	                                    "second/dangling", "first/dangling",  "first/plain",
	                                    "first/long",      "first/tcp"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(names[i]);
	(void)rmdir("first");
	(void)rmdir("second");
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_directories_and_names_in_order),
	        cmocka_unit_test(test_what_is_broken_does_not_fall_back),
	        cmocka_unit_test(test_long_names_are_absent_in_their_round),
	        cmocka_unit_test(test_tcp_links),
	};

	return cmocka_run_group_tests_name("lookup", tests, set_up, tear_down);
}
