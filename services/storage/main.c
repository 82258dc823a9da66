/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-storage - keeps the data of qubes: pools, volumes, snapshots, revisions
 *
 * Started by the monitor with a socket pair to the admin service. See doc/storage.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "services/storage/rights.h"
#include "services/storage/service.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct options {
	int admin_fd, ready_fd, monitor_fd;
	bool devices; /* qubes take block devices, not files */
};

static struct loop *loop;
static struct loop_fd monitor = LOOP_FD_EMPTY;

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text == '\0' || *end != '\0' || n < 3 || n > 1023 ? -1 : (int)n;
}

static void usage(FILE *to)
{
	(void)fputs(
	        "usage: skerry-storage --admin-fd=N [--ready-fd=N] [--monitor-fd=N] [--root=DIR]\n"
	        "                      [--give=files|devices]\n"
	        "Keeps the volumes of qubes. Started by skerryd; see skerry-storage(8).\n",
	        to);
}

/* Qubes of Xen take block devices. What stands here only dom0 of Xen has. */
static bool is_dom0(void)
{
	OWNED_FD int fd = open("/proc/xen/capabilities", O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "control_d");
}

/* 0: go on; else exit status + 1. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {{"admin-fd", required_argument, NULL, 'a'},
	                                     {"ready-fd", required_argument, NULL, 'r'},
	                                     {"monitor-fd", required_argument, NULL, 'm'},
	                                     {"root", required_argument, NULL, 'R'},
	                                     {"give", required_argument, NULL, 'g'},
	                                     {"help", no_argument, NULL, 'h'},
	                                     {"version", no_argument, NULL, 'v'},
	                                     {NULL, 0, NULL, 0}};
	int c;

	*o = (struct options){-1, -1, -1, is_dom0()};
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == 'a')
			o->admin_fd = number(optarg);
		else if (c == 'r')
			o->ready_fd = number(optarg);
		else if (c == 'm')
			o->monitor_fd = number(optarg);
		else if (c == 'R')
			paths_set_root(optarg);
		else if (c == 'g' &&
		         (strcmp(optarg, "files") == 0 || strcmp(optarg, "devices") == 0))
			o->devices = *optarg == 'd';
		else if (c == 'v')
			return printf("%s\n", SKERRY_VERSION) < 0 ? 2 : 1;
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 1 : 3;
		}
	}
	if (optind == argc && o->admin_fd >= 0)
		return 0;
	usage(stderr);
	return 3;
}

static int read_boot_id(char out[64])
{
	OWNED_FD int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 63);

	if (n < 36)
		return -1;
	out[36] = '\0';
	return 0;
}

static int open_run_dir(void)
{
	char path[PATH_MAX];
	int fd;

	if (path_make(path, sizeof(path), "/run/qubes", NULL))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		LOG_ERRNO("%s: no markers of running volumes", path);
	return fd;
}

static void on_monitor(void *arg UNUSED, uint32_t events)
{
	/* It says nothing; its end is ours once the admin service's has come as well. */
	if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		loop_fd_remove(loop, &monitor);
}

int main(int argc, char **argv)
{
	struct options o;
	char boot_id[64];
	OWNED_FD int run_dir = -1;
	int r;

	log_init("skerry-storage");
	r = parse(argc, argv, &o);
	if (r)
		return r - 1;
	if (fd_open_stdio() || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	(void)umask(0007);
	loop = loop_new();
	if (!loop || fd_set_cloexec(o.admin_fd, true) || read_boot_id(boot_id)) {
		LOG_ERRNO("cannot start");
		return 1;
	}
	run_dir = open_run_dir();
	if (o.monitor_fd >= 0 &&
	    (fd_set_cloexec(o.monitor_fd, true) ||
	     loop_fd_add(loop, &monitor, o.monitor_fd, EPOLLRDHUP, on_monitor, NULL))) {
		LOG_ERRNO("the monitor's socket");
		return 1;
	}
	if ((o.devices && workers_use_devices(loop)) || service_confine())
		return 1;
	if (o.ready_fd >= 0) {
		if (fd_write_all(o.ready_fd, "\n", 1))
			LOG_ERRNO("nobody waits for this to be ready");
		fd_close(o.ready_fd);
	}
	r = service_run(loop, o.admin_fd, run_dir, boot_id);
	loop = loop_free(loop);
	return r;
}
