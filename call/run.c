/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a call on the service's side: the channel, (dom0: the session), start, data phase, end.
 * With `early` the service starts while its caller is still on the way to the channel: two qubes that
 * get ready at the same time are ready sooner, and dom0 has allowed the call. If nobody comes within
 * the limit, the service sees the end of its input. Source: doc/protocol/qrexec.md, sections 9 to 11.
 */
#include "call/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/run_internal.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/trace/trace.h"
#include "proto/qrexec.h"

/* A process that we started. It may outlive its call; it is reaped all the same. */
struct run_child {
	struct loop_child watch;
	struct run *run; /* NULL: the call is over */
	struct run_child *next;
	struct run_child **prev; /* what points here */
};

/* All of this process. Only the kernel knows of one whose call is over: this keeps it reachable. */
static struct run_child *children;

static void free_child(struct run_child *child)
{
	*child->prev = child->next;
	if (child->next)
		child->next->prev = child->prev;
	free(child);
}

static void on_finish(void *arg)
{
	struct run *run = arg;
	void (*done)(void *, int) = run->config.done;
	void *done_arg = run->config.arg;
	int status = run->status;

	run_stop(run);
	done(done_arg, status);
}

static void finish(struct run *run, int status)
{
	run->status = status;
	loop_defer_set(run->loop, &run->finish, on_finish, run);
}

static void on_data_done(void *arg, int status)
{
	struct run *run = arg;

	run->data = NULL;
	finish(run, status);
}

static struct data_config base_config(struct run *run)
{
	return (struct data_config){
	        .side = DATA_SERVICE,
	        .hello_after = run->config.dom0,
	        .open_ms = run->config.open_ms,
	        .trace_call = run->config.trace_call,
	        .in_fd = -1,
	        .out_fd = -1,
	        .err_fd = -1,
	        .dom0_order = run->config.dom0,
	        .linger = run->config.early != NULL,
	        .just_exec = run->config.just_exec,
	        .done = on_data_done,
	        .arg = run,
	};
}

/* Takes the descriptors of config. */
static void begin_data(struct run *run, const struct data_config *config)
{
	struct vchan *vchan = run->vchan;

	run->vchan = NULL;
	if (!vchan && vchan_connect(&run->early, &vchan)) {
		LOG_ERRNO("data channel");
		(void)fd_close(config->in_fd);
		if (config->out_fd != config->in_fd)
			(void)fd_close(config->out_fd);
		(void)fd_close(config->err_fd);
		finish(run, DATA_FAILED);
		return;
	}
	if (data_open(run->loop, vchan, config, &run->data)) {
		LOG_ERRNO("starting a data channel");
		finish(run, DATA_FAILED);
	}
}

static void note_start(struct run *run, int code)
{
	if (run->config.start_status)
		*run->config.start_status = code;
}

void run_failed(struct run *run, int code)
{
	struct data_config config = base_config(run);

	note_start(run, code);
	config.failed = true;
	config.exit_code = code;
	begin_data(run, &config);
}

/* Socket and TCP services. */

void run_connected(struct run *run, int fd)
{
	struct data_config config = base_config(run);

	if (!run->found.settings.skip_descriptor) {
		config.lead = run->command.descriptor;
		config.lead_len = run->command.descriptor_len;
	}
	trace_point(run->config.trace_call, TRACE_SERVICE_SPAWN, 0, NULL);
	if (run->config.just_exec && config.lead) {
		/* A fresh connection has room for any header line. */
		if (send(fd, config.lead, config.lead_len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)config.lead_len) {
			LOG_ERRNO("%s: the header line", run->found.path);
			config.exit_code = QREXEC_EXIT_PROBLEM;
		}
		config.lead = NULL;
	}
	if (run->config.just_exec) {
		(void)fd_close(fd);
	} else {
		config.in_fd = config.out_fd = fd;
		config.no_exit_wait = true;
		config.exit_on_client_eof = run->found.settings.exit_on_client_eof;
		config.exit_on_service_eof = run->found.settings.exit_on_service_eof;
	}
	begin_data(run, &config);
}

/* Programs. */

static void on_child(void *arg, int wait_status)
{
	struct run_child *child = arg;

	if (child->run) {
		child->run->child = NULL;
		if (child->run->data)
			data_process_ended(child->run->data, spawn_status(wait_status));
	}
	free_child(child);
}

static int watch_child(struct run *run, pid_t pid)
{
	struct run_child *child = malloc(sizeof(*child));

	if (!child)
		return -1;
	*child = (struct run_child){.watch = LOOP_CHILD_EMPTY, .run = run};
	if (loop_child_add(run->loop, &child->watch, pid, on_child, child)) {
		free(child);
		return -1;
	}
	child->next = children;
	child->prev = &children;
	if (children)
		children->prev = &child->next;
	children = child;
	run->child = child;
	return 0;
}

/* Like a program that says why it did not start: text on stderr, then the code. */
static void report_exec_failure(struct run *run, const char *path, int error)
{
	struct data_config config = base_config(run);
	const char *why = strerrordesc_np(error);
	char text[PATH_MAX + 128];
	int pipe_fds[2];
	int len;

	LOG("%s: %s", path, why ? why : "cannot be executed");
	config.exit_code = error == ENOENT ? QREXEC_EXIT_NOT_FOUND : QREXEC_EXIT_PROBLEM;
	note_start(run, config.exit_code);
	if (run->config.dom0 || run->config.just_exec || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		run_failed(run, config.exit_code);
		return;
	}
	len = snprintf(text, sizeof(text), "qrexec-agent: %s: %s\n", path,
	               why ? why : "cannot be executed");
	if (len > 0 && fd_write_all(pipe_fds[1], text, MIN((size_t)len, sizeof(text) - 1)))
		LOG_ERRNO("a fresh pipe");
	(void)fd_close(pipe_fds[1]);
	config.err_fd = pipe_fds[0];
	config.no_exit_wait = true;
	begin_data(run, &config);
}

static int start_program(struct run *run, struct spawn_config *config, struct spawned *out)
{
	char **env = spawn_environment(&run->command, NULL, run->config.dom0 ? 0 : getpid());
	int r = ENOMEM;

	if (env) {
		config->env = env;
		r = run->config.start ? run->config.start(run->config.start_arg, config, out)
		                      : spawn_start(config, out);
	}
	free(env);
	return r;
}

static void run_program(struct run *run)
{
	const char *shell = run->config.shell ? run->config.shell : "/bin/sh";
	char *path = run->config.found ? run->found.path : (char *)(uintptr_t)shell;
	bool has_argument = run->command.argument && run->command.argument[0];
	char *rpc[] = {path, has_argument ? run->command.argument : NULL, NULL};
	char *sh[] = {path, (char[]){"-c"}, (char *)(uintptr_t)run->command.command, NULL};
	struct spawn_config config = {
	        .path = path,
	        .argv = run->config.found ? rpc : sh,
	        .stdio = run->config.just_exec ? SPAWN_NULL : SPAWN_PAIRS,
	        .pipe_err = !run->config.dom0 && !run->config.just_exec,
	        .new_group = true,
	        .is_shell = !run->config.found,
	};
	struct data_config data = base_config(run);
	struct spawned spawned;
	int r = start_program(run, &config, &spawned);

	if (r) {
		report_exec_failure(run, path, r);
		return;
	}
	trace_point(run->config.trace_call, TRACE_SERVICE_SPAWN, (uint32_t)spawned.pid, NULL);
	data.in_fd = spawned.in_fd;
	data.out_fd = spawned.out_fd;
	data.err_fd = spawned.err_fd;
	begin_data(run, &data);
	if (watch_child(run, spawned.pid)) {
		LOG_ERRNO("watching a service");
		spawn_abandon(spawned.pid);
		if (run->data)
			data_stop(run->data);
		run->data = NULL;
		finish(run, DATA_FAILED);
	}
}

static void start(struct run *run)
{
	if (run->config.status)
		run_failed(run, run->config.status);
	else if (run->config.found && run->found.kind != SERVICE_EXECUTABLE)
		run_connect(run);
	else
		run_program(run);
}

/* dom0: qubes.WaitForSession before the service, in line. */

static void session_over(struct run *run)
{
	loop_timer_clear(run->loop, &run->deadline);
	start(run);
}

static void on_session_ended(void *arg, int wait_status)
{
	struct run_child *child = arg;
	struct run *run = child->run;

	free_child(child);
	if (!run)
		return;
	run->child = NULL;
	if (spawn_status(wait_status))
		LOG("qubes.WaitForSession ended with %d; the service runs all the same",
		    spawn_status(wait_status));
	session_over(run);
}

static void on_session_limit(void *arg)
{
	struct run *run = arg;

	LOG("qubes.WaitForSession has not ended within its limit; the service runs all the same");
	run->child->run = NULL;
	run->child = NULL;
	start(run);
}

static int start_session_wait(struct run *run)
{
	struct service_found found;
	struct service_command command = {
	        .dom0 = true,
	        .nogui = true,
	        .is_rpc = true,
	        .full_name = (char[]){"qubes.WaitForSession"},
	        .service = (char[]){"qubes.WaitForSession"},
	        .source = run->command.source,
	        .n_tokens = 4,
	};
	struct spawn_config config = {.stdio = SPAWN_NULL, .new_group = true, .path = found.path};
	struct spawned spawned;
	char *argv[] = {command.service, NULL};
	char **env;
	int r;

	if (service_find(&command, NULL, NULL, &found) || found.kind != SERVICE_EXECUTABLE)
		return -1;
	env = spawn_environment(&command, NULL, 0);
	config.argv = argv;
	config.env = env;
	r = env ? spawn_start(&config, &spawned) : ENOMEM;
	free(env);
	if (r)
		return -1;
	if (watch_child(run, spawned.pid)) {
		spawn_abandon(spawned.pid);
		return -1;
	}
	run->child->watch.fn = on_session_ended;
	if (loop_timer_set(run->loop, &run->deadline, SERVICE_SESSION_MS, on_session_limit, run) ==
	    0)
		return 0;
	run->child->run = NULL;
	run->child = NULL;
	return -1;
}

static void start_after_session(struct run *run)
{
	if (run->config.dom0 && run->config.found && run->found.settings.wait_for_session &&
	    !run->command.nogui && start_session_wait(run) == 0)
		return;
	start(run);
}

/* The channel. */

static bool channel_open(struct run *run)
{
	enum vchan_state state = vchan_state(run->vchan);

	if (state == VCHAN_WAITING)
		return false;
	loop_fd_remove(run->loop, &run->channel_watch);
	loop_timer_clear(run->loop, &run->deadline);
	return true;
}

static void on_channel(void *arg, uint32_t events)
{
	struct run *run = arg;

	(void)events;
	(void)vchan_step(run->vchan);
	if (!channel_open(run))
		return;
	if (vchan_state(run->vchan) == VCHAN_OPEN)
		start_after_session(run);
	else
		finish(run, DATA_FAILED);
}

static void on_channel_limit(void *arg)
{
	struct run *run = arg;

	LOG("data channel: nobody came within the limit");
	finish(run, DATA_FAILED);
}

static int await_channel(struct run *run)
{
	if (loop_fd_add(run->loop, &run->channel_watch, vchan_fd(run->vchan), EPOLLIN, on_channel,
	                run))
		return -1;
	return run->config.open_ms ? loop_timer_set(run->loop, &run->deadline, run->config.open_ms,
	                                            on_channel_limit, run)
	                           : 0;
}

static void on_start(void *arg)
{
	start_after_session(arg);
}

static int copy_command(struct run *run, const struct run_config *config)
{
	if (config->status || !config->command)
		return 0;
	if (service_parse(config->command->line, config->command->dom0, &run->command) == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

int run_start(struct loop *loop, struct vchan *vchan, const struct run_config *config,
              struct run **ret_run)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run) {
		(void)vchan_close(vchan);
		return -1;
	}
	run->loop = loop;
	run->vchan = vchan;
	run->config = *config;
	run->channel_watch = run->connect_watch = (struct loop_fd)LOOP_FD_EMPTY;
	run->connect_fd = -1;
	if (config->found)
		run->found = *config->found;
	if (copy_command(run, config)) {
		run_stop(run);
		return -1;
	}
	if (config->early) {
		run->early = *config->early;
		run->early.speaks = true; /* data.c does, whoever says HELLO first */
		start_after_session(run);
	} else if (vchan_state(vchan) == VCHAN_OPEN) {
		loop_defer_set(loop, &run->finish, on_start, run);
	} else if (await_channel(run)) {
		int saved = errno;

		run_stop(run);
		errno = saved;
		return -1;
	}
	*ret_run = run;
	return 0;
}

void run_use_stdin_socket(struct run *run)
{
	if (run->data)
		data_use_stdin_socket(run->data);
}

void run_stop(struct run *run)
{
	if (!run)
		return;
	run_connect_fini(run);
	loop_fd_remove(run->loop, &run->channel_watch);
	loop_timer_clear(run->loop, &run->deadline);
	loop_defer_clear(run->loop, &run->finish);
	if (run->data)
		data_stop(run->data);
	if (run->child)
		run->child->run = NULL;
	run->vchan = vchan_close(run->vchan);
	service_command_fini(&run->command);
	free(run);
}

int run_exec(const struct service_command *command, const struct service_found *found)
{
	char *argv[] = {(char *)(uintptr_t)found->path,
	                command->argument && command->argument[0] ? command->argument : NULL, NULL};
	char **env = spawn_environment(command, NULL, 0);

	if (env)
		(void)execve(found->path, argv, env);
	LOG_ERRNO("%s", found->path);
	free(env);
	return errno == ENOENT ? QREXEC_EXIT_NOT_FOUND : QREXEC_EXIT_PROBLEM;
}
