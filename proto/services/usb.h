/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_USB_H
#define PROTO_SERVICES_USB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * A USB device of another qube (qubes.USB): the line before the USB/IP stream, and the names of devices.
 * The stream itself goes to the kernel. Pure. Source: doc/protocol/services.md, USB.
 */

#define USB_LINE_MAX  32 /* bytes: a 32-bit number, a speed, a newline; chosen */
#define USB_BUSID_MAX 31

struct usb_device {
	uint32_t devid; /* bus << 16 | device */
	int speed;      /* as vhci_hcd takes it: 1 … 6 */
};

/**
 * usb_device_decode() - "DEVID SPEED" and a newline
 * @line:  hostile
 * Errors: 0; -1: not of the form, a number that does not fit, or a speed that there is not.
 * Test:   tests/unit/proto/services/usb.c, fuzz/usb.c
 */
int usb_device_decode(const char *line, size_t len, struct usb_device *out) MUST_CHECK;

/** usb_busid_legal() - N-N, N-N.N…, or 0xVVVV.0xPPPP */
bool usb_busid_legal(const char *busid);

#endif
