/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "proto/limits.h"
#include "tools/ask_request.h"
#include "tools/ask_screen.h"
#include "tools/skerry.h"

/*
 * skerry ask: the prompt service for a terminal. Listens where policy.Ask and policy.Notify lead, shows
 * one prompt at a time and queues the others. What it is told comes from the policy service, with words
 * of qubes inside; so it is confined before the first connection: no file, no program, no network.
 * With --answer it answers by itself, for tests.
 */

#define ARM_MS      1000U /* a prompt is on the screen this long before a key decides; protocol */
#define CLIENTS_MAX 256U  /* prompts and notices at once; chosen */

struct client {
	struct client *next, *prev;
	int fd;
	struct loop_fd source;
	struct loop_timer timer;
	char *data;
	size_t len, room;
	struct ask_request request; /* queued once ready */
	bool ready;
};

static struct loop *loop;
static struct ask_screen screen;
static struct loop_fd listener = LOOP_FD_EMPTY, keys = LOOP_FD_EMPTY;
static struct loop_timer arm;
static struct client *first, *last; /* in order of arrival */
static size_t n_clients;
static struct client *shown;
static bool terminal;

/* --answer: one answer for all, or one for each prompt in turn. */
static char *script;
static char *script_next;

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        CONFINE_CALLS_LOOP,
        {"accept4", "prompts and notices"},
        {"recvfrom", "prompts and notices"},
        {"sendto", "answers"},
        {"ioctl",
         "size of the terminal",
         1,
         {{.arg = 1, .mask = 0xffffffffU, .value = TIOCGWINSZ}}},
        {"ioctl", "give the terminal back", 1, {{.arg = 1, .mask = 0xffffffffU, .value = TCSETSF}}},
        {"ioctl", "give the terminal back", 1, {{.arg = 1, .mask = 0xffffffffU, .value = TCGETS}}},
        {"newfstatat", "stdio", 1, {{.arg = 3, .mask = AT_EMPTY_PATH, .value = AT_EMPTY_PATH}}},
        {"fstat", "stdio"},
};

static void show_next(void);

static void client_free(struct client *c)
{
	*(c->prev ? &c->prev->next : &first) = c->next;
	*(c->next ? &c->next->prev : &last) = c->prev;
	loop_fd_remove(loop, &c->source);
	loop_timer_clear(loop, &c->timer);
	fd_close(c->fd);
	ask_request_fini(&c->request);
	free(c->data);
	n_clients--;
	if (shown == c) {
		shown = NULL;
		free(c);
		show_next();
		return;
	}
	free(c);
}

static void reply(struct client *c, const char *verdict, const char *target)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s%s", verdict, target);

	if (n > 0 && n < (int)sizeof(text) &&
	    send(c->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		LOG_ERRNO("an answer could not be given");
	client_free(c);
}

static void on_armed(void *arg)
{
	screen.armed = true;
	ask_screen_draw(&screen);
}

static void show_next(void)
{
	struct client *c;
	size_t waiting = 0;

	if (!terminal)
		return;
	for (c = first; c; c = c->next)
		waiting += c->ready;
	for (c = first; c && !c->ready;)
		c = c->next;
	screen.waiting = waiting > 0 ? waiting - 1 : 0;
	if (shown) {
		ask_screen_draw(&screen);
		return;
	}
	shown = c;
	loop_timer_clear(loop, &arm);
	ask_screen_show(&screen, c ? &c->request : NULL);
	if (c && loop_timer_set(loop, &arm, ARM_MS, on_armed, NULL))
		loop_stop(loop, SKERRY_REFUSED);
}

/* The next line of the script; the last one stays. */
static const char *script_line(void)
{
	char *line = script_next, *end = strchr(line, '\n');

	if (end && end[1]) {
		*end = 0;
		script_next = end + 1;
	} else if (end) {
		*end = 0;
	}
	return line;
}

static void note(const struct ask_request *r)
{
	char source[ASK_TEXT_MAX + 4], service[ASK_TEXT_MAX + 4], argument[ASK_TEXT_MAX + 4];
	char target[ASK_TEXT_MAX + 4], line[5 * ASK_TEXT_MAX];

	ask_show(source, r->source);
	ask_show(service, r->service);
	ask_show(argument, strcmp(r->argument, "+") == 0 ? "" : r->argument);
	ask_show(target, r->target);
	if (r->kind == ASK_NOTICE)
		(void)snprintf(line, sizeof(line), "%s: %s%s from %s to %s",
		               r->resolution[0] == 'a'   ? "Allowed"
		               : r->resolution[0] == 'd' ? "Denied"
		                                         : "Failed",
		               service, argument, source, target);
	else
		(void)snprintf(line, sizeof(line), "Asked: %s%s from %s, %zu target%s", service,
		               argument, source, r->n_targets, r->n_targets == 1 ? "" : "s");
	if (terminal) {
		ask_screen_line(&screen, line);
	} else {
		(void)printf("%s\n", line);
		(void)fflush(stdout);
	}
}

static void on_hangup(void *arg, uint32_t events)
{
	client_free(arg);
}

static void take_request(struct client *c)
{
	if (ask_request_decode(c->data ? c->data : "", c->len, &c->request)) {
		LOG("a malformed request to the prompt service");
		client_free(c);
		return;
	}
	loop_timer_clear(loop, &c->timer);
	loop_fd_set(loop, &c->source, 0);
	c->source.fn = on_hangup;
	if (c->request.kind == ASK_NOTICE || script)
		note(&c->request);
	if (c->request.kind == ASK_NOTICE) {
		client_free(c);
	} else if (script) {
		reply(c, script_line(), "");
	} else {
		c->ready = true;
		show_next();
	}
}

static void on_readable(void *arg, uint32_t events)
{
	struct client *c = arg;
	ssize_t n;

	if (c->len + 1 >= c->room) {
		size_t room = c->room ? c->room * 2 : 16384;
		char *data = room <= ASK_REQUEST_MAX ? realloc(c->data, room) : NULL;

		if (!data) {
			LOG("a request to the prompt service is too long");
			client_free(c);
			return;
		}
		c->data = data;
		c->room = room;
	}
	n = recv(c->fd, c->data + c->len, c->room - c->len - 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_free(c);
		return;
	}
	c->len += (size_t)n;
	c->data[c->len] = 0;
	if (n == 0)
		take_request(c);
}

static void on_slow(void *arg)
{
	client_free(arg);
}

static void on_connect(void *arg, uint32_t events)
{
	int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c = fd >= 0 && n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		fd_close(fd);
		return;
	}
	c->fd = fd;
	c->source = (struct loop_fd)LOOP_FD_EMPTY;
	c->prev = last;
	*(last ? &last->next : &first) = c;
	last = c;
	n_clients++;
	if (loop_timer_set(loop, &c->timer, LIMIT_LOCAL_HELLO_MS, on_slow, c) ||
	    loop_fd_add(loop, &c->source, fd, EPOLLIN, on_readable, c))
		client_free(c);
}

static void on_keys(void *arg, uint32_t events)
{
	const char *target = NULL;
	char typed[64];
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Nobody is there any more: every prompt is refused, now and by the closed socket later. */
	if (n <= 0 || (!shown && (typed[0] == 3 || typed[0] == 4))) {
		terminal = false;
		while (first)
			reply(first, first->ready ? "deny" : "", "");
		loop_stop(loop, SKERRY_DONE);
		return;
	}
	switch (ask_screen_keys(&screen, typed, (size_t)n, &target)) {
	case ASK_ALLOW:
		reply(shown, "allow:", target);
		break;
	case ASK_DENY:
		reply(shown, "deny", "");
		break;
	case ASK_GOES_ON:
		ask_screen_draw(&screen);
		break;
	}
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	loop_stop(loop, SKERRY_DONE);
}

/* "deny", "allow:X", or the name of a file with one answer a line. */
static int read_script(const char *answer)
{
	size_t n;
	FILE *f;

	if (strcmp(answer, "deny") == 0 || strncmp(answer, "allow:", 6) == 0) {
		script = strdup(answer);
	} else {
		f = fopen(answer, "re");
		script = f ? calloc(1, 65536) : NULL;
		if (script) {
			n = fread(script, 1, 65535, f);
			script[n] = 0;
		}
		if (f)
			(void)fclose(f);
	}
	script_next = script;
	return script ? 0 : -1;
}

static int serve(const char *path)
{
	const struct confine_rights rights = {
	        .name = "skerry-ask",
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .files_max = 1024,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS,
	        .wanted = CONFINE_LANDLOCK,
	};
	int fd = fd_listen_unix(path, SOCK_STREAM | SOCK_NONBLOCK, 0660, 64);

	if (fd < 0 || loop_fd_add(loop, &listener, fd, EPOLLIN, on_connect, NULL)) {
		LOG_ERRNO("%s", path);
		return SKERRY_REFUSED;
	}
	if (terminal && loop_fd_add(loop, &keys, STDIN_FILENO, EPOLLIN, on_keys, NULL)) {
		LOG_ERRNO("standard input");
		return SKERRY_REFUSED;
	}
	if (loop_signal_add(loop, SIGTERM, on_signal, NULL) || confine(&rights))
		return SKERRY_REFUSED;
	if (terminal)
		ask_screen_line(&screen, "Waiting for prompts; Ctrl-C ends.");
	return loop_run(loop);
}

int skerry_ask(int argc, char **argv, const struct skerry_options *options)
{
	char usual[PATH_MAX];
	const char *path = NULL, *answer = NULL;
	int i, status;

	for (i = 1; i < argc; i++) {
		if ((strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--socket-path") == 0) &&
		    i + 1 < argc)
			path = argv[++i];
		else if (strncmp(argv[i], "--socket-path=", 14) == 0)
			path = argv[i] + 14;
		else if (strcmp(argv[i], "--answer") == 0 && i + 1 < argc)
			answer = argv[++i];
		else if (strncmp(argv[i], "--answer=", 9) == 0)
			answer = argv[i] + 9;
		else
			return skerry_usage("ask");
	}
	if (!path && path_make(usual, sizeof(usual), "/var/run/qubes/policy-agent.sock", NULL) == 0)
		path = usual;
	if (!path || (answer && read_script(answer))) {
		LOG_ERRNO("%s", answer ? answer : "path");
		return SKERRY_REFUSED;
	}
	loop = loop_new();
	terminal = !answer;
	if (!loop || (terminal && ask_screen_init(&screen, options))) {
		LOG("a terminal is needed to ask; --answer answers without one");
		return SKERRY_REFUSED;
	}
	status = serve(path);
	ask_screen_fini(&screen);
	return status < 0 ? SKERRY_REFUSED : status;
}
