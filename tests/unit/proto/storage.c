/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of the storage service: if this failed, an admin service that was taken over could name a path
 * outside of its pools, or a worker could give it a text that is none.
 */
#include "proto/storage.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct storage_request start(void)
{
	struct storage_request q = {.kind = STORAGE_START,
	                            .serial = 7,
	                            .flags = STORAGE_F_RW | STORAGE_F_SNAP,
	                            .keep = 1,
	                            .size = 1 << 20,
	                            .pool = "varlibqubes",
	                            .source_pool = "varlibqubes",
	                            .vid = "appvms/work/root",
	                            .source = "vm-templates/debian-13/root"};

	return q;
}

static void test_request_comes_back(void **state UNUSED)
{
	struct storage_request q = start(), back;
	uint8_t packet[STORAGE_REQUEST_LEN + 1];

	assert_int_equal(storage_request_encode(packet, sizeof(packet), &q), STORAGE_REQUEST_LEN);
	assert_int_equal(storage_request_decode(packet, STORAGE_REQUEST_LEN, &back), 0);
	assert_memory_equal(&q, &back, sizeof(q));
	assert_int_equal(storage_request_decode(packet, STORAGE_REQUEST_LEN - 1, &back), -1);
	assert_int_equal(storage_request_decode(packet, STORAGE_REQUEST_LEN + 1, &back), -1);
	assert_int_equal(storage_request_encode(packet, STORAGE_REQUEST_LEN - 1, &q), -1);
	/* Something behind the end of a text. */
	packet[224 + 255] = 'x';
	assert_int_equal(storage_request_decode(packet, STORAGE_REQUEST_LEN, &back), -1);
}

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct storage_request q = start();                                                \
		uint8_t packet[STORAGE_REQUEST_LEN];                                               \
                                                                                                   \
		change;                                                                            \
		assert_int_equal(storage_request_encode(packet, sizeof(packet), &q), -1);          \
	} while (0)

static void test_each_rule_of_requests(void **state UNUSED)
{
	REFUSED(q.kind = 0);
	REFUSED(q.kind = 5);
	REFUSED(q.kind = STORAGE_CANCEL + 1);
	REFUSED(q.kind = STORAGE_DONE);
	REFUSED(q.serial = 0);
	REFUSED(q.keep = -2);
	REFUSED(q.keep = STORAGE_KEEP_MAX + 1);
	REFUSED(q.size = STORAGE_SIZE_MAX + 1);
	REFUSED(q.driver = STORAGE_FILE);
	REFUSED(q.flags |= STORAGE_F_OK);
	REFUSED(q.flags |= STORAGE_F_OUTDATED);
	REFUSED(memset(q.pool, 0, sizeof(q.pool)));
	REFUSED(memset(q.vid, 0, sizeof(q.vid)));
	REFUSED(memset(q.source_pool, 0, sizeof(q.source_pool)));
	REFUSED(memcpy(q.revision, "1", 2));
	REFUSED(memcpy(q.dir, "/tmp", 5));
	REFUSED(q.kind = STORAGE_POOL_INFO);
	REFUSED(q.kind = STORAGE_REVERT);
}

static void test_names(void **state UNUSED)
{
	static const char *const good[] = {"a", "appvms/work/private", "6.12.1-1.fc41", "a/b/c/d",
	                                   "_x/9"};
	static const char *const bad[] = {"",     "/a",        "a/",  "a//b", "..", "a/../b",
	                                  ".a",   "a/.b",      "a b", "a%b",  "a~", "-a",
	                                  "a/-b", "a/b/c/d/e", "a\n", "a\x80"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(storage_vid_legal(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(storage_vid_legal(bad[i]));
	assert_true(storage_dir_legal("/var/lib/qubes"));
	assert_false(storage_dir_legal("/"));
	assert_false(storage_dir_legal("/a/"));
	assert_false(storage_dir_legal("/a/../b"));
	assert_false(storage_dir_legal("/a/.."));
	assert_false(storage_dir_legal("/a b"));
	assert_false(storage_dir_legal("a"));
	assert_true(storage_pool_legal("p..q"));
	assert_false(storage_pool_legal(".."));
	assert_true(storage_revision_legal("1"));
	assert_true(storage_revision_legal("qubes:before-start:1"));
	assert_false(storage_revision_legal("../x"));
}

static void test_answers(void **state UNUSED)
{
	struct storage_answer a = {.kind = STORAGE_FAILED,
	                           .serial = 1,
	                           .code = STORAGE_E_IO,
	                           .text = "why"},
	                      back;
	uint8_t packet[STORAGE_ANSWER_LEN];

	assert_int_equal(storage_answer_encode(packet, sizeof(packet), &a), STORAGE_ANSWER_LEN);
	assert_int_equal(storage_answer_decode(packet, sizeof(packet), &back), 0);
	assert_memory_equal(&a, &back, sizeof(a));
	a.text[1] = '\n';
	assert_int_equal(storage_answer_encode(packet, sizeof(packet), &a), -1);
	a.text[1] = 'h';
	a.kind = STORAGE_DONE;
	assert_int_equal(storage_answer_encode(packet, sizeof(packet), &a), -1);
	a.code = 0;
	a.medium = STORAGE_MEDIUM_MAX + 1;
	assert_int_equal(storage_answer_encode(packet, sizeof(packet), &a), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_request_comes_back),
	        cmocka_unit_test(test_each_rule_of_requests),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
