/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first program of a qube whose start is measured: says in xenstore that it runs. In dom0 it also stands for
 * Xen's script for disks, /etc/xen/scripts/block, which needs a shell: xl is spared that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/xen/store.h"

/* The bench has one disk, the first loop device. */
static int disk_is_there(struct store *store, const char *backend)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/physical-device", backend);
	if (store_write(store, path, "7:0"))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/hotplug-status", backend);
	return store_write(store, path, "connected") != 0;
}

int main(int argc, char **argv)
{
	const char *backend = getenv("XENBUS_PATH");
	struct store *store;

	(void)argv;
	if (backend)
		return argc < 2 || store_open(&store) || disk_is_there(store, backend);
	if (store_open(&store) || store_write(store, "data/mark", "1"))
		perror("xenstore");
	for (;;)
		(void)pause();
}
