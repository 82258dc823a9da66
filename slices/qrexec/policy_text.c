/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question in text form: over the policy socket of the original, or to a policy program whose
 * stdin and stdout are one socket. Both answer with text up to the end of the stream; the program
 * must also exit with 0.
 */
#include "slices/qrexec/policy_link.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "slices/qrexec/starts.h"

struct text_ask {
	struct keeper *k;
	struct text_ask *next;
	struct text_ask **place;
	struct request *r; /* NULL: cancelled, only the program is waited for */
	int fd;
	struct loop_fd source;
	struct loop_child child;
	bool program;
	bool exited;
	bool exited_well;
	bool ended;    /* the stream */
	size_t out_at; /* question: bytes sent */
	size_t out_len;
	char *out;
	size_t in_len;
	char in[POLICY_TEXT_MAX];
};

static void ask_free(struct text_ask *ask)
{
	loop_fd_remove(ask->k->loop, &ask->source);
	loop_child_remove(ask->k->loop, &ask->child);
	*ask->place = ask->next;
	if (ask->next)
		ask->next->place = ask->place;
	(void)fd_close(ask->fd);
	free(ask->out);
	free(ask);
}

void policy_text_cancel(struct text_ask *ask)
{
	ask->r = NULL;
	if (!ask->program || ask->exited) {
		ask_free(ask);
		return;
	}
	loop_fd_remove(ask->k->loop, &ask->source);
	ask->fd = fd_close(ask->fd);
	(void)kill(ask->child.pid, SIGKILL);
}

/* Everything that is waited for has come. */
static void finish(struct text_ask *ask, bool good)
{
	struct request *r = ask->r;
	static struct policy_answer answer;

	good = good && policy_decode_text(ask->in, ask->in_len, &answer) == 0;
	if (!good && ask->in_len > 0)
		LOG("the policy answer is malformed");
	policy_text_cancel(ask);
	r->text = NULL;
	request_verdict(r, good ? &answer : NULL);
}

static void check_finished(struct text_ask *ask)
{
	if (!ask->r)
		return;
	if (ask->program && ask->exited && !ask->exited_well)
		finish(ask, false);
	else if (ask->ended && (!ask->program || ask->exited))
		finish(ask, true);
}

static int send_question(struct text_ask *ask)
{
	ssize_t n = send(ask->fd, ask->out + ask->out_at, ask->out_len - ask->out_at,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	if (n > 0)
		ask->out_at += (size_t)n;
	if (ask->out_at == ask->out_len)
		loop_fd_set(ask->k->loop, &ask->source, EPOLLIN);
	return 0;
}

static void on_text(void *arg, uint32_t events)
{
	struct text_ask *ask = arg;
	ssize_t n;

	if (events & EPOLLOUT && ask->out_at < ask->out_len && send_question(ask)) {
		finish(ask, false);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(ask->fd, ask->in + ask->in_len, sizeof(ask->in) - ask->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		ask->in_len += (size_t)n;
		if (ask->in_len == sizeof(ask->in))
			finish(ask, false);
		return;
	}
	loop_fd_remove(ask->k->loop, &ask->source);
	ask->ended = true;
	check_finished(ask);
}

static struct text_ask *ask_new(struct request *r)
{
	struct text_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->k = r->k;
	ask->r = r;
	ask->fd = -1;
	ask->source = (struct loop_fd)LOOP_FD_EMPTY;
	ask->child = (struct loop_child)LOOP_CHILD_EMPTY;
	ask->next = r->k->policy.asks;
	ask->place = &r->k->policy.asks;
	if (ask->next)
		ask->next->place = &ask->next;
	r->k->policy.asks = ask;
	return ask;
}

void policy_text_stop(struct keeper *k)
{
	while (k->policy.asks)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): ask_free() unlinks it */
		ask_free(k->policy.asks);
}

static int encode(struct text_ask *ask)
{
	struct request *r = ask->r;
	struct policy_question question = {
	        .flags = r->has_source ? POLICY_HAS_SOURCE : 0,
	        .source = r->k->options->name,
	        .requested_source = r->source,
	        .target = r->target,
	        .service = r->name,
	};
	size_t max = strlen(r->name) + 512;
	ssize_t len;

	ask->out = malloc(max);
	if (!ask->out)
		return -1;
	len = policy_encode_question_text(ask->out, max, &question);
	if (len < 0)
		return -1;
	ask->out_len = (size_t)len;
	return 0;
}

int policy_text_ask(struct request *r)
{
	struct text_ask *ask = ask_new(r);
	char path[PATH_MAX];

	if (!ask)
		return -1;
	if (encode(ask) || path_make(path, sizeof(path), "/run/qubes", POLICY_SOCKET)) {
		ask_free(ask);
		return -1;
	}
	ask->fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (ask->fd < 0)
		LOG_ERRNO("%s: no policy service", path);
	if (ask->fd < 0 ||
	    loop_fd_add(r->k->loop, &ask->source, ask->fd, EPOLLIN | EPOLLOUT, on_text, ask)) {
		ask_free(ask);
		return -1;
	}
	r->text = ask;
	return 0;
}

/* The program. */

static void on_program_exit(void *arg, int wait_status)
{
	struct text_ask *ask = arg;
	struct keeper *k = ask->k;

	ask->exited = true;
	ask->exited_well = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	if (ask->r)
		check_finished(ask);
	else
		ask_free(ask);
	policy_program_ended(k);
}

int policy_text_program(struct request *r)
{
	struct text_ask *ask = ask_new(r);
	int pair[2];
	pid_t pid;

	if (!ask)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		ask_free(ask);
		return -1;
	}
	ask->fd = pair[0];
	pid = starts_policy(r, pair[1]);
	(void)fd_close(pair[1]);
	if (pid < 0 || loop_child_add(r->k->loop, &ask->child, pid, on_program_exit, ask) ||
	    loop_fd_add(r->k->loop, &ask->source, ask->fd, EPOLLIN, on_text, ask)) {
		ask_free(ask);
		return -1;
	}
	ask->program = true;
	r->text = ask;
	r->k->policy.n_programs++;
	return 0;
}
