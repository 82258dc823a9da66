/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed list of children. One is started when all before it are ready; they are ended in the
 * other direction, so that nothing loses what it stands on. A child that ends is started again
 * after a pause that doubles, except where its kind says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "image/init.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define LOOK_MS 10 /* between two tries to connect; a socket's coming cannot be waited for */

static void start_next(struct init *init);
static void start(struct child *c);
static void stop_last(struct init *init);

/* Reading the list. */

static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	*at = word + strcspn(word, " \t");
	if (**at != '\0')
		*(*at)++ = '\0';
	return *word == '\0' ? NULL : word;
}

static int parse_kind(const char *word, enum child_kind *ret_kind)
{
	static const char *const names[] = {
	        [CHILD_SERVICE] = "service",
	        [CHILD_VITAL] = "vital",
	        [CHILD_ONCE] = "once",
	        [CHILD_SESSION] = "session",
	};

	for (size_t i = 0; word && i < ARRAY_LEN(names); i++) {
		if (strcmp(word, names[i]) == 0) {
			*ret_kind = (enum child_kind)i;
			return 0;
		}
	}
	return -1;
}

static int parse_ready(const char *word, struct child *c)
{
	if (word && strcmp(word, "now") == 0) {
		c->ready = READY_AT_ONCE;
	} else if (word && strcmp(word, "byte") == 0) {
		c->ready = READY_BYTE;
	} else if (word && strcmp(word, "exit") == 0) {
		c->ready = READY_EXIT;
	} else if (word && strncmp(word, "socket=/", 8) == 0) {
		c->ready = READY_SOCKET;
		c->ready_path = word + 7;
	} else {
		return -1;
	}
	/* What is to end cannot be ready before, and what is to stay cannot be ready by ending. */
	return (c->ready == READY_EXIT) == (c->kind == CHILD_ONCE) ? 0 : -1;
}

static int parse_line(struct init *init, char *line)
{
	struct child *c = &init->children[init->n_children];
	char *at = line, *word = next_word(&at);
	size_t n = 0;

	if (!word || *word == '#')
		return 0;
	if (init->n_children == INIT_CHILDREN_MAX)
		return -1;
	*c = (struct child){.name = word, .init = init, .ready_source = LOOP_FD_EMPTY};
	if (parse_kind(next_word(&at), &c->kind) || parse_ready(next_word(&at), c))
		return -1;
	while (n < INIT_ARGS_MAX && (word = next_word(&at)))
		c->args[n++] = word;
	if (n == 0 || *c->args[0] != '/' || next_word(&at))
		return -1;
	init->n_children++;
	return 0;
}

int children_parse(struct init *init, char *text)
{
	int number = 0;

	while (text) {
		char *line = strsep(&text, "\n");

		number++;
		if (parse_line(init, line)) {
			LOG("line %d of the list of children is not: NAME KIND READY PROGRAM ...",
			    number);
			return -1;
		}
	}
	return 0;
}

/* Starting. */

static NORETURN void run(const struct child *c, int ready_fd)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/",
	            term[] = "TERM=linux";
	char *const environment[] = {path, home, term, NULL};
	sigset_t none;

	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (c->kind == CHILD_SESSION) {
		int console = open("/dev/console", O_RDWR | O_CLOEXEC);

		if (console >= 0 && dup2(console, 0) >= 0)
			(void)ioctl(0, TIOCSCTTY, 1);
	}
	/* Our own descriptors have the numbers below, so it never is that number already. */
	if (ready_fd >= 0)
		(void)dup2(ready_fd, INIT_READY_FD);
	(void)execve(c->args[0], c->args, environment);
	LOG_ERRNO("%s: %s", c->name, c->args[0]);
	_exit(127);
}

static void became_ready(struct child *c)
{
	struct init *init = c->init;

	if (c->ready_source.fd >= 0) {
		int fd = c->ready_source.fd;

		loop_fd_remove(init->loop, &c->ready_source);
		(void)fd_close(fd);
	}
	loop_timer_clear(init->loop, &c->look);
	loop_timer_clear(init->loop, &c->timer);
	c->state = c->ready == READY_EXIT ? CHILD_OVER : CHILD_RUNNING;
	if (!init->stopping)
		start_next(init);
}

static void on_byte(void *arg, uint32_t events)
{
	struct child *c = arg;
	char byte;
	ssize_t n = read(c->ready_source.fd, &byte, 1);

	(void)events;
	if (n == 1) {
		became_ready(c);
	} else if (n == 0 || errno != EAGAIN) {
		/* Closed without a word: its end, or its deadline, will say the rest. */
		int fd = c->ready_source.fd;

		loop_fd_remove(c->init->loop, &c->ready_source);
		(void)fd_close(fd);
	}
}

static void on_look(void *arg)
{
	struct child *c = arg;
	OWNED_FD int fd = fd_connect_unix(c->ready_path, SOCK_STREAM | SOCK_NONBLOCK);

	if (fd >= 0)
		became_ready(c);
	else if (loop_timer_set(c->init->loop, &c->look, LOOK_MS, on_look, c))
		LOG_ERRNO("%s", c->name);
}

static void on_late(void *arg)
{
	struct child *c = arg;

	LOG("%s was not ready within %d s: killed", c->name, INIT_READY_MS / 1000);
	(void)kill(c->pid, SIGKILL);
}

static int watch_ready(struct child *c, int *ready_fd)
{
	struct loop *loop = c->init->loop;

	if (c->ready == READY_BYTE) {
		if (loop_fd_add(loop, &c->ready_source, *ready_fd, EPOLLIN, on_byte, c))
			return -1;
		(void)fd_take(ready_fd);
	}
	if (c->ready == READY_SOCKET && loop_timer_set(loop, &c->look, LOOK_MS, on_look, c))
		return -1;
	/* What runs to its end may prepare a disk, or wait for a person's passphrase. */
	if (c->ready == READY_EXIT)
		return 0;
	return loop_timer_set(loop, &c->timer, INIT_READY_MS, on_late, c);
}

static void on_pause_over(void *arg)
{
	start(arg);
}

static void start_later(struct child *c)
{
	c->state = CHILD_PAUSING;
	if (loop_timer_set(c->init->loop, &c->timer, c->pause_ms, on_pause_over, c))
		LOG_ERRNO("%s cannot be started again", c->name);
	c->pause_ms = MIN(c->pause_ms * 2, (uint64_t)INIT_BACKOFF_MAX_MS);
}

static void start(struct child *c)
{
	int pair[2] = {-1, -1};
	pid_t pid;

	if (c->pause_ms == 0)
		c->pause_ms = INIT_BACKOFF_MIN_MS;
	if (c->ready == READY_BYTE && pipe2(pair, O_CLOEXEC | O_NONBLOCK)) {
		LOG_ERRNO("%s", c->name);
		start_later(c);
		return;
	}
	pid = fork();
	if (pid == 0)
		run(c, pair[1]);
	(void)fd_close(pair[1]);
	if (pid < 0 || watch_ready(c, &pair[0])) {
		LOG_ERRNO("%s", c->name);
		(void)fd_close(pair[0]);
		if (pid > 0)
			(void)kill(pid, SIGKILL);
	}
	if (pid < 0) {
		start_later(c);
		return;
	}
	c->pid = pid;
	c->began_ns = loop_now_ns();
	c->state = CHILD_STARTING;
	if (c->ready == READY_AT_ONCE)
		became_ready(c);
}

/* Once, for people and for measurements. */
static void say_ready(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	LOG("all is ready, %lld.%02ld s after the kernel began", (long long)t.tv_sec,
	    t.tv_nsec / 10000000);
}

static void start_next(struct init *init)
{
	if (init->stopping ||
	    (init->next > 0 && init->children[init->next - 1].state == CHILD_STARTING))
		return;
	if (init->next < init->n_children) {
		start(&init->children[init->next++]);
	} else if (!init->ready) {
		init->ready = true;
		say_ready();
	}
}

void children_start(struct init *init)
{
	start_next(init);
}

/* Ending. */

static void forget(struct child *c)
{
	struct loop *loop = c->init->loop;
	int fd = c->ready_source.fd;

	loop_fd_remove(loop, &c->ready_source);
	(void)fd_close(fd);
	loop_timer_clear(loop, &c->look);
	loop_timer_clear(loop, &c->timer);
	c->pid = 0;
}

static void say_end(const struct child *c, int status)
{
	if (WIFSIGNALED(status))
		LOG("%s died of signal %d", c->name, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0 || c->kind != CHILD_ONCE)
		LOG("%s ended with status %d", c->name, WEXITSTATUS(status));
}

static void ended(struct child *c, int status)
{
	struct init *init = c->init;
	bool was_starting = c->state == CHILD_STARTING;
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	forget(c);
	say_end(c, status);
	c->state = CHILD_OVER;
	if (init->stopping) {
		stop_last(init);
	} else if (c->kind == CHILD_ONCE && good) {
		became_ready(c);
	} else if (c->kind == CHILD_SERVICE) {
		if (!was_starting && loop_now_ns() - c->began_ns > INIT_STABLE_MS * 1000000ULL)
			c->pause_ms = INIT_BACKOFF_MIN_MS;
		start_later(c);
	} else {
		children_stop(init, RB_POWER_OFF);
	}
}

void children_reaped(struct init *init, pid_t pid, int wait_status)
{
	for (size_t i = 0; i < init->n_children; i++) {
		if (init->children[i].pid == pid) {
			ended(&init->children[i], wait_status);
			return;
		}
	}
}

static void on_stop_late(void *arg)
{
	struct child *c = arg;

	LOG("%s does not end: killed", c->name);
	(void)kill(c->pid, SIGKILL);
}

/* The last that still runs is asked to end; its end brings us here again. */
static void stop_last(struct init *init)
{
	for (size_t i = init->n_children; i-- > 0;) {
		struct child *c = &init->children[i];

		if (c->pid > 0) {
			(void)kill(c->pid, SIGTERM);
			if (loop_timer_set(init->loop, &c->timer, INIT_STOP_MS, on_stop_late, c))
				(void)kill(c->pid, SIGKILL);
			return;
		}
		loop_timer_clear(init->loop, &c->timer);
	}
	init_finish(init);
}

void children_stop(struct init *init, int how)
{
	init->how = how;
	if (init->stopping)
		return;
	init->stopping = true;
	stop_last(init);
}
