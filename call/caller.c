/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joins the data phase (call/data.h) to a client's local side and settles the exit status: the
 * service's own if it is not 0, else the local program's (9.4). The local program is started by the
 * client, before this; it is waited for, never killed: it may still have work with what it received.
 */
#include "call/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/data.h"
#include "lib/base/fd.h"

struct caller {
	struct loop *loop;
	struct data_call *data;  /* NULL once over */
	struct loop_child child; /* the local program while it runs */
	bool child_runs;
	int remote_status;
	int local_status;
	void (*done)(void *arg, int status);
	void *arg;
};

static void settle(struct caller *caller)
{
	int status = caller->remote_status;

	if (caller->data || (caller->child_runs && status != DATA_FAILED))
		return;
	if (status == DATA_FAILED)
		status = CALLER_FAILED;
	else if (status == 0)
		status = caller->local_status;
	caller->done(caller->arg, status);
}

static void on_data_done(void *arg, int status)
{
	struct caller *caller = arg;

	caller->data = NULL;
	caller->remote_status = status;
	settle(caller);
}

static void on_child(void *arg, int wait_status)
{
	struct caller *caller = arg;

	caller->child_runs = false;
	caller->local_status =
	        WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	settle(caller);
}

static void on_usr1(void *arg, int signo, pid_t sender)
{
	struct caller *caller = arg;

	if (caller->data)
		data_use_stdin_socket(caller->data);
}

/* Fills the local ends of @data. 0, or -1 with errno. */
static int fill_ends(struct data_config *data, const struct caller_config *config)
{
	data->in_fd = -1;
	data->out_fd = -1;
	data->err_fd = STDERR_FILENO;
	data->keep_fds = true;
	switch (config->stdio) {
	case CALLER_STDIO:
		data->in_fd = STDOUT_FILENO;
		data->out_fd = STDIN_FILENO;
		break;
	case CALLER_SOCKET:
		data->in_fd = STDIN_FILENO;
		data->out_fd = STDIN_FILENO;
		break;
	case CALLER_NOTHING:
		break;
	case CALLER_PROGRAM:
		data->in_fd = config->in_fd;
		data->out_fd = config->out_fd;
		data->lead = config->lead;
		data->lead_len = config->lead_len;
		data->keep_fds = false;
		data->err_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (data->err_fd < 0)
			return -1;
		break;
	}
	return 0;
}

static int watch_program(struct caller *caller, const struct caller_config *config)
{
	if (config->usr1 && loop_signal_add(caller->loop, SIGUSR1, on_usr1, caller))
		return -1;
	caller->local_status = config->local_status;
	if (config->pid <= 0)
		return 0;
	if (loop_child_add(caller->loop, &caller->child, config->pid, on_child, caller))
		return -1;
	caller->child_runs = true;
	return 0;
}

int caller_start(struct loop *loop, struct vchan *vchan, const struct caller_config *config,
                 struct caller **ret_caller)
{
	struct caller *caller = calloc(1, sizeof(*caller));
	struct data_config data = {
	        .side = DATA_CALLER,
	        .open_ms = config->open_ms,
	        .prefix = config->prefix,
	        .prefix_len = config->prefix ? strlen(config->prefix) : 0,
	        .filter_out = config->filter_out,
	        .filter_err = config->filter_err,
	        .done = on_data_done,
	        .arg = caller,
	};

	if (!caller || fill_ends(&data, config))
		goto fail;
	caller->loop = loop;
	caller->child = (struct loop_child)LOOP_CHILD_EMPTY;
	caller->done = config->done;
	caller->arg = config->arg;
	if (data_open(loop, vchan, &data, &caller->data)) {
		free(caller);
		return -1;
	}
	if (config->stdio == CALLER_PROGRAM && watch_program(caller, config)) {
		(void)caller_free(caller);
		return -1;
	}
	*ret_caller = caller;
	return 0;
fail:
	(void)vchan_close(vchan);
	if (config->stdio == CALLER_PROGRAM) {
		(void)fd_close(config->in_fd);
		if (config->out_fd != config->in_fd)
			(void)fd_close(config->out_fd);
	}
	free(caller);
	return -1;
}

struct caller *caller_free(struct caller *caller)
{
	int saved_errno = errno;

	if (!caller)
		return NULL;
	if (caller->data)
		data_stop(caller->data);
	if (caller->child_runs)
		loop_child_remove(caller->loop, &caller->child);
	free(caller);
	errno = saved_errno;
	return NULL;
}

bool caller_stdin_is_stream(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM;
}
