/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/vchan/stash.h"

#include <stdlib.h>
#include <string.h>

#include "lib/vchan/vchan.h"

int stash_fill(struct stash *stash, struct vchan *vchan, size_t wanted, size_t max)
{
	if (!stash->bytes)
		stash->bytes = malloc(max);
	if (!stash->bytes)
		return -1;
	while (stash->len < wanted) {
		ssize_t n = vchan_read(vchan, stash->bytes + stash->len, wanted - stash->len);

		if (n <= 0)
			return n < 0 ? -1 : 0;
		stash->len += (size_t)n;
	}
	return 0;
}

size_t stash_take(struct stash *stash, void *buf, size_t len)
{
	size_t n = MIN(len, stash->len);

	if (n == 0)
		return 0;
	memcpy(buf, stash->bytes, n);
	stash->len -= n;
	memmove(stash->bytes, stash->bytes + n, stash->len);
	return n;
}
