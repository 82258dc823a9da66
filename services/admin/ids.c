/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of USB vendors, products and interfaces: the text file usb.ids of the machine, mapped before
 * files are out of reach and searched when a device appears. Keys are four or two hexadecimal digits.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/admin/device_parse.h"

#define NAME_MAX_LEN 200U

static const char *ids;
static size_t ids_len;

void ids_open(void)
{
	static const char *const paths[] = {"/usr/share/hwdata/usb.ids", "/usr/share/misc/usb.ids",
	                                    "/var/lib/usbutils/usb.ids"};
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_LEN(paths) && !ids; i++) {
		OWNED_FD int fd = -1;
		void *map;

		if (path_make(path, sizeof(path), paths[i], NULL))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) || st.st_size <= 0 || st.st_size > (16 << 20))
			continue;
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			continue;
		ids = map;
		ids_len = (size_t)st.st_size;
	}
}

/* The line that begins with key after from; its end in *end. NULL: none before a line that ends the part. */
static const char *line_of(const char *from, const char *key, bool inner, const char **end)
{
	size_t len = strlen(key);
	const char *at = from, *stop = ids + ids_len, *next;

	for (; at < stop; at = next + 1) {
		next = memchr(at, '\n', (size_t)(stop - at));
		if (!next)
			next = stop;
		if ((size_t)(next - at) > len + 2 && memcmp(at, key, len) == 0 && at[len] == ' ') {
			*end = next;
			return at;
		}
		if (inner && at < stop && *at != '\t' && *at != '#')
			return NULL;
	}
	return NULL;
}

static const char *name_of(const char *line, const char *end, size_t key_len)
{
	static char name[NAME_MAX_LEN];
	size_t len = (size_t)(end - line) - key_len - 2, i;

	if (len >= sizeof(name))
		len = sizeof(name) - 1;
	memcpy(name, line + key_len + 2, len);
	name[len] = 0;
	for (i = 0; i < len; i++)
		if (name[i] < 0x20 || name[i] > 0x7e)
			name[i] = '_';
	return name;
}

static const char *find(const char *outer, const char *inner)
{
	const char *line, *end = NULL;
	size_t len = strlen(outer);

	line = ids ? line_of(ids, outer, false, &end) : NULL;
	if (line && inner) {
		len = strlen(inner);
		line = end < ids + ids_len ? line_of(end + 1, inner, true, &end) : NULL;
	}
	return line ? name_of(line, end, len) : "";
}

const char *ids_usb_vendor(const char *vendor)
{
	return find(vendor, NULL);
}

const char *ids_usb_product(const char *vendor, const char *product)
{
	char key[8];

	snprintf(key, sizeof(key), "\t%.4s", product);
	return find(vendor, key);
}

const char *ids_usb_interface(const char *code)
{
	char outer[8], inner[8];
	const char *name;

	snprintf(outer, sizeof(outer), "C %.2s", code);
	snprintf(inner, sizeof(inner), "\t%.2s", code + 2);
	name = find(outer, inner);
	return name[0] ? name : find(outer, NULL);
}
