/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of qrexec-client. Its words and its odd exit statuses (an unknown option is 0) are
 * those that programs written for the original expect: doc/protocol/qrexec.md, section 7.
 */
#include "tools/qrexec_client_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call/caller.h"
#include "call/number.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"

#define OPEN_SECONDS_DEFAULT 10      /* protocol */
#define OPEN_SECONDS_MAX     1000000 /* chosen */

enum { OPT_STDIN_SOCKET = 256, OPT_SOCKET_DIR, OPT_VERSION };

static const struct option long_options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPT_VERSION},
        {"no-exit-code", no_argument, NULL, 'E'},
        {"prefix-data", required_argument, NULL, 'p'},
        {"use-stdin-socket", no_argument, NULL, OPT_STDIN_SOCKET},
        {"socket-dir", required_argument, NULL, OPT_SOCKET_DIR},
        {NULL, 0, NULL, 0},
};

static const char usage[] =
        "Usage: qrexec-client [OPTIONS] -d QUBE [-l LOCAL | -c IDENT,NAME,ID | -e] USER:COMMAND\n"
        "Run a command or a service in a qube, from dom0.\n"
        "\n"
        "  -d QUBE               name, number or uuid:...; dom0 or @adminvm for dom0 itself\n"
        "  -l LOCAL              run LOCAL here (shell, or QUBESRPC ...) and join it to the "
        "command\n"
        "  -e                    only start the command; no input, no output\n"
        "  -c IDENT,NAME,ID      join a request of qube ID, which waits, to the command\n"
        "  -W                    with -c: wait until the call has ended\n"
        "  -E, --no-exit-code    exit with 0 whatever the command returned\n"
        "  -t, -T                replace what could drive a terminal in the output, the standard "
        "error,\n"
        "                        by '_'; always done towards a terminal\n"
        "  -w SECONDS            limit for the data channel (10); 0: none\n"
        "  -k                    kill the qube before exiting\n"
        "  -p, --prefix-data=DATA  send DATA before the standard input\n"
        "      --use-stdin-socket  descriptor 0 is a socket and carries both directions\n"
        "      --socket-dir=DIR  sockets of the daemons (/var/run/qubes)\n"
        "  -h, --help    --version\n";

/* What is being parsed. */
struct parse {
	struct dom0_options *out;
	int *ret_status;
};

static int say(struct parse *parse, int status, int fd, const char *text)
{
	(void)!fd_write_all(fd, text, strlen(text));
	*parse->ret_status = status;
	return 1;
}

static int wrong(struct parse *parse, int status, const char *what)
{
	(void)!fd_write_all(STDERR_FILENO, "qrexec-client: ", 15);
	(void)!fd_write_all(STDERR_FILENO, what, strlen(what));
	return say(parse, status, STDERR_FILENO, "\nTry 'qrexec-client --help'.\n");
}

/* IDENT,NAME,ID */
static int take_connect(struct parse *parse, const char *text)
{
	struct dom0_options *out = parse->out;
	const char *name = strchr(text, ',');
	const char *id = name ? strchr(name + 1, ',') : NULL;
	size_t ident_len = name ? (size_t)(name - text) : 0;
	long domain;

	if (!id || id == name + 1 || ident_len == 0)
		return wrong(parse, DOM0_EXIT_USAGE, "-c: wants IDENT,NAME,ID");
	if (ident_len >= sizeof(out->ident))
		return wrong(parse, DOM0_EXIT_USAGE, "-c: IDENT is longer than 31 bytes");
	if (number_parse(id + 1, 1, INT_MAX, &domain))
		return wrong(parse, DOM0_EXIT_USAGE,
		             "-c: ID is no number of a qube (dom0 makes no requests)");
	memset(out->ident, 0, sizeof(out->ident));
	memcpy(out->ident, text, ident_len);
	out->connect = true;
	out->source_domain = (uint32_t)domain;
	(void)snprintf(out->source_id, sizeof(out->source_id), "%ld", domain);
	return 0;
}

static int take_prefix(struct parse *parse, const char *text)
{
	if (parse->out->prefix)
		return wrong(parse, DOM0_EXIT_STDIN, "-p: given twice");
	parse->out->prefix = text;
	return 0;
}

static int take_wait(struct parse *parse, const char *text)
{
	long seconds;

	if (number_parse(text, 0, OPEN_SECONDS_MAX, &seconds))
		return wrong(parse, DOM0_EXIT_USAGE, "-w: not a number of seconds");
	parse->out->open_ms = (uint64_t)seconds * 1000;
	return 0;
}

/* 0: go on; 1: the program ends. */
static int take_option(struct parse *parse, int option)
{
	struct dom0_options *out = parse->out;

	switch (option) {
	case 'd':
		out->domain = optarg;
		return 0;
	case 'l':
		out->local = optarg;
		return 0;
	case 'e':
		out->just_exec = true;
		return 0;
	case 'E':
		out->no_exit_code = true;
		return 0;
	case 't':
		out->filter_out = true;
		return 0;
	case 'T':
		out->filter_err = true;
		return 0;
	case 'c':
		return take_connect(parse, optarg);
	case 'W':
		out->wait = true;
		return 0;
	case 'w':
		return take_wait(parse, optarg);
	case 'k':
		out->kill = true;
		return 0;
	case 'p':
		return take_prefix(parse, optarg);
	case OPT_STDIN_SOCKET:
		out->stdin_socket = true;
		return 0;
	case OPT_SOCKET_DIR:
		if (bytes_copy_text(out->socket_dir, sizeof(out->socket_dir), optarg))
			return wrong(parse, DOM0_EXIT_USAGE, "--socket-dir: too long");
		return 0;
	case OPT_VERSION:
		return say(parse, DOM0_EXIT_HELP, STDOUT_FILENO,
		           "qrexec-client (Skerry) " SKERRY_VERSION "\n");
	case 'h':
		return say(parse, DOM0_EXIT_HELP, STDOUT_FILENO, usage);
	default:
		return say(parse, DOM0_EXIT_UNKNOWN_OPTION, STDERR_FILENO, usage);
	}
}

static bool is_dom0(const char *name)
{
	return strcmp(name, "dom0") == 0 || strcmp(name, "@adminvm") == 0 ||
	       strcmp(name, "uuid:00000000-0000-0000-0000-000000000000") == 0;
}

/* What only together is wrong. */
static int check(struct parse *parse)
{
	const struct dom0_options *out = parse->out;

	if (!out->domain)
		return wrong(parse, DOM0_EXIT_USAGE, "-d: missing");
	if ((out->local != NULL) + out->connect + out->just_exec > 1)
		return wrong(parse, DOM0_EXIT_USAGE, "-l, -c and -e exclude each other");
	if (out->connect && out->kill)
		return wrong(parse, DOM0_EXIT_USAGE, "-k: not with -c");
	if (out->stdin_socket && (out->local || out->connect || out->just_exec))
		return wrong(parse, DOM0_EXIT_STDIN, "--use-stdin-socket: not with -l, -c or -e");
	if (out->stdin_socket && !caller_stdin_is_stream())
		return wrong(parse, DOM0_EXIT_STDIN,
		             "--use-stdin-socket: standard input is not a stream socket");
	return 0;
}

int dom0_options_parse(int argc, char **argv, struct dom0_options *out, int *ret_status)
{
	struct parse parse = {.out = out, .ret_status = ret_status};
	int option;

	*out = (struct dom0_options){.open_ms = OPEN_SECONDS_DEFAULT * 1000};
	if (path_make(out->socket_dir, sizeof(out->socket_dir), "/var/run/qubes", NULL))
		return wrong(&parse, DOM0_EXIT_USAGE,
		             "the folder of the daemons' sockets is too long");
	while ((option = getopt_long(argc, argv, "hd:l:eEc:tTWw:kp:", long_options, NULL)) != -1) {
		if (take_option(&parse, option))
			return 1;
	}
	if (argc - optind != 1)
		return wrong(&parse, DOM0_EXIT_USAGE, "one command is wanted");
	out->command = argv[optind];
	if (check(&parse))
		return 1;
	out->to_dom0 = is_dom0(out->domain);
	/* A qube's text is not to be trusted with a terminal (qubes-issues #4852). */
	out->filter_out |= !out->local && isatty(STDOUT_FILENO);
	out->filter_err |= isatty(STDERR_FILENO);
	return 0;
}
