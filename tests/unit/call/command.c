/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a command from dom0 would run as another user or be taken for another service. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/service.h"
#include "lib/base/log.h"

struct row {
	const char *line;
	bool dom0;
	int r;
	const char *user;
	bool nogui;
	const char *command;
	const char *full_name; /* NULL: a shell command */
	const char *service;
	const char *argument;
	const char *source;
	const char *target_type;
	const char *target;
};

#define RPC "QUBESRPC "

static const struct row rows[] = {
        {"user:echo a:b", false, 0, "user", false, "echo a:b", NULL, NULL, NULL, NULL, NULL, NULL},
        {"user:nogui:echo", false, 0, "user", true, "echo", NULL, NULL, NULL, NULL, NULL, NULL},
        {"echo", false, 125, "", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {":echo", false, 125, "", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"", false, 125, "", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"echo a:b", true, 0, "", false, "echo a:b", NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "s d", false, 0, "u", false, RPC "s d", "s", "s", NULL, "d", NULL, NULL},
        {"u:" RPC "s+ d", false, 0, "u", false, RPC "s+ d", "s+", "s", "", "d", NULL, NULL},
        {"u:" RPC "s+a+b d", false, 0, "u", false, RPC "s+a+b d", "s+a+b", "s", "a+b", "d", NULL,
         NULL},
        {"u:nogui:" RPC "s d", false, 0, "u", true, RPC "s d", "s", "s", NULL, "d", NULL, NULL},
        {RPC "s+a d name t", true, 0, "", false, RPC "s+a d name t", "s+a", "s", "a", "d", "name",
         "t"},
        {RPC "s d keyword adminvm", true, 0, "", false, RPC "s d keyword adminvm", "s", "s", NULL,
         "d", "keyword", "adminvm"},
        {RPC "s d other t", true, 125, "", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC " s d", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "s  d", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "s ", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "s", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:QUBESRPC", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:QUBESRPCs d", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "+a d", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
        {"u:" RPC "../s d", false, 125, "u", false, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static void assert_text(const char *got, const char *wanted)
{
	if (wanted)
		assert_string_equal(got, wanted);
	else
		assert_null(got);
}

static void test_command_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct service_command out;
		int r = service_parse(row->line, row->dom0, &out);

		if (r != row->r)
			fail_msg("row %zu (%s): %d", i, row->line, r);
		if (r == 0) {
			assert_string_equal(out.user, row->user);
			assert_int_equal(out.nogui, row->nogui);
			assert_string_equal(out.command, row->command);
			assert_int_equal(out.is_rpc, row->full_name != NULL);
			assert_text(out.full_name, row->full_name);
			assert_text(out.service, row->service);
			assert_text(out.argument, row->argument);
			assert_text(out.source, row->source);
			assert_text(out.target_type, row->target_type);
			assert_text(out.target, row->target);
		}
		service_command_fini(&out);
	}
}

/* name of n bytes, argument of m (0: none) */
static int parse_sized(size_t n, size_t m)
{
	char *line = malloc(n + m + 32);
	struct service_command out;
	int r;
	char *p;

	assert_non_null(line);
	p = stpcpy(line, "u:" RPC);
	memset(p, 's', n);
	p += n;
	if (m > 0) {
		*p++ = '+';
		memset(p, 'a', m);
		p += m;
	}
	(void)stpcpy(p, " d");
	r = service_parse(line, false, &out);
	service_command_fini(&out);
	free(line);
	return r;
}

static void test_command_lengths(void **state)
{
	(void)state;
	assert_int_equal(parse_sized(254, 0), 0);
	assert_int_equal(parse_sized(255, 0), 0);
	assert_int_equal(parse_sized(256, 0), 125);
	assert_int_equal(parse_sized(1, 64999 - 2), 0);
	assert_int_equal(parse_sized(1, 65000 - 2), 125);
}

static void test_command_descriptor_is_everything_after_the_word(void **state)
{
	struct service_command out;

	(void)state;
	assert_int_equal(service_parse("u:" RPC "s+a d x y z", false, &out), 0);
	assert_string_equal(out.descriptor, "s+a d x y z");
	assert_int_equal(out.descriptor_len, sizeof("s+a d x y z"));
	assert_int_equal(out.n_tokens, 5);
	service_command_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_command_rows),
	        cmocka_unit_test(test_command_lengths),
	        cmocka_unit_test(test_command_descriptor_is_everything_after_the_word),
	};

	log_set_fd(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
