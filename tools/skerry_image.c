/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry image: the images of dom0, by the program that reads and writes them. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "tools/skerry.h"

#define WORDS_MAX 4

int skerry_image(int argc, char **argv, const struct skerry_options *options)
{
	static const char *const places[] = {"../services/dom0/skerry-image", "skerry-image", NULL};
	const char *words[WORDS_MAX + 2] = {"skerry-image"};
	char program[PATH_MAX];
	int n = 1;

	if (argc > WORDS_MAX)
		return skerry_usage("image");
	for (int i = 1; i < argc; i++)
		words[n++] = argv[i];
	if (options->json)
		words[n] = "--json";
	if (path_program(program, sizeof(program), places))
		(void)snprintf(program, sizeof(program), "/usr/bin/skerry-image");
	(void)execv(program, (char *const *)(uintptr_t)words);
	LOG_ERRNO("%s", program);
	return SKERRY_REFUSED;
}
