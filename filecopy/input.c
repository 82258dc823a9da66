/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/crc/crc32.h"

uint32_t input_crc(struct input *in)
{
	in->crc = crc32_update(in->crc, in->data + in->summed, in->at - in->summed);
	in->summed = in->at;
	return in->crc;
}

/* What was not taken moves to the beginning of the buffer. */
static void make_room(struct input *in)
{
	(void)input_crc(in);
	memmove(in->data, in->data + in->at, in->len - in->at);
	in->len -= in->at;
	in->at = in->summed = 0;
}

/* One read; a failed one is an end. */
static bool more(struct input *in)
{
	ssize_t n;

	in->reads++;
	do {
		n = read(in->fd, in->data + in->len, sizeof(in->data) - in->len);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	in->len += (size_t)n;
	return true;
}

size_t input_peek(struct input *in, const uint8_t **ret_untrusted)
{
	if (in->at == in->len) {
		make_room(in);
		if (!more(in))
			return 0;
	}
	*ret_untrusted = in->data + in->at;
	return in->len - in->at;
}

void input_take(struct input *in, size_t len)
{
	CHECK(len <= in->len - in->at);
	in->at += len;
}

bool input_exact(struct input *in, void *untrusted_dst, size_t len)
{
	CHECK(len <= sizeof(in->data));
	if (in->len - in->at < len)
		make_room(in);
	while (in->len - in->at < len) {
		if (!more(in))
			return false;
	}
	memcpy(untrusted_dst, in->data + in->at, len);
	input_take(in, len);
	return true;
}
