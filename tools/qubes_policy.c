/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy [-l | -g | -r | -d] [include/][NAME] - read and change the files of the policy
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/need_root.h"
#include "tools/policy_client.h"

#define FILE_MAX  (16U << 20) /* bytes that are sent; the service has its own limit */
#define TOKEN_ANY "any\n"     /* whatever is there now */

static const char usage[] =
        "usage: qubes-policy [-l] [include/]         names of the policy files (the default)\n"
        "       qubes-policy -g [include/]NAME       write a file to standard output\n"
        "       qubes-policy -r [include/]NAME       replace it by standard input\n"
        "       qubes-policy -d [include/]NAME       remove it\n"
        "  -l, --list  -g, --get  -r, --replace  -d, --remove  -h, --help  -V, --version\n"
        "NAME is without .policy. To edit a file: qubes-policy-editor.\n";

/* What a call came to, as the program's status. */
static int outcome(int r, const struct policy_reply *reply, const char *method,
                   const struct policy_file *file)
{
	if (r)
		return 1;
	if (reply->status)
		policy_reply_show(reply, method, file);
	return reply->status;
}

static int write_out(const char *data, size_t len)
{
	if (fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0)
		return 0;
	perror("standard output");
	return 1;
}

static int list(const struct policy_file *file)
{
	struct policy_reply reply;
	int r = outcome(policy_call("List", file, NULL, 0, &reply), &reply, "List", file);

	if (r == 0)
		r = write_out(reply.out, reply.out_len);
	policy_reply_fini(&reply);
	return r;
}

static int get(const struct policy_file *file)
{
	struct policy_reply reply;
	const char *token;
	const char *text;
	size_t len;
	int r = outcome(policy_call("Get", file, NULL, 0, &reply), &reply, "Get", file);

	if (r == 0) {
		text = policy_reply_content(&reply, &token, &len);
		if (text) {
			r = write_out(text, len);
		} else {
			fprintf(stderr, "%s: the answer is not that of a policy service\n",
			        file->name);
			r = 1;
		}
	}
	policy_reply_fini(&reply);
	return r;
}

static int replace(const struct policy_file *file)
{
	struct policy_reply reply;
	char *text;
	char *payload;
	size_t len;
	int r;

	if (fd_read_to_end(STDIN_FILENO, 4096, FILE_MAX, &text, &len)) {
		perror("standard input");
		return 1;
	}
	payload = malloc(sizeof(TOKEN_ANY) - 1 + len);
	if (!payload) {
		perror(file->name);
		free(text);
		return 1;
	}
	memcpy(payload, TOKEN_ANY, sizeof(TOKEN_ANY) - 1);
	memcpy(payload + sizeof(TOKEN_ANY) - 1, text, len);
	r = policy_call("Replace", file, payload, sizeof(TOKEN_ANY) - 1 + len, &reply);
	r = outcome(r, &reply, "Replace", file);
	policy_reply_fini(&reply);
	free(payload);
	free(text);
	return r;
}

static int remove_file(const struct policy_file *file)
{
	struct policy_reply reply;
	int r = policy_call("Remove", file, TOKEN_ANY, sizeof(TOKEN_ANY) - 2, &reply);

	r = outcome(r, &reply, "Remove", file);
	policy_reply_fini(&reply);
	return r;
}

/* Exactly one of -l -g -r -d; 'l' if none; 0: wrong usage. */
static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
	        {"list", no_argument, NULL, 'l'},
	        {"get", no_argument, NULL, 'g'},
	        {"replace", no_argument, NULL, 'r'},
	        {"remove", no_argument, NULL, 'd'},
	        {"version", no_argument, NULL, 'V'},
	        {"help", no_argument, NULL, 'h'},
	        {0},
	};
	int mode = 0;
	int option;

	while ((option = getopt_long(argc, argv, "lgrdVh", options, NULL)) != -1) {
		if (option == 'h')
			exit(fputs(usage, stdout) < 0);
		if (option == 'V')
			exit(puts("qubes-policy (Skerry) " SKERRY_VERSION) < 0);
		if (option == '?' || (mode != 0 && mode != option))
			return 0;
		mode = option;
	}
	return mode ? mode : 'l';
}

int main(int argc, char **argv)
{
	int mode = parse_options(argc, argv);
	struct policy_file file = {.name = ""};

	if (mode && argc - optind <= 1 && optind < argc && policy_file_parse(argv[optind], &file))
		return 1;
	if (!mode || argc - optind > 1 || (mode == 'l') != (file.name[0] == '\0')) {
		fputs(usage, stderr);
		return 2;
	}
	need_root("qubes-policy");
	switch (mode) {
	case 'g':
		return get(&file);
	case 'r':
		return replace(&file);
	case 'd':
		return remove_file(&file);
	default:
		return list(&file);
	}
}
