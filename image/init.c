/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

#define CHILDREN     "/etc/skerry/children"
#define LEFT_TERM_MS 500U   /* for what was left over to end by itself; chosen */
#define LEFT_KILL_MS 10000U /* chosen: a write to a slow disk */

static struct init init_state;

/* Standard output and error of all: the console; input: nothing. */
static void open_console(void)
{
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, 0);
	if (console >= 0) {
		(void)dup2(console, 1);
		(void)dup2(console, 2);
	}
	if (console > 2)
		(void)close(console);
	if (null > 2)
		(void)close(null);
}

static void on_child(void *arg, int signo, pid_t sender)
{
	struct init *init = arg;
	int status;
	pid_t pid;

	(void)signo;
	(void)sender;
	/* Orphans of any process come to us as well. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		children_reaped(init, pid, status);
}

static void on_stop(void *arg, int signo, pid_t sender)
{
	struct init *init = arg;

	LOG("%s, asked for by process %d", signo == SIGINT ? "restart" : "switching off",
	    (int)sender);
	children_stop(init, signo == SIGINT ? RB_AUTOBOOT : RB_POWER_OFF);
}

/* Whether every process has ended, in that time. */
static bool all_end(unsigned int ms)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	pid_t pid = 0;

	for (unsigned int waited = 0; waited < ms; waited += 10) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

void init_finish(struct init *init)
{
	/* What is not a child of ours, but was left over by one of them, became one. */
	(void)kill(-1, SIGTERM);
	if (!all_end(LEFT_TERM_MS)) {
		(void)kill(-1, SIGKILL);
		/* A file that a dying process has open keeps its disk busy. */
		if (!all_end(LEFT_KILL_MS))
			LOG("processes that were killed do not end");
	}
	ground_release();
	LOG("%s", init->how == RB_AUTOBOOT ? "restart" : "power off");
	if (reboot(init->how))
		LOG_ERRNO("reboot");
	loop_stop(init->loop, 1);
}

static int read_list(struct init *init)
{
	OWNED_FD int fd = open(CHILDREN, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		LOG_ERRNO(CHILDREN);
		return -1;
	}
	n = read(fd, init->text, sizeof(init->text));
	if (n < 0 || n == sizeof(init->text)) {
		LOG("%s: longer than %u bytes", CHILDREN, INIT_FILE_MAX - 1);
		return -1;
	}
	init->text[n] = '\0';
	return children_parse(init, init->text);
}

static int set_up(struct init *init)
{
	init->loop = loop_new();
	if (!init->loop || loop_signal_add(init->loop, SIGCHLD, on_child, init) ||
	    loop_signal_add(init->loop, SIGTERM, on_stop, init) ||
	    loop_signal_add(init->loop, SIGINT, on_stop, init)) {
		LOG_ERRNO("the event loop");
		return -1;
	}
	return read_list(init);
}

/* The kernel's first process may have few descriptors, and so all that it starts; each lowers it for itself. */
static void raise_limits(void)
{
	const struct rlimit files = {.rlim_cur = 1024, .rlim_max = INIT_FILES_MAX};

	if (setrlimit(RLIMIT_NOFILE, &files))
		LOG_ERRNO("the limit of descriptors");
}

/* By the names that the kernel starts when Xen asks it to end, and people know. */
static int ask_process_1(const char *name)
{
	const char *base = strrchr(name, '/');
	int signo = 0;

	base = base ? base + 1 : name;
	if (strcmp(base, "poweroff") == 0)
		signo = SIGTERM;
	else if (strcmp(base, "reboot") == 0)
		signo = SIGINT;
	if (signo == 0) {
		(void)fprintf(stderr,
		              "skerry-init is started by the kernel, as process 1; poweroff and "
		              "reboot are names that ask it\n");
		return 2;
	}
	if (kill(1, signo)) {
		LOG_ERRNO("%s", base);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct init *init = &init_state;

	log_init("init");
	if (getpid() != 1)
		return ask_process_1(argc > 0 ? argv[0] : "");
	(void)umask(022);
	raise_limits();
	(void)reboot(RB_DISABLE_CAD);
	ground_prepare();
	open_console();
	LOG("Skerry %s", SKERRY_VERSION);
	if (set_up(init)) {
		/* The kernel panics when this process ends; a machine that cannot start is to stand still. */
		init->how = RB_POWER_OFF;
		if (init->loop)
			init_finish(init);
		return 1;
	}
	children_start(init);
	return loop_run(init->loop) != 0;
}
