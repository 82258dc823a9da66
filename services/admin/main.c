/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-admin - the Admin API: the qubes' configuration and life
 *
 * Holds everything in memory; what must last goes to skerry-store, volumes to skerry-storage, running
 * qubes to the monitor. Reads requests that qubes wrote (through qrexec, under policy), and what qubes
 * wrote into their QubesDB: both hostile. After the start it opens no file and starts no program.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "process/user.h"
#include "services/admin/backup.h"
#include "services/admin/conn.h"
#include "services/admin/device_parse.h"
#include "services/admin/devices.h"
#include "services/admin/filter.h"
#include "services/admin/ground.h"
#include "services/admin/job.h"
#include "services/admin/lifecycle.h"
#include "services/admin/qdb.h"
#include "services/admin/prompt.h"
#include "services/admin/rights.h"
#include "services/admin/start.h"
#include "services/admin/store.h"
#include "services/admin/turn.h"
#include "services/admin/volumes.h"

#define SOCKET_MODE 0770
#define BACKLOG     512
#define SETTLE_MS   3000U
#define END_LOOK_MS 20U            /* a word of the monitor may be on its way; chosen */
#define END_LOOKS   400U           /* eight seconds: the monitor waits ten; chosen */
#define USER        "skerry-admin" /* monitor/processes.def */

enum option_code {
	OPTION_ROOT = 256,
	OPTION_MONITOR,
	OPTION_READY,
	OPTION_STORE,
	OPTION_STORAGE,
	OPTION_MEMORY,
	OPTION_CPUS,
	OPTION_DOM0_MEMORY,
	OPTION_TIMEZONE,
	OPTION_KERNEL,
	OPTION_PCI,
	OPTION_ATTACH,
	OPTION_HELP
};

static const struct option options[] = {
        {"root", required_argument, NULL, OPTION_ROOT},
        {"monitor-fd", required_argument, NULL, OPTION_MONITOR},
        {"ready-fd", required_argument, NULL, OPTION_READY},
        {"store-fd", required_argument, NULL, OPTION_STORE},
        {"storage-fd", required_argument, NULL, OPTION_STORAGE},
        {"memory-mib", required_argument, NULL, OPTION_MEMORY},
        {"cpus", required_argument, NULL, OPTION_CPUS},
        {"dom0-memory-kib", required_argument, NULL, OPTION_DOM0_MEMORY},
        {"timezone", required_argument, NULL, OPTION_TIMEZONE},
        {"kernel", required_argument, NULL, OPTION_KERNEL},
        {"pci", required_argument, NULL, OPTION_PCI},
        {"attach", required_argument, NULL, OPTION_ATTACH},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
};

static const char usage[] =
        "usage: skerry-admin [--root=DIR] --store-fd=N [--storage-fd=N] [--monitor-fd=N]\n"
        "                    [--ready-fd=N] [--memory-mib=N] [--cpus=N] [--dom0-memory-kib=N]\n"
        "                    [--timezone=NAME] [--kernel=VERSION:FILE,FILE …]\n"
        "                    [--pci=\"port='BB_DD.F' …\" …] [--attach=CLASS …]\n"
        "The monitor starts it; see skerry-admin(8).\n";

struct fds {
	int monitor, ready, store, storage;
};

static bool number(const char *text, unsigned long long max, unsigned long long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *ret <= max;
}

static void add_kernel(char *text)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon = 0;
	pairs_set(&world.host.kernels, &world.host.n_kernels, text, colon ? colon + 1 : "vmlinuz");
}

static bool take_option(int code, char *text, struct fds *fds)
{
	unsigned long long n = 0;
	bool ok = code == OPTION_ROOT || code == OPTION_TIMEZONE || code == OPTION_KERNEL ||
	          code == OPTION_PCI || code == OPTION_ATTACH || number(text, 1ULL << 50, &n);

	switch (code) {
	case OPTION_ROOT:
		paths_set_root(text);
		break;
	case OPTION_MONITOR:
		fds->monitor = (int)n;
		break;
	case OPTION_READY:
		fds->ready = (int)n;
		break;
	case OPTION_STORE:
		fds->store = (int)n;
		break;
	case OPTION_STORAGE:
		fds->storage = (int)n;
		break;
	case OPTION_MEMORY:
		world.host.memory_mib = n;
		break;
	case OPTION_CPUS:
		world.host.cpus = (uint32_t)n;
		break;
	case OPTION_DOM0_MEMORY:
		world.host.dom0_memory_kib = world.host.dom0_static_max_kib = n;
		break;
	case OPTION_TIMEZONE:
		ok = bytes_copy_text(world.host.timezone, sizeof(world.host.timezone), text) == 0;
		break;
	case OPTION_KERNEL:
		add_kernel(text);
		break;
	case OPTION_ATTACH:
		ok = devices_can_add(text);
		break;
	case OPTION_PCI:
		ok = devices_pci_add(text);
		break;
	default:
		return false;
	}
	return ok;
}

/* A path that somebody answers at belongs to another admin service; one that nobody does is stale. */
static int open_door(const char *path)
{
	struct group *group = getgrnam("qubes");
	char full[PATH_MAX];
	int fd;

	if (path_make(full, sizeof(full), path, NULL))
		return -1;
	fd = fd_connect_unix(full, SOCK_STREAM);
	if (fd >= 0) {
		LOG("%s: another service answers there", full);
		fd_close(fd);
		return -1;
	}
	fd = fd_listen_unix(full, SOCK_STREAM | SOCK_NONBLOCK, SOCKET_MODE, BACKLOG);
	if (fd < 0) {
		LOG_ERRNO("%s: cannot listen there", full);
		return -1;
	}
	/* Members of the group may use it. Who cannot give it away keeps it for himself. */
	if (group && chown(full, (uid_t)-1, group->gr_gid) && errno != EPERM)
		LOG_ERRNO("%s: its group cannot be set", full);
	return fd;
}

static int door_fds[DOORS];

static int open_doors(void)
{
	static const char *const paths[DOORS] = {[DOOR_MAIN] = "/run/qubesd.sock",
	                                         [DOOR_INTERNAL] = "/run/qubesd.internal.sock",
	                                         [DOOR_MISC] = "/run/qubesd.misc.sock"};
	enum door door;

	for (door = 0; door < DOORS; door++) {
		door_fds[door] = open_door(paths[door]);
		if (door_fds[door] < 0)
			return -1;
	}
	return 0;
}

/* Nobody is served before the state of what runs is known, or does not come. */
static void settle(struct loop *loop)
{
	uint64_t end = loop_now_ns() + SETTLE_MS * 1000000ULL;

	while (qdb_busy() && loop_now_ns() < end)
		if (loop_turn(loop, 100))
			return;
}

static int listen_all(struct loop *loop)
{
	enum door door;

	for (door = 0; door < DOORS; door++)
		if (conn_listen(loop, door, door_fds[door]))
			return -1;
	return 0;
}

/* /run/qubes, held open: the sockets in it are reached through it when no path can be looked up. */
static int open_run(void)
{
	char path[PATH_MAX];

	if (path_make(path, sizeof(path), "/run/qubes", NULL))
		return -1;
	if (mkdir(path, 0755) && errno != EEXIST)
		LOG_ERRNO("%s", path);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Before any of its own is open: what else it was started with, it does not need. */
static void close_others(const struct fds *fds)
{
	const int keep[] = {fds->monitor, fds->ready, fds->store, fds->storage};

	fd_close_from(STDERR_FILENO + 1, keep, ARRAY_LEN(keep));
}

static bool any_dies(void)
{
	for (size_t i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.state == STATE_DYING)
			return true;
	return false;
}

/* Volumes of a qube that has stopped are committed, and let go of the disk, before nobody would. */
static void on_end_look(void *arg)
{
	static struct loop_timer look;
	static unsigned int looks;

	if (looks++ == 0 || (any_dies() && looks < END_LOOKS)) {
		if (loop_timer_set(arg, &look, END_LOOK_MS, on_end_look, arg) == 0)
			return;
	}
	loop_stop(arg, 0);
}

static void on_end(void *arg, int signo, pid_t sender)
{
	on_end_look(arg);
}

static int serve(struct loop *loop, const struct fds *fds)
{
	int run = open_run();

	if (run < 0)
		LOG_ERRNO("/run/qubes cannot be opened");
	ids_open();
	/* Only root may make what stands in /run; nothing of anybody else is read before the user is another. */
	if (open_doors() || user_enter(USER)) {
		LOG_ERRNO("becoming " USER);
		return 1;
	}
	start_defaults();
	if (store_open(loop, fds->store) || start_check() || ground_open(loop, fds->monitor) ||
	    volumes_open(loop, fds->storage))
		return 111;
	filter_open(loop, run);
	backup_open(loop, run);
	start_run_dir(run);
	if (rights_drop())
		return 1;
	lifecycle_settle();
	settle(loop);
	if (listen_all(loop))
		return 111;
	if (fds->ready >= 0 && write(fds->ready, "\n", 1) != 1)
		LOG_ERRNO("nobody hears that the service is ready");
	fd_close(fds->ready);
	return loop_run(loop);
}

int main(int argc, char **argv)
{
	struct fds fds = {-1, -1, -1, -1};
	struct loop *loop;
	int code;

	log_init("skerry-admin");
	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (code == OPTION_HELP)
			return fputs(usage, stdout) < 0;
		if (!take_option(code, optarg, &fds)) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc || fds.store < 0) {
		fputs(usage, stderr);
		return 2;
	}
	close_others(&fds);
	loop = loop_new();
	if (!loop || fd_open_stdio() || loop_signal_add(loop, SIGTERM, on_end, loop) ||
	    loop_signal_add(loop, SIGINT, on_end, loop)) {
		LOG_ERRNO("cannot start");
		return 111;
	}
	prompt_self();
	turn_init();
	job_init(loop);
	return serve(loop, &fds);
}
