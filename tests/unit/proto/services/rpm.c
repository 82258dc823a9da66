/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, bytes that nobody signed could be taken for a package's, or lead the reader out of them. */
#include "proto/services/rpm.h"

#include <string.h>

#include "proto/services/updates.h"
#include "tests/unit/unit.h"

/* The beginning of a signature by RSA and SHA-256, of 3 + 40 bytes. */
static const uint8_t packet[43] = {0x89, 0, 40, 4, 0, 1, 8};

static size_t canonical(uint8_t out[RPM_CANONICAL_MAX])
{
	const struct rpm_signature signature = {.tag = 268,
	                                        .openpgp = packet,
	                                        .len = sizeof(packet)};
	const struct rpm_package package = {.name = "skerry-dom0"};
	const uint8_t digest[RPM_DIGEST_LEN] = {0xab, 1};

	return rpm_canonical_encode(out, &signature, &package, digest);
}

static enum rpm_result read_back(const uint8_t *bytes, size_t len, struct rpm_signature *ret)
{
	struct rpm_size size;
	enum rpm_result r = rpm_lead_check(bytes);

	if (r == RPM_OK)
		r = rpm_prefix_decode(bytes + RPM_LEAD_LEN, RPM_SIGNATURE_MAX, &size);
	if (r == RPM_OK &&
	    RPM_LEAD_LEN + RPM_PREFIX_LEN + rpm_size_rest(&size) + rpm_padding(&size) != len)
		r = RPM_E_PREFIX;
	if (r == RPM_OK)
		r = rpm_signature_decode(bytes + RPM_LEAD_LEN + RPM_PREFIX_LEN, &size, ret);
	return r;
}

static void test_canonical_is_read(void **state)
{
	uint8_t bytes[RPM_CANONICAL_MAX];
	struct rpm_signature signature;
	size_t len = canonical(bytes);

	assert_int_equal(len % 8, 0);
	assert_int_equal(read_back(bytes, len, &signature), RPM_OK);
	assert_int_equal(signature.tag, 268);
	assert_int_equal(signature.len, sizeof(packet));
	assert_memory_equal(signature.openpgp, packet, sizeof(packet));
}

/* One spelling of everything: of a changed bit only the contents of name, signature and digest pass. */
static void test_every_bit_counts(void **state)
{
	uint8_t bytes[RPM_CANONICAL_MAX];
	size_t len = canonical(bytes);
	size_t data = RPM_LEAD_LEN + RPM_PREFIX_LEN + 3 * (size_t)RPM_ENTRY_LEN;
	size_t passed = 0;

	for (size_t bit = 0; bit < len * 8; bit++) {
		struct rpm_signature signature;
		bool content = (bit / 8 >= 7 && bit / 8 < 78) ||
		               (bit / 8 >= data && bit / 8 < data + sizeof(packet) + 64) ||
		               bit / 8 >= len - 7;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_back(bytes, len, &signature) == RPM_OK) {
			passed++;
			if (!content)
				print_message("# bit %zu of byte %zu\n", bit % 8, bit / 8);
			assert_true(content);
		}
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(passed > 0);
}

static void test_openpgp_kinds(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{0, 0x8a}, {0, 0x88}, {0, 0xc2}, {0, 0x99}, {2, 39}, {2, 41}, {3, 3},
	           {3, 6},    {4, 1},    {4, 0x10}, {5, 2},    {5, 16}, {6, 2},  {6, 11}};
	uint8_t bytes[sizeof(packet)];
	uint32_t tag = 0;

	assert_int_equal(rpm_openpgp_check(packet, sizeof(packet), &tag), RPM_OK);
	assert_int_equal(tag, 268);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(bytes, packet, sizeof(packet));
		bytes[bad[i].at] = bad[i].value;
		print_message("# byte %zu = %d\n", bad[i].at, bad[i].value);
		assert_int_equal(rpm_openpgp_check(bytes, sizeof(bytes), &tag), RPM_E_SIGNATURE);
	}
	memcpy(bytes, packet, sizeof(packet));
	bytes[5] = 22;
	assert_int_equal(rpm_openpgp_check(bytes, sizeof(bytes), &tag), RPM_OK);
	assert_int_equal(tag, 267);
	for (size_t len = 0; len < sizeof(packet); len++)
		assert_int_equal(rpm_openpgp_check(packet, len, &tag), RPM_E_SIGNATURE);
}

static void test_sizes(void **state)
{
	static const struct {
		uint32_t n, len;
		bool good;
	} rows[] = {{2, 16, true},       {1, 16, false},          {0, 16, false},
	            {2, 15, false},      {65535, 1 << 10, false}, {65536, 16, false},
	            {2, 1 << 20, false}, {100, 1000, true},       {0xffffffff, 0xffffffff, false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t prefix[RPM_PREFIX_LEN] = {0x8e, 0xad, 0xe8, 1};
		struct rpm_size size;

		for (size_t k = 0; k < 4; k++) {
			prefix[8 + k] = (uint8_t)(rows[i].n >> (24 - 8 * k));
			prefix[12 + k] = (uint8_t)(rows[i].len >> (24 - 8 * k));
		}
		assert_int_equal(rpm_prefix_decode(prefix, RPM_SIGNATURE_MAX, &size) == RPM_OK,
		                 rows[i].good);
	}
}

/* dom0-updates-003 */
static void test_file_names(void **state)
{
	static const char *const good[] = {"a.rpm", "0.rpm", "kernel-6.1-2.x86_64.rpm",
	                                   "b+c~1^2_.rpm"};
	static const char *const bad[] = {"",        ".rpm",     "rpm",     "-a.rpm",
	                                  "_a.rpm",  "a b.rpm",  "a.deb",   "a.rpm ",
	                                  "a/b.rpm", "../a.rpm", "a.rpm\n", "\xc3\xa4.rpm"};
	char longest[256 + 4 + 2];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(updates_package_name_legal(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(updates_package_name_legal(bad[i]));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest + 256, ".rpm", 5);
	assert_true(updates_package_name_legal(longest));
	memcpy(longest + 257, ".rpm", 5);
	assert_false(updates_package_name_legal(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_canonical_is_read), cmocka_unit_test(test_every_bit_counts),
	        cmocka_unit_test(test_openpgp_kinds),     cmocka_unit_test(test_sizes),
	        cmocka_unit_test(test_file_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
