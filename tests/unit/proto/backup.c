/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a backup would save something else than what was chosen, or its service could be crashed. */
#include "proto/backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t packet[BACKUP_PACKET_MAX];
static struct backup_message in, out;

static ssize_t pass_through(void)
{
	ssize_t n = backup_encode(packet, sizeof(packet), &in);

	assert_true(n > 0);
	assert_int_equal(backup_decode(packet, (size_t)n, &out), 0);
	assert_int_equal(out.kind, in.kind);
	return n;
}

static void every_kind(void **state UNUSED)
{
	in = (struct backup_message){.kind = BACKUP_READ, .name = "night"};
	pass_through();
	assert_string_equal(out.name, "night");
	assert_string_equal(out.text, "");
	in = (struct backup_message){.kind = BACKUP_MAKE,
	                             .name = "night",
	                             .profile = {.destination_vm = "dom0",
	                                         .destination_path = "/out",
	                                         .passphrase_text = "secret",
	                                         .compressed = true},
	                             .dirs = {"/var/lib/qubes", "/pool"},
	                             .n_dirs = 2};
	pass_through();
	assert_string_equal(out.profile.passphrase_text, "secret");
	assert_string_equal(out.profile.passphrase_vm, "");
	assert_true(out.profile.compressed);
	assert_int_equal(out.n_dirs, 2);
	assert_string_equal(out.dirs[1], "/pool");
	in = (struct backup_message){.kind = BACKUP_FILE,
	                             .path = "vm1/private.img",
	                             .source = "/x",
	                             .medium = BACKUP_IMAGE};
	pass_through();
	assert_string_equal(out.source, "/x");
	in = (struct backup_message){.kind = BACKUP_PROGRESS, .bytes = 1ULL << 40};
	pass_through();
	assert_int_equal(out.bytes, 1ULL << 40);
	in = (struct backup_message){.kind = BACKUP_FAILED, .code = BACKUP_E_FAILED, .text = "why"};
	pass_through();
	assert_string_equal(out.text, "why");
	for (uint32_t kind = BACKUP_DONE; kind != 0; kind = kind == BACKUP_DONE   ? BACKUP_NEXT
	                                                    : kind == BACKUP_NEXT ? BACKUP_END
	                                                                          : 0) {
		in = (struct backup_message){.kind = kind};
		pass_through();
	}
}

static void lists(void **state UNUSED)
{
	in = (struct backup_message){.kind = BACKUP_PROFILE};
	for (size_t i = 0; i < BACKUP_NAMES_MAX; i++)
		in.profile.include[i] = "$type:AppVM";
	in.profile.n_include = BACKUP_NAMES_MAX;
	pass_through();
	assert_int_equal(out.profile.n_include, BACKUP_NAMES_MAX);
	assert_string_equal(out.profile.include[BACKUP_NAMES_MAX - 1], "$type:AppVM");
	in.profile.n_include++;
	assert_int_equal(backup_encode(packet, sizeof(packet), &in), -1);
}

/* Every byte missing, and one too many. */
static void cut(void **state UNUSED)
{
	ssize_t n;

	in = (struct backup_message){.kind = BACKUP_MAKE, .name = "n", .dirs = {"/a"}, .n_dirs = 1};
	n = pass_through();
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(backup_decode(packet, (size_t)i, &out), -1);
	packet[n] = 0;
	assert_int_equal(backup_decode(packet, (size_t)n + 1, &out), -1);
}

static void refused(void **state UNUSED)
{
	static const struct backup_message bad[] = {
	        {.kind = 0},
	        {.kind = BACKUP_FAILED + 1},
	        {.kind = BACKUP_FAILED, .code = 0},
	        {.kind = BACKUP_FAILED, .code = BACKUP_E_NO_PROFILE + 1},
	        {.kind = BACKUP_FILE, .path = "p", .source = "relative", .medium = BACKUP_IMAGE},
	        {.kind = BACKUP_FILE, .path = "p", .source = "", .medium = BACKUP_TREE},
	        {.kind = BACKUP_FILE, .path = "p", .source = "/x", .medium = BACKUP_MEMORY},
	        {.kind = BACKUP_FILE, .path = "p", .source = "/x", .medium = BACKUP_HOME + 1},
	        {.kind = BACKUP_MAKE, .dirs = {"relative"}, .n_dirs = 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ssize_t n = backup_encode(packet, sizeof(packet), &bad[i]);

		assert_true(n > 0);
		assert_int_equal(backup_decode(packet, (size_t)n, &out), -1);
	}
	/* A NUL inside of a text. */
	in = (struct backup_message){.kind = BACKUP_DONE, .text = "abc"};
	assert_true(backup_encode(packet, sizeof(packet), &in) > 0);
	packet[7] = 0;
	assert_int_equal(backup_decode(packet, 10, &out), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_kind), cmocka_unit_test(lists),
	                                   cmocka_unit_test(cut), cmocka_unit_test(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
