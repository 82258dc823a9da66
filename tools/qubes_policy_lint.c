/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy-lint [-i] [-s] FILE... - each line alone, in the form editors know
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/policy.h"

static void report(void *ctx, const struct policy_fault *fault)
{
	printf("%s:%u: error: %s\n", fault->file, fault->line, fault->text);
}

int main(int argc, char **argv)
{
	bool service = false;
	int option;

	while ((option = getopt(argc, argv, "is")) != -1) {
		if (option == '?')
			return 2;
		service |= option == 'i';
	}
	for (int i = optind; i < argc; i++) {
		int n = lint_file(argv[i], service, report, NULL);

		if (n < 0)
			printf("%s:0: error: %s\n", argv[i], strerror(errno));
		if (n != 0)
			return 1;
	}
	return 0;
}
