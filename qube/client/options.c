/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of qrexec-client-vm; its words are those of doc/protocol/qrexec.md, section 8. */
#include "qube/client/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call/caller.h"
#include "call/data.h"
#include "call/number.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"

#define BUFFER_SIZE_DEFAULT DATA_RING_BYTES

enum {
	OPT_BUFFER_SIZE = 256,
	OPT_NO_FILTER_OUT,
	OPT_NO_FILTER_ERR,
	OPT_STDIN_SOCKET,
	OPT_VERSION,
};

static const struct option long_options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPT_VERSION},
        {"buffer-size", required_argument, NULL, OPT_BUFFER_SIZE},
        {"filter-escape-chars-stdout", no_argument, NULL, 't'},
        {"filter-escape-chars-stderr", no_argument, NULL, 'T'},
        {"no-filter-escape-chars-stdout", no_argument, NULL, OPT_NO_FILTER_OUT},
        {"no-filter-escape-chars-stderr", no_argument, NULL, OPT_NO_FILTER_ERR},
        {"agent-socket", required_argument, NULL, 'a'},
        {"prefix-data", required_argument, NULL, 'p'},
        {"source-qube", required_argument, NULL, 's'},
        {"use-stdin-socket", no_argument, NULL, OPT_STDIN_SOCKET},
        {NULL, 0, NULL, 0},
};

static const char usage[] =
        "Usage: qrexec-client-vm [OPTIONS] TARGET SERVICE[+ARGUMENT] [LOCAL_PROGRAM [ARGUMENTS]]\n"
        "Call a service in another qube and join it to the standard input and output, or to those "
        "of\n"
        "a local program.\n"
        "\n"
        "  -t, --filter-escape-chars-stdout  replace what could drive a terminal in the output by "
        "'_'\n"
        "  -T, --filter-escape-chars-stderr  the same for the standard error\n"
        "      --no-filter-escape-chars-stdout, --no-filter-escape-chars-stderr\n"
        "                                    do not; the default is to filter towards a terminal\n"
        "  -p, --prefix-data=DATA            send DATA before the standard input\n"
        "  -s, --source-qube=NAME            call in the name of a remote qube that this one "
        "relays\n"
        "      --use-stdin-socket            descriptor 0 is a socket and carries both directions\n"
        "      --buffer-size=BYTES           ring of the data channel at least (524288)\n"
        "  -a, --agent-socket=PATH           the agent (/var/run/qubes/qrexec-agent)\n"
        "  -h, --help    --version\n"
        "\n"
        "Exit status: that of the service, or of the local program if the service's is 0; 126 "
        "refused,\n"
        "127 no such service, 125 the service could not be run, 255 lost, 1 no agent or no "
        "channel,\n"
        "2 wrong usage.\n";

static enum options_outcome print(const char *text)
{
	(void)!fd_write_all(STDOUT_FILENO, text, strlen(text));
	return OPTIONS_HELP;
}

static enum options_outcome wrong(const char *what)
{
	static const char hint[] = "Try 'qrexec-client-vm --help'.\n";

	if (what) {
		(void)!fd_write_all(STDERR_FILENO, "qrexec-client-vm: ", 18);
		(void)!fd_write_all(STDERR_FILENO, what, strlen(what));
		(void)!fd_write_all(STDERR_FILENO, "\n", 1);
	}
	(void)!fd_write_all(STDERR_FILENO, hint, sizeof(hint) - 1);
	return OPTIONS_WRONG;
}

/* One option with its argument. OPTIONS_RUN: go on. */
static enum options_outcome take_option(int option, struct client_options *out)
{
	long value;

	switch (option) {
	case 'h':
		return print(usage);
	case OPT_VERSION:
		return print("qrexec-client-vm (Skerry) " SKERRY_VERSION "\n");
	case OPT_BUFFER_SIZE:
		if (number_parse(optarg, 1, VCHAN_RING_MAX, &value))
			return wrong("--buffer-size: not a number from 1 to 1048576");
		out->buffer_size = (size_t)value;
		return OPTIONS_RUN;
	case 't':
	case OPT_NO_FILTER_OUT:
		out->filter_out = option == 't';
		return OPTIONS_RUN;
	case 'T':
	case OPT_NO_FILTER_ERR:
		out->filter_err = option == 'T';
		return OPTIONS_RUN;
	case 'a':
		if (strlen(optarg) >= sizeof(out->agent_socket))
			return wrong("--agent-socket: path too long");
		memcpy(out->agent_socket, optarg, strlen(optarg) + 1);
		return OPTIONS_RUN;
	case 'p':
		if (out->prefix)
			return wrong("--prefix-data: given twice");
		out->prefix = optarg;
		return OPTIONS_RUN;
	case 's':
		out->source = optarg;
		return OPTIONS_RUN;
	case OPT_STDIN_SOCKET:
		out->stdin_socket = true;
		return OPTIONS_RUN;
	default:
		return wrong(NULL);
	}
}

static enum options_outcome check(const struct client_options *out)
{
	if (strlen(out->source) >= QREXEC_TARGET_LEN)
		return wrong("--source-qube: name too long");
	if (strlen(out->target) >= QREXEC_TARGET_LEN)
		return wrong("target: name too long");
	if (out->service[0] == '\0')
		return wrong("service: empty");
	if (strlen(out->service) >= QREXEC_NAME_MAX)
		return wrong("service: name and argument too long");
	if (out->stdin_socket && out->program)
		return wrong("--use-stdin-socket: not with a local program");
	if (out->stdin_socket && !caller_stdin_is_stream())
		return wrong("--use-stdin-socket: standard input is not a stream socket");
	return OPTIONS_RUN;
}

/* Before the options, so that they can take it back. A local program does not draw on a terminal. */
static void filter_terminals(struct client_options *out, bool out_given, bool err_given)
{
	if (!out_given)
		out->filter_out = !out->program && isatty(STDOUT_FILENO);
	if (!err_given)
		out->filter_err = isatty(STDERR_FILENO);
}

enum options_outcome client_options_parse(int argc, char **argv, struct client_options *out)
{
	enum options_outcome outcome;
	bool out_given = false;
	bool err_given = false;
	int option;

	*out = (struct client_options){.buffer_size = BUFFER_SIZE_DEFAULT, .source = ""};
	if (path_make(out->agent_socket, sizeof(out->agent_socket), "/var/run/qubes/qrexec-agent",
	              NULL))
		return wrong("the agent's path is too long");
	while ((option = getopt_long(argc, argv, "+hp:tTa:s:", long_options, NULL)) != -1) {
		outcome = take_option(option, out);
		if (outcome != OPTIONS_RUN)
			return outcome;
		out_given |= option == 't' || option == OPT_NO_FILTER_OUT;
		err_given |= option == 'T' || option == OPT_NO_FILTER_ERR;
	}
	if (argc - optind < 2)
		return wrong("target and service are missing");
	out->target = argv[optind];
	out->service = argv[optind + 1];
	out->program = argc - optind > 2 ? argv + optind + 2 : NULL;
	filter_terminals(out, out_given, err_given);
	return check(out);
}
