/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/progress.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filecopy/account.h"
#include "lib/base/fd.h"

void progress_init(struct progress *progress)
{
	const char *type = getenv("PROGRESS_TYPE");
	const char *total = getenv("FILECOPY_TOTAL_BYTES");
	const char *saved = getenv("SAVED_FD_1");
	unsigned long long n;

	*progress = (struct progress){.fd = STDERR_FILENO};
	if (total && account_number(total, UINT64_MAX, &n))
		progress->total = n;
	if (!type)
		return;
	if (strcmp(type, "console") == 0 && total) {
		progress->kind = PROGRESS_CONSOLE;
	} else if (saved && account_number(saved, INT_MAX, &n)) {
		progress->fd = (int)n;
		if (strcmp(type, "gui") == 0)
			progress->kind = PROGRESS_LINES;
		else if (strcmp(type, "lines") == 0)
			progress->kind = PROGRESS_PAIRS;
	}
}

static unsigned long long kib(uint64_t bytes)
{
	return bytes / 1024 + (bytes % 1024 != 0);
}

bool progress_show(struct progress *progress, uint64_t bytes, bool first, bool last)
{
	char line[96];
	int n;

	if (progress->kind == PROGRESS_NONE ||
	    (!first && !last && bytes - progress->shown <= PROGRESS_STEP))
		return true;
	progress->shown = bytes;
	/* KiB under the name KB: programs read this line. */
	if (progress->kind == PROGRESS_CONSOLE)
		n = snprintf(line, sizeof(line), "sent %llu/%llu KB\r%s", kib(bytes),
		             kib(progress->total), last ? "\n" : "");
	else if (progress->kind == PROGRESS_PAIRS)
		n = snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)bytes,
		             (unsigned long long)progress->total);
	else
		n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)bytes);
	return fd_write_all(progress->fd, line, (size_t)n) == 0 || errno != EPIPE ||
	       progress->kind == PROGRESS_CONSOLE;
}
