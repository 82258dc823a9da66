/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy-lint [-i] [-s] FILE... - each line alone, in the form editors know
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/policy.h"

static const char usage[] =
        "usage: qubes-policy-lint [-i] [-s] FILE...\n"
        "  -i   the service format, of files that a rule of one service includes\n"
        "  -s   show the faulty line behind the message\n";

static void report(void *ctx, const struct policy_fault *fault, const char *line, size_t len)
{
	const bool *show = ctx;

	printf("%s:%u: error: %s", fault->file, fault->line, fault->text);
	if (*show)
		printf(": %.*s", (int)len, line);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	bool service = false, show = false;
	int option;

	while ((option = getopt_long(argc, argv, "his", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0;
		if (option == '?') {
			fputs(usage, stderr);
			return 2;
		}
		service |= option == 'i';
		show |= option == 's';
	}
	for (int i = optind; i < argc; i++) {
		int n = lint_file(argv[i], service, report, &show);

		if (n < 0)
			printf("%s:0: error: %s\n", argv[i], strerror(errno));
		if (n != 0)
			return 1;
	}
	return 0;
}
