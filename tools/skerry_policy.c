/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "tools/skerry.h"
#include "tools/skerry_policy_log.h"

/* skerry policy: the words below it, one row each. */

static const struct {
	const char *name;
	const char *args;
	int (*fn)(int argc, char **argv, const struct skerry_options *options);
} words[] = {
        {"log", "[--verify] [--head=HASH] [FILE]", skerry_policy_log},
};

int skerry_policy(int argc, char **argv, const struct skerry_options *options)
{
	size_t i;

	for (i = 0; argc > 1 && i < ARRAY_LEN(words); i++)
		if (strcmp(argv[1], words[i].name) == 0)
			return words[i].fn(argc - 1, argv + 1, options);
	for (i = 0; i < ARRAY_LEN(words); i++)
		(void)fprintf(stderr, "usage: skerry policy %s %s\n", words[i].name, words[i].args);
	return argc > 1 && strcmp(argv[1], "--help") == 0 ? SKERRY_DONE : SKERRY_USAGE;
}
