/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/check.h"
#include "lib/crc/crc32.h"

/* One read; a failed one is an end. */
static bool more(struct input *in)
{
	ssize_t n;

	if (in->at == in->len)
		in->at = in->len = 0;
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
	if (in->at == in->len && !more(in))
		return 0;
	*ret_untrusted = in->data + in->at;
	return in->len - in->at;
}

void input_take(struct input *in, size_t len)
{
	CHECK(len <= in->len - in->at);
	in->crc = crc32_update(in->crc, in->data + in->at, len);
	in->at += len;
}

bool input_exact(struct input *in, void *untrusted_dst, size_t len)
{
	CHECK(len <= sizeof(in->data));
	if (in->len - in->at < len) {
		memmove(in->data, in->data + in->at, in->len - in->at);
		in->len -= in->at;
		in->at = 0;
	}
	while (in->len - in->at < len) {
		if (!more(in))
			return false;
	}
	memcpy(untrusted_dst, in->data + in->at, len);
	input_take(in, len);
	return true;
}
