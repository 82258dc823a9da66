/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk services: the argument says which. sink reads to the end, source writes 1 GiB, cat copies.
 * Everything in pieces of 256 KiB. sink answers the number of bytes, so that a loss is seen.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BULK_BYTES (1ULL << 30)
#define PIECE      (256U << 10)

static int all_written(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	char *data = malloc(PIECE);
	uint64_t total = 0;
	ssize_t n;

	if (!data)
		return 1;
	memset(data, 'x', PIECE);
	if (strcmp(mode, "source") == 0) {
		for (; total < BULK_BYTES; total += PIECE)
			if (all_written(data, PIECE) < 0)
				return 1;
		return 0;
	}
	while ((n = read(STDIN_FILENO, data, PIECE)) > 0) {
		total += (uint64_t)n;
		if (strcmp(mode, "cat") == 0 && all_written(data, (size_t)n) < 0)
			return 1;
	}
	if (strcmp(mode, "sink") == 0)
		printf("%" PRIu64 "\n", total);
	return n == 0 ? 0 : 1;
}
