/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, the kernel of a PVH qube would find no processor but its first, or stop. */
#include "hypervisor/xen/acpi.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

#define ADDRESS 0xFC000000ULL

static uint8_t page[4096];

static uint8_t sum(const uint8_t *data, size_t len)
{
	uint8_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = (uint8_t)(value + data[i]);
	return value;
}

/* A table that an address names: inside the page, with its signature, length and sum. */
static const uint8_t *table_at(uint64_t address, const char *signature)
{
	const uint8_t *table = page + (address - ADDRESS);

	assert_true(address >= ADDRESS && address < ADDRESS + sizeof(page) - 36);
	assert_memory_equal(table, signature, 4);
	assert_true(address - ADDRESS + le32_get(table + 4) <= sizeof(page));
	assert_int_equal(sum(table, le32_get(table + 4)), 0);
	return table;
}

static void check(uint32_t vcpus)
{
	size_t used = xen_acpi_tables(page, ADDRESS, vcpus);
	const uint8_t *xsdt, *fadt, *madt;

	assert_memory_equal(page, "RSD PTR ", 8);
	assert_int_equal(sum(page, 20), 0);
	assert_int_equal(sum(page, 36), 0);
	xsdt = table_at(le64_get(page + 24), "XSDT");
	assert_int_equal(le32_get(xsdt + 4), 36 + 16);
	fadt = table_at(le64_get(xsdt + 36), "FACP");
	madt = table_at(le64_get(xsdt + 44), "APIC");
	(void)table_at(le64_get(fadt + 140), "DSDT");
	assert_int_equal(le32_get(fadt + 112) >> 20 & 1, 1);
	assert_int_equal(le32_get(madt + 4), 44 + 8 * vcpus);
	for (uint32_t i = 0; i < vcpus; i++) {
		const uint8_t *entry = madt + 44 + (size_t)8 * i;

		assert_int_equal(entry[0], 0);
		assert_int_equal(entry[1], 8);
		assert_int_equal(entry[2], i);
		assert_int_equal(entry[3], 2 * i);
		assert_int_equal(le32_get(entry + 4), 1);
	}
	assert_int_equal((size_t)(madt - page) + le32_get(madt + 4), used);
}

static void test_tables_name_each_processor(void **state)
{
	(void)state;
	check(1);
	check(2);
	check(64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tables_name_each_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
