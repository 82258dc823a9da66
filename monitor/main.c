/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerryd - the monitor of a Skerry system: options, the lock that keeps it alone, and the order in
 * which it begins. See monitor.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "monitor/monitor.h"

#define EXIT_USAGE   2
#define EXIT_AGAIN   111 /* another monitor runs */
#define LOCK_TRIES   50  /* 10 ms each; chosen */
#define STOP_SECONDS 30U /* for qubes to end by themselves; chosen */

static struct monitor monitor = {
        .lock = -1, .records = -1, .admin_fd = -1, .ground = "local", .stop_seconds = STOP_SECONDS};
static int ready_fd = -1;

uint32_t monitor_exit_status(int wait_status)
{
	if (wait_status == PROC_STATUS_UNKNOWN)
		return 255;
	return WIFSIGNALED(wait_status) ? 128U + (uint32_t)WTERMSIG(wait_status)
	                                : (uint32_t)WEXITSTATUS(wait_status);
}

/* Of services. */

static void say_ready(struct monitor *m)
{
	uint8_t byte = 0;

	if (ready_fd < 0 || !m->services[PROCESS_ADMIN].ready)
		return;
	if (write(ready_fd, &byte, 1) != 1)
		LOG_ERRNO("the starter could not be told");
	ready_fd = fd_close(ready_fd);
}

void monitor_service_ready(struct service *s)
{
	struct monitor *m = s->monitor;

	if (s->id == PROCESS_CHANNELS && m->table_known)
		qubes_open_channels(m);
	say_ready(m);
	services_start(m);
}

void monitor_service_gone(struct service *s)
{
	struct monitor *m = s->monitor;

	s->ready = false;
	switch (s->id) {
	case PROCESS_TOOLSTACK:
		m->table_known = false;
		pending_drop(m, s->id);
		break;
	case PROCESS_CHANNELS:
		pending_drop(m, s->id);
		break;
	case PROCESS_ADMIN:
		/* What it asked for goes on; nobody is told. */
		pending_forget(m);
		calls_drop(m);
		m->hello_waits = false;
		for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
			struct qube *q = m->by_domid[domid];

			if (q)
				q->create_serial = q->destroy_serial = q->qrexec_serial = 0;
		}
		break;
	case PROCESS_NONE:
	case PROCESS_POLICY:
	case PROCESS_STORE:
	case PROCESS_STORAGE:
	case PROCESS_DATABASE:
	case PROCESS_KEEPER:
	case PROCESS_CALL:
	case PROCESS_BACKUP:
	case PROCESS_MAX:
	default:
		break;
	}
}

/* The places. */

static int make_folder(const char *path, mode_t mode, char full[PATH_MAX])
{
	if (path_make(full, PATH_MAX, path, NULL) == 0 &&
	    (mkdir(full, mode) == 0 || errno == EEXIST))
		return 0;
	LOG_ERRNO("%s", full);
	return -1;
}

static int make_folders(void)
{
	static const struct {
		const char *path;
		mode_t mode;
	} folders[] = {
	        {"/run", 0755},
	        {"/run/qubes", 0755},
	        {"/run/qubes/policy.d", 0755}, /* a folder of the policy; it must be there */
	        {"/run/skerry", 0755},
	        {"/var", 0755},
	        {"/var/log", 0755},
	        {"/var/log/qubes", 0755},
	        {"/var/lib", 0755},
	        {"/var/lib/qubes", 0755},
	        {"/var/lib/qubes/vm-kernels", 0755},
	        {"/etc", 0755},
	        {"/etc/qubes", 0755},
	        {"/etc/qubes/policy.d", 0755},
	        {"/etc/qubes-rpc", 0755},
	};
	char full[PATH_MAX], link[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (make_folder(folders[i].path, folders[i].mode, full))
			return -1;
	/* Programs say /var/run; below a prefix nobody has made it. */
	if (path_make(link, sizeof(link), "/var/run", NULL) == 0 && symlink("../run", link) &&
	    errno != EEXIST) {
		LOG_ERRNO("%s", link);
		return -1;
	}
	return 0;
}

/* Who holds the lock, for `skerry down`. */
static int say_number(int lock)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(lock, 0) || pwrite(lock, text, (size_t)n, 0) != n) {
		LOG_ERRNO("/run/skerry/lock");
		return -1;
	}
	return 0;
}

/* Held as long as the process lives; nobody inherits it. */
static int take_lock(struct monitor *m)
{
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), "/run/skerry/lock", NULL))
		return -1;
	m->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock < 0) {
		LOG_ERRNO("%s", path);
		return -1;
	}
	/* A child of one that was killed holds it until it sees that its parent is gone. */
	for (int i = 0; i < LOCK_TRIES; i++) {
		const struct timespec pause = {0, 10000000};

		if (flock(m->lock, LOCK_EX | LOCK_NB) == 0)
			return say_number(m->lock);
		if (errno != EWOULDBLOCK)
			break;
		(void)nanosleep(&pause, NULL);
		errno = EWOULDBLOCK;
	}
	LOG_ERRNO("another skerryd runs here: %s", path);
	return -1;
}

/* Signals and options. */

static void on_stop(void *arg, int signo, pid_t sender)
{
	(void)signo;
	(void)sender;
	stop_begin(arg);
}

/* For a new version of the monitor: the qubes and those who attend to them go on. */
static void on_leave(void *arg, int signo, pid_t sender)
{
	struct monitor *m = arg;

	(void)signo;
	(void)sender;
	LOG("leaving: the qubes go on");
	loop_stop(m->loop, 3);
}

/* The next monitor has one again; what runs goes on. */
static void on_starter_end(void *arg, uint32_t events)
{
	struct monitor *m = arg;

	(void)events;
	LOG("the starter of programs has ended: leaving, for a new monitor to go on");
	loop_stop(m->loop, 1);
}

static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What whoever started it left open, and did not name. */
static void close_others(void)
{
	int keep[2];
	size_t n = 0;

	if (ready_fd >= 0)
		keep[n++] = ready_fd;
	if (monitor.admin_fd >= 0)
		keep[n++] = monitor.admin_fd;
	fd_close_from(3, keep, n);
}

static int begin(struct monitor *m)
{
	if (make_folders() || processes_open(m->ground) || take_lock(m))
		return -1;
	raise_descriptors();
	m->records = record_open();
	m->loop = loop_new();
	if (m->records < 0 || !m->loop || loop_signal_add(m->loop, SIGTERM, on_stop, m) ||
	    loop_signal_add(m->loop, SIGINT, on_stop, m) ||
	    loop_signal_add(m->loop, SIGUSR2, on_leave, m) ||
	    processes_watch(m->loop, on_starter_end, m)) {
		LOG_ERRNO("cannot start");
		return -1;
	}
	if (monitor_confine())
		return -1;
	m->adopting = true;
	services_init(m);
	domid_load(m);
	services_adopt(m);
	services_start(m);
	return 0;
}

static void usage(FILE *out)
{
	(void)fputs(
	        "usage: skerryd [--root=DIR] [--ground=NAME] [--ready-fd=N] [--stop-seconds=N]\n"
	        "               [--without=PROGRAM]... [--admin-fd=N]\n"
	        "Starts a Skerry system and keeps it running. SIGTERM stops it with all its "
	        "qubes;\n"
	        "SIGUSR2 ends this process alone, for another to take over. See skerryd(8).\n",
	        out);
}

static int number(const char *text, long least, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	return !*text || *end || value < least || value > most ? -1 : (int)value;
}

/* A program that is not to be started: another way to run it, or a system being built. */
static int leave_out(const char *name)
{
	for (int id = 1; id < PROCESS_MAX; id++)
		if (strcmp(process_rules[id].program, name) == 0) {
			monitor.services[id].absent = true;
			return 0;
		}
	(void)fprintf(stderr, "skerryd: --without=%s: no program of the system has that name\n",
	              name);
	return -1;
}

/* The name becomes part of a program's. */
static int set_ground(const char *name)
{
	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz")])
		return -1;
	monitor.ground = name;
	return 0;
}

static int take_option(int c)
{
	int n;

	switch (c) {
	case 'R':
		paths_set_root(optarg);
		return 0;
	case 'g':
		return set_ground(optarg);
	case 'r':
		return (ready_fd = number(optarg, 3, 1023)) < 0 ? -1
		                                                : fd_set_cloexec(ready_fd, true);
	case 's':
		n = number(optarg, 0, 3600);
		monitor.stop_seconds = n < 0 ? STOP_SECONDS : (unsigned int)n;
		return n < 0 ? -1 : 0;
	case 'w':
		return leave_out(optarg);
	case 'a':
		monitor.services[PROCESS_ADMIN].absent = true;
		return (monitor.admin_fd = number(optarg, 3, 1023)) < 0
		               ? -1
		               : fd_set_cloexec(monitor.admin_fd, true);
	default:
		return -1;
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"root", required_argument, NULL, 'R'},
	        {"ground", required_argument, NULL, 'g'},
	        {"ready-fd", required_argument, NULL, 'r'},
	        {"stop-seconds", required_argument, NULL, 's'},
	        {"without", required_argument, NULL, 'w'},
	        {"admin-fd", required_argument, NULL, 'a'},
	        {"version", no_argument, NULL, 'V'},
	        {"help", no_argument, NULL, 'h'},
	        {NULL, 0, NULL, 0},
	};
	int c, status;

	log_init("skerryd");
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'V')
			return printf("skerryd %s\n", SKERRY_VERSION) < 0;
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (take_option(c)) {
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc || fd_open_stdio()) {
		usage(stderr);
		return EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	close_others();
	if (begin(&monitor))
		return monitor.lock >= 0 && errno == EWOULDBLOCK ? EXIT_AGAIN : 1;
	status = loop_run(monitor.loop);
	if (status == 0)
		processes_clear();
	processes_close(monitor.loop);
	return status == 3 ? 0 : status < 0 ? 1 : status;
}
