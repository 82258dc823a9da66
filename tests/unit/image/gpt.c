/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, dom0's disk would not be found again, or firmware would call its table broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/gpt.h"
#include "lib/crc/crc32.h"
#include "tests/unit/unit.h"

#define BYTES (16U << 20)

static uint8_t disk[BYTES];
static const uint8_t id[32] = {1, 2, 3, [16] = 4, 5, 6, [31] = 7};

static uint64_t get(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | at[len];
	return value;
}

/* A disk with a table, in memory. */
static void make(uint64_t bytes, uint32_t sector, const char *name)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)bytes), 0);
	assert_int_equal(gpt_write(fileno(file), bytes, sector, id, name), 0);
	assert_int_equal(pread(fileno(file), disk, bytes, 0), (ssize_t)bytes);
	(void)fclose(file);
}

static void check_head(uint64_t sector_len, uint64_t at, uint64_t other)
{
	uint8_t head[92];
	const uint8_t *table;

	memcpy(head, disk + at * sector_len, sizeof(head));
	assert_memory_equal(head, "EFI PART\0\0\1\0", 12);
	assert_int_equal(get(head + 24, 8), at);
	assert_int_equal(get(head + 32, 8), other);
	assert_memory_equal(head + 56, id, 16);
	table = disk + get(head + 72, 8) * sector_len;
	assert_int_equal(get(head + 88, 4), crc32_update(0, table, 128 * 128));
	/* The copy at the end stands behind everything that may be used, the first before it. */
	assert_true(at == 1 ? get(head + 72, 8) == 2 : get(head + 72, 8) > get(head + 48, 8));
	assert_true(get(table + 32, 8) >= get(head + 40, 8));
	assert_true(get(table + 40, 8) <= get(head + 48, 8));
	assert_int_equal(get(table + 32, 8) * sector_len, 1 << 20);
	assert_int_equal((get(table + 40, 8) + 1) * sector_len % (1 << 20), 0);
	assert_int_equal(get(table + 56, 2), 'd');
	memset(head + 16, 0, 4);
	assert_int_equal(get(disk + at * sector_len + 16, 4), crc32_update(0, head, sizeof(head)));
}

static void test_both_copies_are_whole(void **state)
{
	static const uint32_t sectors[] = {512, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		uint64_t last = BYTES / sectors[i] - 1;

		make(BYTES, sectors[i], "data");
		check_head(sectors[i], 1, last);
		check_head(sectors[i], last, 1);
		assert_int_equal(disk[450], 0xee);
		assert_int_equal(get(disk + 510, 2), 0xaa55);
	}
}

static void test_a_new_name_keeps_the_identity(void **state)
{
	FILE *file = tmpfile();
	uint8_t found[32];

	(void)state;
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), BYTES), 0);
	assert_int_equal(gpt_identity(fileno(file), 512, found), -1);
	assert_int_equal(gpt_write(fileno(file), BYTES, 512, id, "new"), 0);
	assert_int_equal(gpt_identity(fileno(file), 512, found), 0);
	assert_memory_equal(found, id, 32);
	(void)fclose(file);
}

/* The data's partition ends where the slots begin, and what has them is found again after a second writing. */
static void test_a_large_disk_has_slots(void **state)
{
	static const struct {
		const char *name;
		uint64_t mib;
	} rows[] = {{"data", 0}, {GPT_SLOT_A, 256}, {GPT_SLOT_B, 256}, {GPT_STATE, 1}};
	static const uint32_t sectors[] = {512, 4096};
	static uint8_t table[128 * 128], again[128 * 128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		FILE *file = tmpfile();
		int fd = fileno(file);
		uint64_t next = (1 << 20) / sectors[i];

		assert_int_equal(ftruncate(fd, (off_t)GPT_SLOTS_FROM), 0);
		assert_int_equal(gpt_write(fd, GPT_SLOTS_FROM, sectors[i], id, "new"), 0);
		assert_int_equal(pread(fd, again, sizeof(again), 2 * (off_t)sectors[i]),
		                 (ssize_t)sizeof(again));
		assert_int_equal(gpt_write(fd, GPT_SLOTS_FROM, sectors[i], id, "data"), 0);
		assert_int_equal(pread(fd, table, sizeof(table), 2 * (off_t)sectors[i]),
		                 (ssize_t)sizeof(table));
		assert_memory_equal(table + 128, again + 128, sizeof(table) - 128);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
			const uint8_t *entry = table + 128 * k;
			uint64_t begin = get(entry + 32, 8), end = get(entry + 40, 8);

			assert_int_equal(begin, next);
			next = end + 1;
			for (size_t c = 0; c <= strlen(rows[k].name); c++)
				assert_int_equal(get(entry + 56 + 2 * c, 2), rows[k].name[c]);
			if (rows[k].mib)
				assert_int_equal((next - begin) * sectors[i], rows[k].mib << 20);
			for (size_t other = 0; other < k; other++)
				assert_memory_not_equal(entry + 16, table + 128 * other + 16, 16);
		}
		assert_true(next * sectors[i] <= GPT_SLOTS_FROM - 128 * 128 - sectors[i]);
		assert_int_equal(get(table + 128 * ARRAY_LEN(rows), 8), 0);
		(void)fclose(file);
	}
	/* A byte less, and it has one partition, as before. */
	{
		FILE *file = tmpfile();

		assert_int_equal(ftruncate(fileno(file), (off_t)GPT_SLOTS_FROM), 0);
		assert_int_equal(gpt_write(fileno(file), GPT_SLOTS_FROM - 512, 512, id, "data"), 0);
		assert_int_equal(pread(fileno(file), table, sizeof(table), 1024),
		                 (ssize_t)sizeof(table));
		assert_int_equal(get(table + 128, 8), 0);
		(void)fclose(file);
	}
}

static void test_what_cannot_hold_it_is_refused(void **state)
{
	(void)state;
	assert_int_equal(gpt_write(-1, (8 << 20) - 1, 512, id, "x"), -1);
	assert_int_equal(gpt_write(-1, BYTES, 520, id, "x"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_both_copies_are_whole),
	        cmocka_unit_test(test_a_new_name_keeps_the_identity),
	        cmocka_unit_test(test_a_large_disk_has_slots),
	        cmocka_unit_test(test_what_cannot_hold_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
