/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a template's payload: the image is never longer than was said, and whole only if all was right. */
#include "tools/template/payload.h"

#include <string.h>

#include "lib/base/check.h"

#define WRITTEN_MAX (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct memory {
	const uint8_t *data;
	size_t len;
	uint64_t size, written;
	unsigned int begun;
};

static int take(void *ctx, void *data, size_t len)
{
	struct memory *m = ctx;

	if (len > m->len)
		return -1;
	memcpy(data, m->data, len);
	m->data += len;
	m->len -= len;
	return 0;
}

static int begin(void *ctx, uint64_t size)
{
	struct memory *m = ctx;

	CHECK(size > 0 && size <= PAYLOAD_ROOT_MAX && m->begun++ == 0);
	m->size = size;
	return 0;
}

static int put(void *ctx, const void *data, size_t len)
{
	struct memory *m = ctx;

	(void)data;
	m->written += len;
	CHECK(m->begun && m->written <= m->size);
	return m->written > WRITTEN_MAX ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct memory m = {.data = data, .len = len};
	const struct payload_io io = {.ctx = &m, .read = take, .begin = begin, .write = put};
	static struct payload_info info;
	enum payload_result r = payload_read(&io, "t", len % 2, &info);

	CHECK(r >= PAYLOAD_OK && r < PAYLOAD_E_MAX);
	(void)payload_error(r);
	if (r == PAYLOAD_OK)
		CHECK(m.written == m.size && info.root_size == m.size);
	else if (m.begun && r != PAYLOAD_E_WRITE)
		CHECK(m.written < m.size);
	for (size_t i = 0; i < PAYLOAD_TEXTS; i++) {
		char line[64];
		size_t at = 0;

		CHECK(strlen(info.texts[i]) <= PAYLOAD_TEXT_MAX);
		while (payload_line(info.texts[i], &at, line, sizeof(line)))
			CHECK(line[0] && line[0] != '#' && strlen(line) < sizeof(line));
	}
	return 0;
}
