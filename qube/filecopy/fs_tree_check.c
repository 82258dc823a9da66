/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qubes-fs-tree-check: would the receiver of another qube take these files? For scripts. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "filecopy/copy_command.h"
#include "filecopy/tree_check.h"

static const char name[] = "qubes-fs-tree-check";

static int usage(FILE *to, int status)
{
	(void)fprintf(to,
	              "usage: %s [OPTION...] [--] PATH...\n"
	              "      --machine-readable             print how many bytes there are\n"
	              "      --[no-]ignore-symlinks  --[no-]allow-symlinks\n"
	              "      --[no-]allow-directories  --[no-]allow-all-names\n"
	              "Status 0: fine; 2: with allow-all-names only; 1: it would not.\n",
	              name);
	return status;
}

static bool take_option(struct tree_check_config *config, bool *machine, const char *word)
{
	struct {
		const char *word;
		bool *flag;
	} const rows[] = {
	        {"ignore-symlinks", &config->ignore_links},
	        {"allow-symlinks", &config->allow_links},
	        {"allow-directories", &config->allow_folders},
	        {"allow-all-names", &config->allow_all_names},
	};
	bool yes = strncmp(word, "--no-", 5) != 0;

	if (strcmp(word, "--machine-readable") == 0) {
		*machine = true;
		return true;
	}
	for (size_t i = 0; strncmp(word, "--", 2) == 0 && i < ARRAY_LEN(rows); i++) {
		if (strcmp(word + (yes ? 2 : 5), rows[i].word) == 0) {
			*rows[i].flag = yes;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	struct tree_check_config config = {.program = name};
	enum tree_check_result worst = TREE_CHECK_FINE;
	bool machine = false;
	uint64_t bytes = 0;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return usage(stdout, 0);
		if (!take_option(&config, &machine, argv[i])) {
			(void)fprintf(stderr,
			              "%s: %s: no such option; a path that begins so comes "
			              "after --\n",
			              name, argv[i]);
			return usage(stderr, TREE_CHECK_REFUSED);
		}
	}
	if (i == argc)
		return usage(stderr, TREE_CHECK_REFUSED);
	for (; i < argc; i++) {
		enum tree_check_result r = TREE_CHECK_REFUSED;

		copy_strip(argv[i]);
		if (tree_check_argument(name, argv[i]))
			r = tree_check(&config, argv[i], &bytes);
		if (r == TREE_CHECK_REFUSED)
			return (int)r;
		if (r != TREE_CHECK_FINE)
			worst = r;
	}
	if (machine)
		(void)printf("%llu\n", (unsigned long long)bytes);
	return (int)worst;
}
