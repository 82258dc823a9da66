/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any first line of qubes.USB, and any name of a device. */
#include "proto/services/usb.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char name[64] = {0};
	struct usb_device device;

	if (usb_device_decode((const char *)data, len, &device) == 0)
		CHECK(device.speed >= 1 && device.speed <= 6 && len <= USB_LINE_MAX);
	memcpy(name, data, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	if (usb_busid_legal(name))
		CHECK(!strchr(name, '/') && !strstr(name, "..") && strlen(name) <= USB_BUSID_MAX);
	return 0;
}
