/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, an acknowledged change would be stored as something else. */
#include "services/admin/store.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint8_t packet[STORE_PACKET_MAX + 1];
static struct store_packet out;

static size_t pass_through(const struct store_packet *in)
{
	size_t n = store_encode(packet, STORE_PACKET_MAX, in);

	assert_true(n > 0);
	assert_int_equal(store_decode(packet, n, &out), 0);
	assert_int_equal(out.kind, in->kind);
	assert_int_equal(out.seq, in->seq);
	return n;
}

static void rows(void **state UNUSED)
{
	const struct store_packet row = {.kind = STORE_ROW,
	                                 .seq = 1ULL << 40,
	                                 .row = 3,
	                                 .owner = "o",
	                                 .name = "n",
	                                 .value = "v"};
	const struct store_packet gone = {
	        .kind = STORE_ROW, .seq = 1, .row = 3, .owner = "", .name = "n"};

	pass_through(&row);
	assert_string_equal(out.value, "v");
	pass_through(&gone);
	assert_null(out.value);
	pass_through(&(struct store_packet){.kind = STORE_REFUSED, .seq = 1, .text = "disk full"});
	assert_string_equal(out.text, "disk full");
	pass_through(&(struct store_packet){.kind = STORE_DURABLE, .seq = UINT64_MAX});
}

static void cut(void **state UNUSED)
{
	const struct store_packet row = {.kind = STORE_ROW,
	                                 .seq = 1,
	                                 .row = 3,
	                                 .owner = "owner",
	                                 .name = "name",
	                                 .value = "value"};
	size_t n = pass_through(&row);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(store_decode(packet, i, &out), -1);
	packet[n] = 0;
	assert_int_equal(store_decode(packet, n + 1, &out), -1);
	/* A NUL inside of the owner. */
	packet[4 + 8 + 16 + 2] = 0;
	assert_int_equal(store_decode(packet, n, &out), -1);
}

static void bounds(void **state UNUSED)
{
	static char value[STORE_VALUE_MAX + 2];
	struct store_packet row = {
	        .kind = STORE_ROW, .seq = 1, .row = 3, .owner = "o", .name = "n", .value = value};
	size_t n;

	memset(value, 'x', STORE_VALUE_MAX);
	pass_through(&row);
	assert_int_equal(strlen(out.value), STORE_VALUE_MAX);
	value[STORE_VALUE_MAX] = 'x';
	n = store_encode(packet, sizeof(packet), &row);
	assert_true(n == 0 || store_decode(packet, n, &out) == -1);
	memset(packet, 0, 12);
	assert_int_equal(store_decode(packet, 12, &out), -1);
	packet[0] = STORE_KINDS;
	assert_int_equal(store_decode(packet, 12, &out), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(cut),
	                                   cmocka_unit_test(bounds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
