/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"

#define DECIDER      HELPER_MAX /* place of the deciding process among the children */
#define CHILDREN     (DECIDER + 1)
#define AGAIN_MS     10U /* before the first new start; doubled while they are short-lived; chosen */
#define AGAIN_MAX_MS 5000U  /* chosen */
#define LONG_LIFE_MS 10000U /* who lived this long starts again at once; chosen */
#define END_MS       3000U  /* for orderly ends, then SIGKILL; chosen */
#define SAFE_FD      32     /* descriptors are moved above those that a child is to find */

struct child {
	char name[24];
	struct loop_child source;
	struct loop_timer again;
	uint64_t started_ns;
	unsigned int delay_ms;
	bool running;
};

static struct child children[CHILDREN] = {
        [HELPER_FACTS] = {.name = "skerry-policy-facts"},
        [HELPER_PROMPTER] = {.name = "skerry-policy-prompter"},
        [HELPER_RECORDER] = {.name = "skerry-policy-recorder"},
        [DECIDER] = {.name = "skerry-policy-decider"},
};
static const struct starter_options *options;
static struct loop *loop;
static struct loop_timer kill_timer;
static int control = -1; /* to the deciding process; -1: it has ended */
static bool stopping;
extern char **environ;

static void start_all(void *arg);
static void start_helper(void *arg);

static bool anyone_runs(void)
{
	size_t i;

	for (i = 0; i < CHILDREN; i++)
		if (children[i].running)
			return true;
	return false;
}

static void kill_all(void *arg)
{
	size_t i;

	for (i = 0; i < CHILDREN; i++)
		if (children[i].running)
			(void)kill(children[i].source.pid, SIGKILL);
}

static void say_end(const struct child *c, int wait_status)
{
	if (WIFSIGNALED(wait_status))
		LOG("%s was ended by signal %d", c->name, WTERMSIG(wait_status));
	else if (c == &children[DECIDER] && WEXITSTATUS(wait_status) == DECIDER_RENEW)
		LOG("%s starts anew to read policy from a new place", c->name);
	else
		LOG("%s ended with status %d", c->name, WEXITSTATUS(wait_status));
}

static void start_later(struct child *c, void (*fn)(void *arg))
{
	uint64_t lived_ms = (loop_now_ns() - c->started_ns) / 1000000U;

	if (lived_ms >= LONG_LIFE_MS || c->delay_ms == 0)
		c->delay_ms = AGAIN_MS;
	else
		c->delay_ms = MIN(c->delay_ms * 2, AGAIN_MAX_MS);
	if (loop_timer_set(loop, &c->again, c->delay_ms, fn, c)) {
		LOG_ERRNO("%s cannot be started again", c->name);
		loop_stop(loop, 1);
	}
}

/* The helpers see the end of their channels; whoever does not leave is made to. */
static void end_all(void)
{
	size_t i;

	control = fd_close(control);
	for (i = 0; i < CHILDREN; i++)
		loop_timer_clear(loop, &children[i].again);
	if (loop_timer_set(loop, &kill_timer, END_MS, kill_all, NULL))
		kill_all(NULL);
}

static void on_end(void *arg, int wait_status)
{
	struct child *c = arg;

	c->running = false;
	if (!stopping && (control >= 0 || c == &children[DECIDER]))
		say_end(c, wait_status);
	if (c == &children[DECIDER])
		end_all();
	if (control >= 0) {
		start_later(c, start_helper);
		return;
	}
	if (anyone_runs())
		return;
	loop_timer_clear(loop, &kill_timer);
	if (stopping)
		loop_stop(loop, 0);
	else
		start_later(&children[DECIDER], start_all);
}

/* Signals that this process blocks are not blocked in a child. */
static int spawn(struct child *c, char *const argv[], const char *path,
                 posix_spawn_file_actions_t *actions)
{
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r = posix_spawnattr_init(&attr);

	if (r)
		return r;
	(void)sigemptyset(&none);
	r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawn(&pid, path, actions, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	if (r)
		return r;
	c->source = (struct loop_child)LOOP_CHILD_EMPTY;
	if (loop_child_add(loop, &c->source, pid, on_end, c)) {
		r = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	c->running = true;
	return 0;
}

/* Starts a child that finds these descriptors from 3 on; they must be above SAFE_FD. */
static int start(struct child *c, char *argv[], const int *fds, size_t n_fds)
{
	const char *const places[] = {c->name, NULL};
	posix_spawn_file_actions_t actions;
	char path[PATH_MAX];
	size_t i;
	int r;

	c->started_ns = loop_now_ns();
	if (path_program(path, sizeof(path), places)) {
		LOG_ERRNO("%s", c->name);
		return -1;
	}
	argv[0] = c->name;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		for (i = 0; i < n_fds && r == 0; i++)
			r = posix_spawn_file_actions_adddup2(&actions, fds[i], 3 + (int)i);
		if (r == 0)
			r = spawn(c, argv, path, &actions);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	if (r == 0)
		return 0;
	errno = r;
	LOG_ERRNO("%s cannot be started", path);
	return -1;
}

/* Two ends above SAFE_FD; both close-on-exec. */
static int make_pair(int type, int ends[2])
{
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return -1;
	ends[0] = fcntl(pair[0], F_DUPFD_CLOEXEC, SAFE_FD);
	ends[1] = fcntl(pair[1], F_DUPFD_CLOEXEC, SAFE_FD);
	fd_close(pair[0]);
	fd_close(pair[1]);
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	fd_close(ends[0]);
	fd_close(ends[1]);
	return -1;
}

/* A helper that runs without a deciding process that knows it sees the end of its channel at once. */
static int try_helper(struct child *c)
{
	uint8_t which = (uint8_t)(c - children);
	char *argv[3] = {NULL};
	int pair[2], r;

	if (make_pair(SOCK_STREAM | SOCK_NONBLOCK, pair)) {
		LOG_ERRNO("%s", c->name);
		return -1;
	}
	if (options->helper_args[which])
		argv[1] = strdup(options->helper_args[which]);
	r = options->helper_args[which] && !argv[1] ? -1 : start(c, argv, &pair[1], 1);
	free(argv[1]);
	fd_close(pair[1]);
	if (r == 0 && fd_send_message(control, &which, 1, &pair[0], 1) != 1)
		LOG_ERRNO("the deciding process does not take a new %s", c->name);
	fd_close(pair[0]);
	return r;
}

static void start_helper(void *arg)
{
	struct child *c = arg;

	if (control >= 0 && try_helper(c))
		start_later(c, start_helper);
}

static int start_decider(void)
{
	int pair[2], fds[1 + LISTEN_MAX], r;
	char *argv[64] = {NULL};
	size_t n = 0;

	while (options->decider_args[n] && n + 2 < ARRAY_LEN(argv)) {
		argv[n + 1] = strdup(options->decider_args[n]);
		if (!argv[++n])
			break;
	}
	if ((n > 0 && !argv[n]) || make_pair(SOCK_SEQPACKET, pair)) {
		while (n > 0)
			free(argv[n--]);
		return -1;
	}
	fds[0] = pair[1];
	memcpy(fds + 1, options->listen, sizeof(options->listen));
	r = fd_set_blocking(pair[0], false);
	if (r == 0)
		r = start(&children[DECIDER], argv, fds, ARRAY_LEN(fds));
	while (n > 0)
		free(argv[n--]);
	fd_close(pair[1]);
	control = r ? fd_close(pair[0]) : pair[0];
	return r;
}

static void start_all(void *arg)
{
	size_t i;

	if (start_decider()) {
		start_later(&children[DECIDER], start_all);
		return;
	}
	for (i = 0; i < HELPER_MAX; i++)
		start_helper(&children[i]);
}

static void on_signal(void *arg, int signo, pid_t sender)
{
	if (stopping)
		return;
	stopping = true;
	end_all();
	if (!anyone_runs())
		loop_stop(loop, 0);
}

/* Tells a service manager that the sockets are there. */
static void say_ready(void)
{
	static const char text[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len == 0 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT,
	                     (const struct sockaddr *)&addr,
	                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		LOG_ERRNO("the service manager cannot be told");
	fd_close(fd);
	(void)unsetenv("NOTIFY_SOCKET");
}

int starter_run(const struct starter_options *given)
{
	int status;

	options = given;
	loop = loop_new();
	if (!loop || loop_signal_add(loop, SIGTERM, on_signal, NULL) ||
	    loop_signal_add(loop, SIGINT, on_signal, NULL)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	say_ready();
	start_all(NULL);
	status = loop_run(loop);
	if (anyone_runs())
		kill_all(NULL);
	loop_free(loop);
	return status == 0 ? 0 : 1;
}
