/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, a signed text would be taken for more than it says. */
#include "proto/image/release.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define D     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD  "skerry-image 1\nversion 7\ncreated 10\nexpires 11\nafter 0\n"
#define PARTS "part initramfs.gz 1 " D "\npart vmlinuz 1073741824 " D "\npart xen.gz 3 " D "\n"

static int decode(const char *text, struct release *r)
{
	return release_decode(text, strlen(text), r);
}

static void test_release_is_read(void **state)
{
	static const char text[] = HEAD PARTS;
	char again[RELEASE_MAX];
	struct release r;

	assert_int_equal(decode(text, &r), 0);
	assert_int_equal(r.version, 7);
	assert_int_equal(r.created, 10);
	assert_int_equal(r.expires, 11);
	assert_int_equal(r.n_parts, 3);
	assert_string_equal(r.parts[1].name, "vmlinuz");
	assert_int_equal(r.parts[1].size, RELEASE_PART_MAX);
	assert_int_equal(r.parts[2].sha256[1], 0x23);
	assert_int_equal(release_encode(again, &r), strlen(text));
	assert_memory_equal(again, text, strlen(text));
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(release_decode(text, i, &r), -1);
	assert_int_equal(decode("skerry-image 1\nversion 18446744073709551615\ncreated 0\n"
	                        "expires 253402300799\nafter 18446744073709551615\n" PARTS,
	                        &r),
	                 0);
	assert_true(r.version == UINT64_MAX && r.after == UINT64_MAX);
}

static void test_release_has_one_spelling(void **state)
{
	static const char *const bad[] = {
	        "",
	        HEAD,
	        " " HEAD PARTS,
	        HEAD PARTS "\n",
	        HEAD PARTS "x",
	        "skerry-image 2\nversion 7\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 0\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 07\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion +7\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion -7\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion \ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 18446744073709551616\ncreated 10\nexpires 11\nafter "
	        "0\n" PARTS,
	        "skerry-image 1\r\nversion 7\ncreated 10\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 7\ncreated 11\nexpires 11\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 7\ncreated 1\nexpires 253402300800\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 7\nexpires 11\ncreated 10\nafter 0\n" PARTS,
	        "skerry-image 1\nversion 7\ncreated 10\nexpires 11\n" PARTS,
	        HEAD "part vmlinuz 1 " D "\npart xen.gz 3 " D "\n",
	        HEAD "part initramfs.gz 1 " D "\npart xen.gz 3 " D "\n",
	        HEAD "part initramfs.gz 1 " D "\npart vmlinuz 3 " D "\n",
	        HEAD "part vmlinuz 1 " D "\npart initramfs.gz 1 " D "\npart xen.gz 3 " D "\n",
	        HEAD "part initramfs.gz 1 " D "\n" PARTS,
	        HEAD "part a/b 1 " D "\n" PARTS,
	        HEAD "part .a 1 " D "\n" PARTS,
	        HEAD "part -a 1 " D "\n" PARTS,
	        HEAD "part A 1 " D "\n" PARTS,
	        HEAD "part  1 " D "\n" PARTS,
	        HEAD "part abcdefghijklmnopqrstuvwxyz012345 1 " D "\n" PARTS,
	        HEAD "part a 0 " D "\n" PARTS,
	        HEAD "part a 1073741825 " D "\n" PARTS,
	        HEAD "part a 1  " D "\n" PARTS,
	        HEAD
	        "part a 1 0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n" PARTS,
	        HEAD "part a 1 " D "0\n" PARTS,
	};
	struct release r;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(decode(bad[i], &r), -1);
		assert_int_equal(r.version, 0);
	}
	assert_int_equal(release_decode(HEAD "part a\0 1 " D "\n" PARTS,
	                                sizeof(HEAD "part a\0 1 " D "\n" PARTS) - 1, &r),
	                 -1);
}

static void test_release_has_so_many_parts(void **state)
{
	char text[RELEASE_MAX + 1];
	struct release r;
	int n;

	for (unsigned int more = 5; more <= 6; more++) {
		n = snprintf(text, sizeof(text), "%s", HEAD);
		for (unsigned int i = 0; i < more; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "part a%u 1 %s\n", i, D);
		(void)snprintf(text + n, sizeof(text) - (size_t)n, "%s", PARTS);
		assert_int_equal(decode(text, &r), more == 5 ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_release_is_read),
	        cmocka_unit_test(test_release_has_one_spelling),
	        cmocka_unit_test(test_release_has_so_many_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
