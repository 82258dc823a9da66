/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrexec-client: calls from dom0. Four ways, by the options: a command in a qube with its input and
 * output here (5.1); a waiting request of a qube joined to another one (-c, 5.3) or to a service of
 * dom0 (-c -d dom0, 5.2); a service of dom0 for dom0 (5.5). Sections of doc/protocol/qrexec.md.
 *
 * What the qube sends is hostile: it passes call/data.c, which bounds and filters it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/caller.h"
#include "call/data.h"
#include "call/run.h"
#include "call/service.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "tools/need_root.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "proto/qrexec.h"
#include "tools/qrexec_client_daemon.h"
#include "tools/qrexec_client_direct.h"
#include "tools/qrexec_client_kill.h"
#include "tools/qrexec_client_local.h"
#include "tools/qrexec_client_options.h"

#define CONNECT_FAILED 137 /* what -c ends with; protocol */

struct dom0_client {
	struct dom0_options options;
	struct loop *loop;
	struct daemon_link *target;
	struct daemon_link *source; /* -c */
	struct caller *caller;
	struct local_program local;     /* -l */
	struct service_command command; /* -c -d dom0 */
	struct service_found found;
	int service_status; /* 125 or 127: it could not be run; else 0 */
	bool joined;        /* -c: the request has its answer */
	bool target_closed;
};

static int open_channel_config(struct vchan_config *out, int domain, int port)
{
	if (vchan_config_from_env(out))
		return -1;
	out->peer = domain;
	out->port = port;
	out->read_min = DATA_RING_BYTES;
	out->write_min = DATA_RING_BYTES;
	return 0;
}

/* 5.1: a command in a qube. */

static void on_call_done(void *arg, int status)
{
	struct dom0_client *client = arg;

	if (status == CALLER_FAILED)
		status = QREXEC_EXIT_PROBLEM;
	else if (client->options.no_exit_code)
		status = 0;
	loop_stop(client->loop, status);
}

static int start_call(struct dom0_client *client, struct vchan *vchan)
{
	const struct dom0_options *options = &client->options;
	struct caller_config config = {
	        .stdio = CALLER_STDIO,
	        .prefix = options->prefix,
	        .filter_out = options->filter_out,
	        .filter_err = options->filter_err,
	        .open_ms = options->open_ms,
	        .done = on_call_done,
	        .arg = client,
	};

	if (options->just_exec)
		config.stdio = CALLER_NOTHING;
	else if (options->stdin_socket)
		config.stdio = CALLER_SOCKET;
	if (options->local) {
		int error = local_program_start(&client->local, &config);

		if (error) {
			(void)vchan_close(vchan);
			errno = error;
			return -1;
		}
	}
	return caller_start(client->loop, vchan, &config, &client->caller);
}

static void on_port(void *arg, int r, int domain, int port)
{
	struct dom0_client *client = arg;
	struct vchan_config config;
	struct vchan *vchan;

	if (r == 0 && !open_channel_config(&config, domain, port) &&
	    !vchan_listen(&config, &vchan) && !start_call(client, vchan))
		return;
	if (r == 0)
		LOG_ERRNO("channel to domain %d, port %d", domain, port);
	loop_stop(client->loop, QREXEC_EXIT_PROBLEM);
}

static struct daemon_command exec_command(struct dom0_client *client)
{
	const struct dom0_options *options = &client->options;

	return (struct daemon_command){
	        .socket_dir = options->socket_dir,
	        .name = options->domain,
	        .type = options->just_exec ? QREXEC_JUST_EXEC : QREXEC_EXEC_CMDLINE,
	        .domain = options->source_domain,
	        .body = options->command,
	        .body_len = strlen(options->command) + 1,
	        .arg = client,
	};
}

static int run_loop(struct dom0_client *client, int failed)
{
	int status = loop_run(client->loop);

	if (status < 0) {
		LOG_ERRNO("event loop");
		return failed;
	}
	return status;
}

static int run_call(struct dom0_client *client)
{
	struct daemon_command command = exec_command(client);
	int status = 0;

	if (client->options.local)
		status = local_program_find(client->options.local, client->options.domain,
		                            &client->local);
	if (status)
		return status;
	command.done = on_port;
	if (daemon_link_start(client->loop, &command, &client->target)) {
		LOG_ERRNO("daemon of %s", client->options.domain);
		return QREXEC_EXIT_PROBLEM;
	}
	return run_loop(client, QREXEC_EXIT_PROBLEM);
}

/* 5.3: -c with a qube as target. */

static void on_target_closed(void *arg)
{
	struct dom0_client *client = arg;

	client->target_closed = true;
	if (client->joined)
		loop_stop(client->loop, 0);
}

static void on_joined(void *arg, int r, int domain, int port)
{
	struct dom0_client *client = arg;

	client->joined = true;
	if (r)
		loop_stop(client->loop, CONNECT_FAILED);
	else if (!client->options.wait || client->target_closed)
		loop_stop(client->loop, 0);
}

static int answer_request(struct dom0_client *client, uint32_t domain, uint32_t port,
                          void (*done)(void *arg, int r, int domain, int port))
{
	const struct daemon_command command = {
	        .socket_dir = client->options.socket_dir,
	        .name = client->options.source_id,
	        .type = QREXEC_SERVICE_CONNECT,
	        .domain = domain,
	        .port = port,
	        .body = client->options.ident,
	        .body_len = sizeof(client->options.ident),
	        .done = done,
	        .arg = client,
	};

	if (daemon_link_start(client->loop, &command, &client->source)) {
		LOG_ERRNO("daemon of the calling qube %s", client->options.source_id);
		return -1;
	}
	return 0;
}

static void on_target_port(void *arg, int r, int domain, int port)
{
	struct dom0_client *client = arg;

	if (r || answer_request(client, (uint32_t)domain, (uint32_t)port, on_joined))
		loop_stop(client->loop, CONNECT_FAILED);
}

static int run_connect(struct dom0_client *client)
{
	struct daemon_command command = exec_command(client);

	command.done = on_target_port;
	command.closed = on_target_closed;
	if (daemon_link_start(client->loop, &command, &client->target)) {
		LOG_ERRNO("daemon of %s", client->options.domain);
		return CONNECT_FAILED;
	}
	return run_loop(client, CONNECT_FAILED);
}

/* 5.2: -c with dom0 as target. */

static void on_service_done(void *arg, int status)
{
	struct dom0_client *client = arg;

	loop_stop(client->loop, status ? CONNECT_FAILED : client->service_status);
}

static void on_service_port(void *arg, int r, int domain, int port)
{
	struct dom0_client *client = arg;
	const struct run_config run = {
	        .dom0 = true,
	        .status = client->service_status,
	        .command = &client->command,
	        .found = client->command.is_rpc ? &client->found : NULL,
	        .open_ms = client->options.open_ms,
	        .start_status = &client->service_status,
	        .done = on_service_done,
	        .arg = client,
	};
	struct vchan_config config;
	struct run *started;
	struct vchan *vchan;

	if (r == 0 && !open_channel_config(&config, domain, port) &&
	    !vchan_connect(&config, &vchan) && !run_start(client->loop, vchan, &run, &started))
		return;
	if (r == 0)
		LOG_ERRNO("channel to domain %d, port %d", domain, port);
	loop_stop(client->loop, CONNECT_FAILED);
}

static int run_service(struct dom0_client *client)
{
	client->service_status = service_parse(client->options.command, true, &client->command);
	if (client->service_status == 0 && client->command.is_rpc)
		client->service_status = service_find(&client->command, NULL, NULL, &client->found);
	if (answer_request(client, 0, 0, on_service_port))
		return CONNECT_FAILED;
	return run_loop(client, CONNECT_FAILED);
}

static int run(struct dom0_client *client)
{
	if (client->options.to_dom0 && !client->options.connect)
		return run_direct(&client->options);
	client->loop = loop_new();
	/* A parent that ignores SIGCHLD passes that on, and a child's status would be lost. */
	if (!client->loop || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGCHLD, SIG_DFL) == SIG_ERR) {
		LOG_ERRNO("start");
		return QREXEC_EXIT_PROBLEM;
	}
	if (client->options.to_dom0)
		return run_service(client);
	return client->options.connect ? run_connect(client) : run_call(client);
}

int main(int argc, char **argv)
{
	static struct dom0_client client;
	int status;

	log_init("qrexec-client");
	need_root("qrexec-client");
	vchan_use_grant();
	if (fd_open_stdio()) {
		LOG_ERRNO("standard descriptors");
		return QREXEC_EXIT_PROBLEM;
	}
	if (dom0_options_parse(argc, argv, &client.options, &status))
		return status;
	status = run(&client);
	client.caller = caller_free(client.caller);
	client.source = daemon_link_free(client.source);
	client.target = daemon_link_free(client.target);
	local_program_fini(&client.local);
	service_command_fini(&client.command);
	client.loop = loop_free(client.loop);
	if (client.options.kill)
		qubesd_kill(client.options.domain);
	return status;
}
