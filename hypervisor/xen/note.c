/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a toolstack writes down of its domains: below /tool/skerry, which is dom0's alone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"

#define FOLDER "/tool/skerry/domain"

static void note_path(char path[XEN_PATH_MAX], int domid, const char *name)
{
	(void)snprintf(path, XEN_PATH_MAX, FOLDER "/%d/%s", domid, name);
}

int xen_note_write(struct xen_ground *ground, int domid, const char *name, const char *value)
{
	char path[XEN_PATH_MAX];

	note_path(path, domid, name);
	return store_write(ground->store, path, value);
}

int xen_note_read(struct xen_ground *ground, int domid, const char *name, char *value, size_t max)
{
	char path[XEN_PATH_MAX];

	note_path(path, domid, name);
	return store_read(ground->store, path, value, max);
}

int xen_note_drop(struct xen_ground *ground, int domid)
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), FOLDER "/%d", domid);
	return store_remove(ground->store, path);
}

int xen_note_each(struct xen_ground *ground, void (*fn)(void *arg, int domid), void *arg)
{
	char names[STORE_PAYLOAD_MAX];
	uint32_t domid;
	size_t len;

	if (store_list(ground->store, FOLDER, names, &len))
		return errno == ENOENT ? 0 : -1;
	for (size_t at = 0; at < len; at += strlen(names + at) + 1)
		if (store_decimal(names + at, 1, 0x7FEF, &domid))
			fn(arg, (int)domid);
	return 0;
}
