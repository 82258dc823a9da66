/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verifier of the decision log: no crash; a line that fits moves the chain to the hash that it
 * names, is the one that the writer would have written, and any other line moves nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Before: the chain without this line. */
static void check_fits(const struct chain *before, const struct chain *after, const char *line,
                       size_t len)
{
	static char again[CHAIN_LINE_MAX], body[CHAIN_LINE_MAX];
	const char *number = line + CHAIN_HEX_LEN + 1, *space = memchr(number, ' ', len);
	size_t body_len = len - (size_t)(space + 1 - line);
	char hex[CHAIN_HEX_LEN + 1];
	struct chain chain = *before;

	chain_hex(after, hex);
	CHECK(memcmp(hex, line, CHAIN_HEX_LEN) == 0);
	CHECK(before->sequence == 0 || after->sequence == before->sequence + 1);
	/* Texts that the writer never makes: a NUL, a number with zeros in front. */
	if (before->sequence == 0 || number[0] == '0' || memchr(line, 0, len) ||
	    body_len >= sizeof(body))
		return;
	memcpy(body, space + 1, body_len);
	body[body_len] = 0;
	CHECK(chain_line(&chain, again, sizeof(again), body) == (ssize_t)len + 1);
	CHECK(memcmp(again, line, len) == 0);
}

/* A line that the writer makes of these bytes fits. */
static void check_written(const char *text, size_t len)
{
	static char line[CHAIN_LINE_MAX], body[4096];
	struct chain chain = {.sequence = 7}, copy = chain;
	const char *second;
	ssize_t n;

	len = len < sizeof(body) ? len : sizeof(body) - 1;
	memcpy(body, text, len);
	body[len] = 0;
	second = strchr(body, ' ');
	if (second && strncmp(second, " start prev=", 12) == 0)
		return;
	n = chain_line(&chain, line, sizeof(line), body);
	CHECK(n > 0 && line[n - 1] == '\n');
	CHECK(chain_check(&copy, line, (size_t)n - 1) == (body[0] ? CHAIN_FITS : CHAIN_NO_LINE) ||
	      n - 1 < (ssize_t)CHAIN_HEX_LEN + 4 || !body[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct chain chain = {0};

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline - at) : (size_t)(end - at);
		struct chain before = chain;
		/* A copy of its own size, so that a byte too far is seen. */
		char *line = malloc(len ? len : 1);

		CHECK(line);
		memcpy(line, at, len);
		switch (chain_check(&chain, line, len)) {
		case CHAIN_FITS:
		case CHAIN_START:
			check_fits(&before, &chain, line, len);
			break;
		case CHAIN_BROKEN:
		case CHAIN_NO_LINE:
			CHECK(memcmp(&before, &chain, sizeof(chain)) == 0);
			break;
		}
		check_written(line, len);
		free(line);
		at += len + 1;
	}
	return 0;
}
