/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/image/newc.h"

#include <stdio.h>
#include <string.h>

/* Fields of 8 hexadecimal digits behind the magic, by number. */
enum { FIELD_MODE = 1, FIELD_LINKS = 4, FIELD_SIZE = 6, FIELD_NAME_LEN = 11, FIELDS = 13 };
static const char magic[6] = {'0', '7', '0', '7', '0', '1'};

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int field(const uint8_t *untrusted_digits, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < 8; i++) {
		int value = digit(untrusted_digits[i]);

		if (value < 0)
			return -1;
		*ret = *ret << 4 | (uint32_t)value;
	}
	return 0;
}

int newc_decode(const uint8_t untrusted_head[NEWC_HEAD_LEN], struct newc_head *ret)
{
	uint32_t fields[FIELDS];

	if (memcmp(untrusted_head, magic, sizeof(magic)) != 0)
		return -1;
	for (size_t i = 0; i < FIELDS; i++) {
		if (field(untrusted_head + sizeof(magic) + 8 * i, &fields[i]))
			return -1;
	}
	if (fields[FIELD_NAME_LEN] < 2 || fields[FIELD_NAME_LEN] > NEWC_NAME_MAX)
		return -1;
	*ret = (struct newc_head){.mode = fields[FIELD_MODE],
	                          .size = fields[FIELD_SIZE],
	                          .name_len = fields[FIELD_NAME_LEN]};
	return 0;
}

int newc_name_check(const char *untrusted_name, size_t len)
{
	size_t n = strnlen(untrusted_name, len);

	if (n == 0 || n == len)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (i < n ? untrusted_name[i] <= ' ' || untrusted_name[i] > '~'
		          : untrusted_name[i] != '\0')
			return -1;
	}
	return 0;
}

void newc_encode(uint8_t out[NEWC_HEAD_LEN], const struct newc_head *head)
{
	uint32_t fields[FIELDS] = {[FIELD_MODE] = head->mode,
	                           [FIELD_LINKS] = 1,
	                           [FIELD_SIZE] = head->size,
	                           [FIELD_NAME_LEN] = head->name_len};
	char text[9];

	memcpy(out, magic, sizeof(magic));
	for (size_t i = 0; i < FIELDS; i++) {
		(void)snprintf(text, sizeof(text), "%08x", fields[i]);
		memcpy(out + sizeof(magic) + 8 * i, text, 8);
	}
}
