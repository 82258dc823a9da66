/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices as a qube describes them. Contract: device_parse.h. */
#include "services/admin/device_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/request.h"

#define BLOCK_PORT_SET "abcdefghijklmnopqrstuvwxyz" SET_DIGITS "-"
#define BLOCK_PORT_MAX 12U
#define TEXT_MAX       256U
#define HEX            "0123456789abcdef"

static bool shown(char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* At most TEXT_MAX characters, '_' for what may not be shown. */
static char *clean(const char *untrusted_text, size_t len)
{
	char *out;
	size_t i;

	if (len > TEXT_MAX)
		len = TEXT_MAX;
	out = memory_get(len + 1);
	for (i = 0; i < len; i++)
		out[i] = shown(untrusted_text[i]) ? untrusted_text[i] : '_';
	return out;
}

/* Splits PORT/KEY; false: not of that form. */
static bool split(const char *untrusted_name, char port[DEVICE_PORT_LEN], const char **key)
{
	const char *slash = strchr(untrusted_name, '/');
	size_t len = slash ? (size_t)(slash - untrusted_name) : 0;

	if (len == 0 || len >= DEVICE_PORT_LEN || strchr(slash + 1, '/'))
		return false;
	memcpy(port, untrusted_name, len);
	port[len] = 0;
	*key = slash + 1;
	return true;
}

static const char *value_of(const struct pair *pairs, size_t n, const char *port, const char *key)
{
	char name[2 * DEVICE_PORT_LEN];

	snprintf(name, sizeof(name), "%s/%s", port, key);
	return pairs_get(pairs, n, name);
}

static struct device *new_device(enum device_class klass, const char *port)
{
	struct device *d = memory_get(sizeof(*d));

	d->klass = klass;
	memcpy(d->port, port, strlen(port) + 1);
	d->identity = memory_text("");
	d->vendor = memory_text("");
	d->product = memory_text("");
	d->manufacturer = memory_text("");
	d->name = memory_text("");
	d->serial = memory_text("");
	d->interfaces = memory_text("");
	return d;
}

static void put(char **slot, char *given)
{
	free(*slot);
	*slot = given;
}

static bool known(struct device *const *list, size_t n, const char *port)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i]->port, port) == 0)
			return true;
	return false;
}

static int by_port(const void *a, const void *b)
{
	struct device *const *x = a, *const *y = b;

	return strcmp((*x)->port, (*y)->port);
}

/* Parent: PORT of a block device, or PORT:INTERFACE of a usb device. */
static void block_parent(struct device *d, const char *untrusted_parent)
{
	const char *colon = strchr(untrusted_parent, ':');
	size_t len = colon ? (size_t)(colon - untrusted_parent) : strlen(untrusted_parent);
	const char *set = colon ? SET_DIGITS "-." : BLOCK_PORT_SET;

	if (len == 0 || len >= DEVICE_PORT_LEN)
		return;
	memcpy(d->parent, untrusted_parent, len);
	d->parent[len] = 0;
	if (!request_safe(d->parent, set) || (colon && !request_safe(colon + 1, SET_DIGITS "."))) {
		d->parent[0] = 0;
		return;
	}
	d->parent_class = colon ? DEVICE_USB : DEVICE_BLOCK;
	/* What follows the parent's identity, until that is known. */
	put(&d->identity, clean(colon ? colon : "", colon ? strlen(colon) : 0));
}

/* NAME (LABEL): underscores stand for spaces. */
static void block_names(struct device *d, const char *untrusted_desc)
{
	const char *open = strrchr(untrusted_desc, '(');
	size_t len = open ? (size_t)(open - untrusted_desc) : strlen(untrusted_desc);
	size_t label = open ? strlen(open + 1) : 0, i;

	while (len > 0 && untrusted_desc[len - 1] == ' ')
		len--;
	put(&d->serial, clean(untrusted_desc, len));
	for (i = 0; d->serial[i]; i++)
		if (d->serial[i] == '_')
			d->serial[i] = ' ';
	if (label > 0 && open[label] == ')')
		label--;
	if (label > 0)
		put(&d->name, clean(open + 1, label));
}

static struct device *block(const struct pair *pairs, size_t n, const char *port)
{
	const char *desc = value_of(pairs, n, port, "desc"),
	           *mode = value_of(pairs, n, port, "mode");
	const char *parent = value_of(pairs, n, port, "parent");
	struct device *d;
	size_t digits = strlen(port);
	char identity[32];

	d = new_device(DEVICE_BLOCK, port);
	d->read_only = mode && strcmp(mode, "r") == 0;
	put(&d->interfaces, memory_text("b******"));
	block_names(d, desc ? desc : "");
	if (parent)
		block_parent(d, parent);
	while (digits > 0 && isdigit((unsigned char)port[digits - 1]))
		digits--;
	if (d->parent[0] && d->parent_class == DEVICE_USB)
		return d;
	snprintf(identity, sizeof(identity), ":%s", port + digits);
	put(&d->identity, memory_text(identity));
	return d;
}

size_t device_parse_block(const struct pair *untrusted_pairs, size_t n, struct device **ret)
{
	char port[DEVICE_PORT_LEN];
	const char *key;
	size_t i, found = 0;

	for (i = 0; i < n && found < DEVICES_MAX; i++) {
		if (!split(untrusted_pairs[i].name, port, &key) || strlen(port) > BLOCK_PORT_MAX ||
		    !request_safe(port, BLOCK_PORT_SET) || known(ret, found, port))
			continue;
		ret[found++] = block(untrusted_pairs, n, port);
	}
	qsort(ret, found, sizeof(ret[0]), by_port);
	return found;
}

/* B-P[_P]*: underscores are dots. */
static bool usb_port(const char *untrusted_id, char port[DEVICE_PORT_LEN])
{
	const char *p = untrusted_id;
	size_t i, digits = 0;
	bool dash = false;

	for (i = 0; p[i]; i++) {
		if (isdigit((unsigned char)p[i])) {
			digits++;
		} else if (digits > 0 && ((p[i] == '-' && !dash) || (p[i] == '_' && dash))) {
			dash = dash || p[i] == '-';
			digits = 0;
		} else {
			return false;
		}
		port[i] = p[i] == '_' ? '.' : p[i];
	}
	port[i] = 0;
	return dash && digits > 0;
}

/* The next word; \xHH is one character. */
static char *word(const char **at)
{
	size_t n = strcspn(*at, " "), i, len = 0;
	char *out = memory_get(n + 1);
	unsigned int byte;

	for (i = 0; i < n; i++, len++) {
		if ((*at)[i] == '\\' && i + 3 < n && (*at)[i + 1] == 'x' &&
		    isxdigit((unsigned char)(*at)[i + 2]) &&
		    isxdigit((unsigned char)(*at)[i + 3]) &&
		    sscanf(*at + i + 2, "%2x", &byte) == 1) {
			out[len] = (char)byte;
			i += 3;
		} else {
			out[len] = (*at)[i] == '_' ? ' ' : (*at)[i];
		}
		if (!shown(out[len]))
			out[len] = '_';
	}
	out[MIN(len, (size_t)TEXT_MAX)] = 0;
	*at += n;
	while (**at == ' ')
		(*at)++;
	return out;
}

/* VVVV:PPPP MANUFACTURER PRODUCT SERIAL */
static bool usb_names(struct device *d, const char *untrusted_desc)
{
	const char *at = untrusted_desc;
	char *id = word(&at);
	bool ok =
	        strlen(id) == 9 && id[4] == ':' && strspn(id, HEX) == 4 && strspn(id + 5, HEX) == 4;
	AUTO_TEXT identity = {0};

	if (ok) {
		put(&d->manufacturer, word(&at));
		put(&d->product, word(&at));
		put(&d->serial, word(&at));
		text_printf(&identity, "%s:%s:%s", id, d->serial, d->interfaces);
		put(&d->identity, text_take(&identity));
		id[4] = 0;
		put(&d->vendor, memory_text(ids_usb_vendor(id)));
		if (ids_usb_product(id, id + 5)[0])
			put(&d->product, memory_text(ids_usb_product(id, id + 5)));
		/* The original shows the serial number as the name; its clients know it so. */
		put(&d->name, memory_text(d->serial));
	}
	free(id);
	return ok;
}

/* :CCSSPP:CCSSPP: */
static void usb_interfaces(struct device *d, const char *untrusted_text)
{
	AUTO_TEXT codes = {0};
	const char *at = untrusted_text;
	size_t n = 0;

	while (*at && n < INTERFACES_MAX) {
		if (strspn(at, HEX) == 6 && (at[6] == ':' || !at[6])) {
			text_char(&codes, 'u');
			text_add(&codes, at, 6);
			n++;
			at += 6;
		} else {
			at++;
		}
	}
	if (codes.len)
		put(&d->interfaces, text_take(&codes));
}

static struct device *usb(const struct pair *pairs, size_t n, const char *id, const char *port)
{
	const char *desc = value_of(pairs, n, id, "desc");
	const char *interfaces = value_of(pairs, n, id, "interfaces");
	struct device *d = new_device(DEVICE_USB, port);

	put(&d->interfaces, memory_text("?******"));
	if (interfaces)
		usb_interfaces(d, interfaces);
	if (!desc || !usb_names(d, desc)) {
		AUTO_TEXT identity = {0};

		text_printf(&identity, "0000:0000::%s", d->interfaces);
		put(&d->identity, text_take(&identity));
	}
	return d;
}

size_t device_parse_usb(const struct pair *untrusted_pairs, size_t n, struct device **ret)
{
	char id[DEVICE_PORT_LEN], port[DEVICE_PORT_LEN];
	const char *key;
	size_t i, found = 0;

	for (i = 0; i < n && found < DEVICES_MAX; i++) {
		if (!split(untrusted_pairs[i].name, id, &key) || !usb_port(id, port) ||
		    known(ret, found, port))
			continue;
		ret[found++] = usb(untrusted_pairs, n, id, port);
	}
	qsort(ret, found, sizeof(ret[0]), by_port);
	return found;
}

static struct device *find(struct device *const *list, size_t n, const char *port)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i]->port, port) == 0)
			return list[i];
	return NULL;
}

void device_parse_parents(const char *backend, struct device *const *blocks, size_t n_blocks,
                          struct device *const *usbs, size_t n_usbs)
{
	size_t i, pass;

	/* Disks on usb devices first, then partitions on disks. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < n_blocks; i++) {
			struct device *d = blocks[i];
			const struct device *parent;
			AUTO_TEXT identity = {0};
			AUTO_TEXT from = {0};

			if (pass == 0 && !d->parent[0]) {
				text_printf(&from, "hosted by %s", backend);
				put(&d->manufacturer, text_take(&from));
			}
			if (!d->parent[0] || (d->parent_class == DEVICE_USB) != (pass == 0))
				continue;
			parent = d->parent_class == DEVICE_USB ? find(usbs, n_usbs, d->parent)
			                                       : find(blocks, n_blocks, d->parent);
			if (parent && parent != d)
				text_puts(&identity, parent->identity);
			text_puts(&identity, d->identity);
			put(&d->identity, text_take(&identity));
			text_printf(&from, "sub-device of %s:%s", backend, d->parent);
			put(&d->manufacturer, text_take(&from));
		}
}
