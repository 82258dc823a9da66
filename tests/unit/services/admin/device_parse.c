/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a qube with devices could show a device as another one, or write into a terminal. */
#include "services/admin/device_parse.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct device *blocks[DEVICES_MAX], *usbs[DEVICES_MAX];
static size_t n_blocks, n_usbs;
/* Below /qubes-block-devices/ and /qubes-usb-devices/. */
static struct pair *of_blocks, *of_usbs;
static size_t n_of_blocks, n_of_usbs;

static void block_key(const char *name, const char *value)
{
	pairs_set(&of_blocks, &n_of_blocks, name, value);
}

static void usb_key(const char *name, const char *value)
{
	pairs_set(&of_usbs, &n_of_usbs, name, value);
}

static void read_all(void)
{
	n_blocks = device_parse_block(of_blocks, n_of_blocks, blocks);
	n_usbs = device_parse_usb(of_usbs, n_of_usbs, usbs);
	device_parse_parents("sys-usb", blocks, n_blocks, usbs, n_usbs);
}

static int forget(void **state UNUSED)
{
	for (size_t i = 0; i < n_blocks; i++)
		device_free(blocks[i]);
	for (size_t i = 0; i < n_usbs; i++)
		device_free(usbs[i]);
	n_blocks = n_usbs = 0;
	pairs_free(&of_blocks, &n_of_blocks);
	pairs_free(&of_usbs, &n_of_usbs);
	return 0;
}

static void disks(void **state UNUSED)
{
	block_key("sda1/desc", "My_disk (a\x1b[31m label)");
	block_key("sda1/mode", "r");
	block_key("sda1/parent", "sda");
	block_key("sda/desc", "Disk");
	block_key("sda/parent", "2-1:1.0");
	usb_key("2-1/desc", "0951:1666 Some_maker A\\x20stick 123");
	usb_key("2-1/interfaces", ":080650:030101:");
	read_all();
	assert_int_equal(n_blocks, 2);
	assert_string_equal(blocks[0]->port, "sda");
	assert_string_equal(blocks[0]->identity, "0951:1666:123:u080650u030101:1.0");
	assert_string_equal(blocks[1]->serial, "My disk");
	assert_string_equal(blocks[1]->name, "a_[31m label");
	assert_true(blocks[1]->read_only);
	assert_string_equal(blocks[1]->identity, "0951:1666:123:u080650u030101:1.0:1");
	assert_int_equal(n_usbs, 1);
	assert_string_equal(usbs[0]->port, "2-1");
	assert_string_equal(usbs[0]->manufacturer, "Some maker");
	assert_string_equal(usbs[0]->interfaces, "u080650u030101");
}

static void ports_that_are_none(void **state UNUSED)
{
	static const char *const bad[] = {
	        "SDA/desc",   "sd a/desc", "../x/desc",  "/desc",      "sda",
	        "sda/x/desc", "sda;/desc", "a\x1b/desc", "sda_1/desc", "abcdefghijklm/desc"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		block_key(bad[i], "x");
	read_all();
	assert_int_equal(n_blocks, 0);
	assert_int_equal(n_usbs, 0);
}

static void usb_ports(void **state UNUSED)
{
	static const char *const bad[] = {"1/desc",     "-1/desc",   "1-/desc",  "1_1/desc",
	                                  "1-1-1/desc", "1-1_/desc", "1-a/desc", "1--1/desc"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		usb_key(bad[i], "0951:1666 a b c");
	usb_key("1-1_4/desc", "0951:1666 a b c");
	usb_key("1-2/desc", "0951:166G a b c");
	usb_key("1-3/interfaces", "::::::zz:08065:0806g0");
	read_all();
	assert_int_equal(n_usbs, 3);
	assert_string_equal(usbs[0]->port, "1-1.4");
	assert_string_equal(usbs[1]->identity, "0000:0000::?******");
	assert_string_equal(usbs[2]->interfaces, "?******");
}

/* A device that names itself, or one that is not there, as its parent. */
static void parents(void **state UNUSED)
{
	block_key("sda/parent", "sda");
	block_key("sdb/parent", "sdz");
	block_key("sdc/parent", "../../x");
	block_key("sdd/parent", "1-1:../x");
	block_key("sde/parent", "");
	read_all();
	assert_int_equal(n_blocks, 5);
	for (size_t i = 0; i < n_blocks; i++)
		assert_true(strlen(blocks[i]->identity) < 8);
	assert_string_equal(blocks[2]->parent, "");
	assert_string_equal(blocks[3]->parent, "");
}

static void too_many(void **state UNUSED)
{
	char name[32];

	for (unsigned int i = 0; i < DEVICES_MAX + 50; i++) {
		snprintf(name, sizeof(name), "sd%u/desc", i);
		block_key(name, "x");
		snprintf(name, sizeof(name), "1-%u/desc", i);
		usb_key(name, "x");
	}
	read_all();
	assert_int_equal(n_blocks, DEVICES_MAX);
	assert_int_equal(n_usbs, DEVICES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(disks, forget),
	        cmocka_unit_test_teardown(ports_that_are_none, forget),
	        cmocka_unit_test_teardown(usb_ports, forget),
	        cmocka_unit_test_teardown(parents, forget),
	        cmocka_unit_test_teardown(too_many, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
