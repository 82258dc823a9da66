/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/usb.h"

#include <string.h>

/* speed in Mbit/s as the exporting kernel names it, and the number that vhci_hcd takes. */
static const struct {
	const char *text;
	int number;
} speeds[] = {{"1.5", 1},  {"12", 2},    {"480", 3},  {"53.3-480", 4},
              {"5000", 5}, {"10000", 6}, {"20000", 6}};

int usb_device_decode(const char *line, size_t len, struct usb_device *out)
{
	uint64_t devid = 0;
	size_t at = 0;

	if (len == 0 || len > USB_LINE_MAX || line[len - 1] != '\n')
		return -1;
	len--;
	for (; at < len && line[at] >= '0' && line[at] <= '9'; at++) {
		devid = devid * 10 + (uint64_t)(line[at] - '0');
		if (devid > UINT32_MAX)
			return -1;
	}
	if (at == 0 || at == len || line[at] != ' ')
		return -1;
	at++;
	for (size_t i = 0; i < ARRAY_LEN(speeds); i++) {
		if (strlen(speeds[i].text) == len - at &&
		    memcmp(speeds[i].text, line + at, len - at) == 0) {
			*out = (struct usb_device){.devid = (uint32_t)devid,
			                           .speed = speeds[i].number};
			return 0;
		}
	}
	return -1;
}

static size_t digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* 0xVVVV.0xPPPP */
static bool is_product(const char *text)
{
	for (int i = 0; i < 2; i++) {
		if (strncmp(text, "0x", 2) != 0 || strspn(text + 2, "0123456789abcdefABCDEF") != 4)
			return false;
		text += 6;
		if (*text != (i == 0 ? '.' : '\0'))
			return false;
		text++;
	}
	return true;
}

bool usb_busid_legal(const char *busid)
{
	size_t n = digits(busid);

	if (strlen(busid) > USB_BUSID_MAX)
		return false;
	if (is_product(busid))
		return true;
	if (n == 0 || busid[n] != '-')
		return false;
	for (busid += n + 1; (n = digits(busid)) > 0; busid += n + 1) {
		if (busid[n] == '\0')
			return true;
		if (busid[n] != '.')
			return false;
	}
	return false;
}
