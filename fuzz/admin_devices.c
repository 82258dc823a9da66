/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices as a qube describes them in its QubesDB: every text that is kept may be shown, ports have their
 * form, whatever the keys and values are. Input: keys and values, each ended by a NUL.
 */
#include "services/admin/device_parse.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void shown(const char *s)
{
	for (; *s; s++)
		CHECK(*s >= 0x20 && *s <= 0x7e);
}

static void check(const struct device *d)
{
	CHECK(d->port[0] && strlen(d->port) < DEVICE_PORT_LEN && !strchr(d->port, '/'));
	CHECK(strlen(d->interfaces) % INTERFACE_LEN == 0);
	shown(d->port);
	shown(d->identity);
	shown(d->vendor);
	shown(d->product);
	shown(d->manufacturer);
	shown(d->name);
	shown(d->serial);
	shown(d->parent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct device *blocks[DEVICES_MAX], *usbs[DEVICES_MAX];
	struct pair *pairs = NULL;
	size_t n = 0, n_blocks, n_usbs, i;
	const char *at = (const char *)data, *end = at + len;

	while (at < end && n < 512) {
		const char *key_end = memchr(at, 0, (size_t)(end - at)), *value;

		value = key_end ? key_end + 1 : NULL;
		if (!value || value >= end || !memchr(value, 0, (size_t)(end - value)))
			break;
		pairs_set(&pairs, &n, at, value);
		at = value + strlen(value) + 1;
	}
	n_blocks = device_parse_block(pairs, n, blocks);
	n_usbs = device_parse_usb(pairs, n, usbs);
	device_parse_parents("sys-usb", blocks, n_blocks, usbs, n_usbs);
	for (i = 0; i < n_blocks; i++) {
		check(blocks[i]);
		device_free(blocks[i]);
	}
	for (i = 0; i < n_usbs; i++) {
		check(usbs[i]);
		device_free(usbs[i]);
	}
	pairs_free(&pairs, &n);
	return 0;
}
