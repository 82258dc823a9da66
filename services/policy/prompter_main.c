/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-policy-prompter - carries prompts and notices to GUI domains
 *
 * Takes typed frames from the policy service, writes the JSON of policy.Ask and policy.Notify, and
 * brings back what the prompt service answered, unread. In dom0 it connects to the prompt service's
 * socket; for another GUI domain it runs qrexec-client, which is why this process may run the system's
 * programs (helper_rights.c) and does not decide anything. Started by skerry-policy with the channel on descriptor 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "proto/limits.h"
#include "proto/prompt.h"
#include "services/policy/channel.h"
#include "services/policy/rights.h"

#define CHANNEL_FD 3
#define JOBS_MAX   1024U  /* prompts and notices on their way; chosen */
#define NOTIFY_MS  20000U /* a notice that nobody takes; chosen */

struct job {
	struct job *next, *prev;
	bool ask;
	uint32_t id;
	int fd; /* to the prompt service, or to qrexec-client */
	struct loop_fd source;
	struct loop_timer timer;
	struct loop_child child;
	bool running; /* the child has not ended */
	bool failed;
	bool ended; /* end of stream seen */
	char *out;  /* what is still to be said; owned */
	size_t out_at, out_len;
	char answer[PROMPT_ANSWER_MAX + 1];
	size_t answer_len;
};

static struct loop *loop;
static struct channel channel;
static struct job *jobs;
static unsigned int n_jobs;
static bool closing;
extern char **environ;

static void send_answer(uint32_t id, bool unreachable, const char *text)
{
	struct prompt answer = {
	        .kind = PROMPT_ANSWER, .id = id, .unreachable = unreachable, .answer = text};
	uint8_t frame[PROMPT_ANSWER_MAX + 64];
	struct wire_writer w = wire_writer(frame, sizeof(frame));

	prompt_encode(&w, &answer);
	if (w.bad || channel_send(&channel, frame, w.len)) {
		LOG("the policy service does not take answers");
		loop_stop(loop, 1);
	}
}

static void job_free(struct job *job)
{
	*(job->prev ? &job->prev->next : &jobs) = job->next;
	if (job->next)
		job->next->prev = job->prev;
	loop_fd_remove(loop, &job->source);
	loop_timer_clear(loop, &job->timer);
	fd_close(job->fd);
	if (job->running) {
		(void)kill(job->child.pid, SIGTERM);
		loop_child_remove(loop, &job->child);
	}
	free(job->out);
	free(job);
	if (--n_jobs == 0 && closing)
		loop_stop(loop, 0);
}

/* An answer is what the other side said until it closed, if it ended well. */
static void job_end(struct job *job)
{
	if (!job->ended || job->running)
		return;
	/* A text that could be mistaken for a shorter one is none. */
	if (strnlen(job->answer, job->answer_len) != job->answer_len)
		job->answer[0] = 0;
	if (job->ask)
		send_answer(job->id, job->failed, job->failed ? "" : job->answer);
	else if (job->failed)
		LOG("a notice could not be shown");
	job_free(job);
}

static void job_broken(struct job *job)
{
	job->failed = true;
	job->ended = true;
	loop_fd_remove(loop, &job->source);
	if (job->running)
		(void)kill(job->child.pid, SIGTERM);
	job_end(job);
}

static void on_timeout(void *arg)
{
	job_broken(arg);
}

static void on_child(void *arg, int wait_status)
{
	struct job *job = arg;

	job->running = false;
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0)
		job->failed = true;
	job_end(job);
}

static void job_write(struct job *job)
{
	while (job->out_at < job->out_len) {
		ssize_t n = send(job->fd, job->out + job->out_at, job->out_len - job->out_at,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break; /* it does not want to hear the rest: what it answers counts */
		job->out_at += (size_t)n;
	}
	job->out_at = job->out_len;
	(void)shutdown(job->fd, SHUT_WR);
	loop_fd_set(loop, &job->source, EPOLLIN);
}

static void job_read(struct job *job)
{
	char more[1024];
	ssize_t n = recv(job->fd, more, sizeof(more), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		job_broken(job);
		return;
	}
	if (n == 0) {
		job->ended = true;
		loop_fd_remove(loop, &job->source);
		job_end(job);
		return;
	}
	n = (ssize_t)MIN((size_t)n, PROMPT_ANSWER_MAX - job->answer_len);
	memcpy(job->answer + job->answer_len, more, (size_t)n);
	job->answer_len += (size_t)n;
}

static void on_ready(void *arg, uint32_t events)
{
	struct job *job = arg;

	if (events & EPOLLOUT)
		job_write(job);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		job_read(job);
}

/* The prompt service of dom0: at its place as a service, or where it listens. */
static int connect_dom0(const char *service)
{
	char path[PATH_MAX];
	int fd = -1;

	if (path_make(path, sizeof(path), "/etc/qubes-rpc", service) == 0)
		fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (fd < 0 && path_make(path, sizeof(path), "/var/run/qubes/policy-agent.sock", NULL) == 0)
		fd = fd_connect_unix(path, SOCK_STREAM | SOCK_NONBLOCK);
	return fd;
}

static int client_path(char *path, size_t len)
{
	static const char *const places[] = {"qrexec-client", "../../tools/qrexec-client", NULL};

	if (path_make(path, len, "/usr/bin/qrexec-client", NULL) == 0 && access(path, X_OK) == 0)
		return 0;
	return path_program(path, len, places);
}

/* qrexec-client with both ends of its standard streams on one socket. */
static int spawn_client(struct job *job, const char *guivm, const char *service)
{
	char path[PATH_MAX], command[64];
	char *argv[] = {path, (char[]){"-d"}, strdup(guivm), command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int pair[2], r = -1;
	pid_t pid = -1;

	(void)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s dom0", service);
	(void)sigemptyset(&none);
	if (!argv[2] || client_path(path, sizeof(path)) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		free(argv[2]);
		return -1;
	}
	if (posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attr) == 0) {
		(void)posix_spawn_file_actions_adddup2(&actions, pair[1], 0);
		(void)posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
		(void)posix_spawnattr_setsigmask(&attr, &none);
		(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
		r = posix_spawn(&pid, path, &actions, &attr, argv, environ);
		(void)posix_spawnattr_destroy(&attr);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	free(argv[2]);
	fd_close(pair[1]);
	if (r != 0 || loop_child_add(loop, &job->child, pid, on_child, job)) {
		fd_close(pair[0]);
		return -1;
	}
	job->running = true;
	return pair[0];
}

/* Starts a job; text is taken. 0, or -1: cannot be reached. */
static int job_start(const struct prompt *prompt, char *text, size_t len)
{
	const char *service = prompt->kind == PROMPT_ASK ? "policy.Ask" : "policy.Notify";
	bool local = strcmp(prompt->guivm, "dom0") == 0;
	struct job *job = n_jobs < JOBS_MAX ? calloc(1, sizeof(*job)) : NULL;

	if (!job) {
		free(text);
		return -1;
	}
	*job = (struct job){.ask = prompt->kind == PROMPT_ASK,
	                    .id = prompt->id,
	                    .fd = -1,
	                    .source = LOOP_FD_EMPTY,
	                    .child = LOOP_CHILD_EMPTY,
	                    .out = text,
	                    .out_len = len,
	                    .next = jobs};
	if (jobs)
		jobs->prev = job;
	jobs = job;
	n_jobs++;
	job->fd = local ? connect_dom0(service) : spawn_client(job, prompt->guivm, service);
	if (job->fd < 0 ||
	    loop_fd_add(loop, &job->source, job->fd, EPOLLIN | EPOLLOUT, on_ready, job) ||
	    loop_timer_set(loop, &job->timer, job->ask ? LIMIT_PROMPT_MS : NOTIFY_MS, on_timeout,
	                   job)) {
		job_free(job);
		return -1;
	}
	return 0;
}

static int add_text(struct json_object *object, const char *key, const char *text)
{
	struct json_object *value = json_object_new_string(text);

	return value ? json_object_object_add(object, key, value) : -1;
}

/* Header and JSON as they go to the prompt service; NULL: no memory. */
static char *make_text(const struct prompt *prompt, struct json_object *object, size_t *ret_len)
{
	const char *service = prompt->kind == PROMPT_ASK ? "policy.Ask" : "policy.Notify";
	bool local = strcmp(prompt->guivm, "dom0") == 0;
	char header[64];
	size_t head = 0, len;
	const char *json = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &len);
	char *text;

	if (!json)
		return NULL;
	/* qrexec-client's peer writes the header itself. */
	if (local)
		head = (size_t)snprintf(header, sizeof(header), "%s dom0 name dom0", service) + 1;
	text = malloc(head + len + 1);
	if (!text)
		return NULL;
	memcpy(text, header, head);
	memcpy(text + head, json, len);
	*ret_len = head + len;
	return text;
}

static struct json_object *make_notify(const struct prompt *prompt)
{
	struct json_object *object = json_object_new_object();

	if (object && add_text(object, "resolution", prompt->allowed ? "allow" : "deny") == 0 &&
	    add_text(object, "service", prompt->service) == 0 &&
	    add_text(object, "argument", prompt->argument) == 0 &&
	    add_text(object, "source", prompt->source) == 0 &&
	    add_text(object, "target", prompt->target) == 0)
		return object;
	(void)json_object_put(object);
	return NULL;
}

/* The lists of an ask, taken from the frame whatever happens. -1: malformed, or no memory. */
static int add_lists(struct json_object *object, const struct prompt *prompt, struct wire_reader *r)
{
	struct json_object *targets = json_object_new_array(), *icons = json_object_new_object();
	uint32_t i;
	int bad = !targets || !icons || json_object_object_add(object, "targets", targets) ||
	          json_object_object_add(object, "icons", icons);

	for (i = 0; i < prompt->n_targets && !r->bad; i++) {
		struct json_object *name = json_object_new_string(prompt_decode_name(r));

		bad |= !name || bad || json_object_array_add(targets, name);
	}
	for (i = 0; i < prompt->n_icons && !r->bad; i++) {
		const char *name = prompt_decode_name(r), *icon = prompt_decode_name(r);

		bad |= bad || add_text(icons, name, icon);
	}
	return bad || !wire_end(r) ? -1 : 0;
}

static struct json_object *make_ask(const struct prompt *prompt, struct wire_reader *r)
{
	struct json_object *object = json_object_new_object();

	if (object && add_text(object, "source", prompt->source) == 0 &&
	    add_text(object, "service", prompt->service) == 0 &&
	    add_text(object, "argument", prompt->argument) == 0 &&
	    add_text(object, "default_target", prompt->target) == 0 &&
	    add_lists(object, prompt, r) == 0)
		return object;
	(void)json_object_put(object);
	return NULL;
}

static void carry(const struct prompt *prompt, struct json_object *object)
{
	size_t len = 0;
	char *text = object ? make_text(prompt, object, &len) : NULL;

	(void)json_object_put(object);
	if (text && job_start(prompt, text, len) == 0)
		return;
	LOG("the prompt service of %s cannot be reached", prompt->guivm);
	if (prompt->kind == PROMPT_ASK)
		send_answer(prompt->id, true, "");
}

static void cancel(uint32_t id)
{
	struct job *job = jobs;

	while (job && !(job->ask && job->id == id))
		job = job->next;
	if (job)
		job_free(job);
}

static void on_frame(void *arg, const uint8_t *untrusted_data, size_t len)
{
	struct wire_reader r = wire_reader(untrusted_data, len);
	struct prompt prompt;

	if (prompt_decode(&r, &prompt) || prompt.kind == PROMPT_ANSWER) {
		LOG("a malformed frame from the policy service");
		loop_stop(loop, 1);
	} else if (prompt.kind == PROMPT_CANCEL) {
		cancel(prompt.id);
	} else {
		carry(&prompt,
		      prompt.kind == PROMPT_ASK ? make_ask(&prompt, &r) : make_notify(&prompt));
	}
}

/* The service is gone: nobody waits for an answer, but notices still go out. */
static void on_close(void *arg)
{
	struct job *job, *next;

	closing = true;
	for (job = jobs; job; job = next) {
		next = job->next;
		if (job->ask)
			job_free(job);
	}
	if (n_jobs == 0)
		loop_stop(loop, 0);
}

int main(int argc, char **argv)
{
	char client[PATH_MAX];

	log_init("skerry-policy");
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return dprintf(STDOUT_FILENO, "%s\n", SKERRY_VERSION) < 0;
	if (argc > 1 || fcntl(CHANNEL_FD, F_GETFD) < 0) {
		LOG("%s is started by skerry-policy", argv[0]);
		return 2;
	}
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	loop = loop_new();
	if (!loop || fd_set_cloexec(CHANNEL_FD, true) ||
	    channel_init(&channel, loop, CHANNEL_FD, PROMPT_FRAME_MAX, 4U * PROMPT_FRAME_MAX)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	/* Where it is now is where it may be run; one that is installed later lies in /usr. */
	if (prompter_confine(client_path(client, sizeof(client)) == 0 ? client : NULL))
		return 1;
	channel.on_frame = on_frame;
	channel.on_close = on_close;
	return loop_run(loop) == 0 ? 0 : 1;
}
