/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of classes of devices, and the end of a device. Pure. Contract: devices.h. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/devices.h"

static const char *const names[DEVICE_CLASSES] = {
        [DEVICE_BLOCK] = "block",
        [DEVICE_MIC] = "mic",
        [DEVICE_PCI] = "pci",
        [DEVICE_USB] = "usb",
};

const char *device_class_name(enum device_class klass)
{
	return names[klass];
}

enum device_class device_class_by_name(const char *name)
{
	enum device_class c;

	for (c = 0; c < DEVICE_CLASSES; c++)
		if (strcmp(names[c], name) == 0)
			return c;
	return DEVICE_CLASSES;
}

struct device *device_free(struct device *d)
{
	free(d->identity);
	free(d->vendor);
	free(d->product);
	free(d->manufacturer);
	free(d->name);
	free(d->serial);
	free(d->interfaces);
	pairs_free(&d->data, &d->n_data);
	free(d);
	return NULL;
}
