/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0 on real Xen: how long a qube takes from its making to its first program, built by our toolstack and
 * by xl with the same kernel, ramdisk and disk, in turn. Usage: xen-bench-start KERNEL INITRD CONSOLE-PROGRAM PORT.
 * The ramdisk's program is xen_mark.c. bench/xen-start makes the image and the table.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/xen/store.h"
#include "tests/xen/qube.h"
#include "tests/xen/tap.h"

#define ROUNDS     3
#define DISK       "/dev/loop0"
#define DISK_FILE  "/tmp/disk"
#define DISK_BYTES (16 << 20)
#define CONFIG     "/tmp/xl.cfg"
#define KIB        (96U << 10)
#define MARK       "data/mark"
#define AGENT      "data/vchan/0/512/event-channel" /* what a server of a channel writes last */
#define MARK_PATH  96
#define WAIT_S     300

static const char *kernel, *initrd;
static struct store *store;

struct times {
	double toolstack; /* until the domain runs, seconds */
	double first;     /* until its first program does */
	double agent;     /* until its qrexec agent waits for its first client */
	double gone;      /* of its destruction */
};

/* The newest domain; the path of one of its nodes. */
static int find_mark(char path[MARK_PATH], const char *node)
{
	struct xen_domain_info infos[4];
	int n = xen_domain_list(ground, infos, ARRAY_LEN(infos));

	if (n != 1)
		return -1;
	(void)snprintf(path, MARK_PATH, "/local/domain/%d/%s", infos[0].domid, node);
	return infos[0].domid;
}

/* When the only domain has written a node, since; -1: it never does. */
static double wait_mark(double since, const char *node)
{
	char path[MARK_PATH], value[16];

	while (qube_now() < since + WAIT_S) {
		if (find_mark(path, node) > 0 && store_read(store, path, value, sizeof(value)) == 0)
			return qube_now() - since;
		(void)poll(NULL, 0, 20);
	}
	return -1;
}

static bool wait_gone(void)
{
	struct xen_domain_info infos[4];
	double end = qube_now() + WAIT_S;

	while (xen_domain_list(ground, infos, ARRAY_LEN(infos)) != 0 && qube_now() < end)
		(void)poll(NULL, 0, 20);
	return xen_domain_list(ground, infos, ARRAY_LEN(infos)) == 0;
}

static bool run_ours(enum xen_domain_kind kind, struct times *t)
{
	const struct qube_want want = {.name = "bench",
	                               .kind = kind,
	                               .initrd = initrd,
	                               .cmdline = "console=hvc0 quiet",
	                               .kib = KIB,
	                               .log = "/tmp/console.bench",
	                               .disk = DISK};
	struct qube q;
	bool good = qube_start(&q, &want);

	t->toolstack = qube_now() - q.began;
	t->first = good ? wait_mark(q.began, MARK) : -1;
	t->agent = good ? wait_mark(q.began, AGENT) : -1;
	t->gone = qube_now();
	good = qube_destroy(&q) && wait_gone();
	t->gone = qube_now() - t->gone;
	return good && t->first > 0 && t->agent > 0;
}

static bool xl(const char *what, const char *argument)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (strcmp(what, "create") == 0)
			(void)execl("/usr/sbin/xl", "xl", "create", "-q", "-e", argument, NULL);
		(void)execl("/usr/sbin/xl", "xl", what, argument, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool write_config(enum xen_domain_kind kind)
{
	FILE *file = fopen(CONFIG, "we");

	if (!file)
		return false;
	(void)fprintf(file,
	              "name='bench'\ntype='%s'\nkernel='%s'\nramdisk='%s'\ncmdline='console=hvc0 "
	              "quiet'\nmemory=%u\nmaxmem=%u\nvcpus=1\ndisk=['phy:" DISK ",xvda,w']\n",
	              kind == XEN_DOMAIN_PVH ? "pvh" : "pv", kernel, initrd, KIB >> 10, KIB >> 10);
	return fclose(file) == 0;
}

static bool run_xl(enum xen_domain_kind kind, struct times *t)
{
	double began;
	bool good;

	if (!write_config(kind))
		return false;
	began = qube_now();
	good = xl("create", CONFIG);
	t->toolstack = qube_now() - began;
	t->first = good ? wait_mark(began, MARK) : -1;
	t->agent = good ? wait_mark(began, AGENT) : -1;
	t->gone = qube_now();
	good = xl("destroy", "bench") && wait_gone();
	t->gone = qube_now() - t->gone;
	return good && t->first > 0 && t->agent > 0;
}

static bool make_disk(void)
{
	OWNED_FD int file = open(DISK_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	OWNED_FD int loop = open(DISK, O_RDWR | O_CLOEXEC);

	return file >= 0 && loop >= 0 && ftruncate(file, DISK_BYTES) == 0 &&
	       ioctl(loop, LOOP_SET_FD, file) == 0;
}

static void least(struct times *best, const struct times *t)
{
	best->toolstack = best->toolstack > 0 ? MIN(best->toolstack, t->toolstack) : t->toolstack;
	best->first = best->first > 0 ? MIN(best->first, t->first) : t->first;
	best->agent = best->agent > 0 ? MIN(best->agent, t->agent) : t->agent;
	best->gone = best->gone > 0 ? MIN(best->gone, t->gone) : t->gone;
}

static void compare(enum xen_domain_kind kind, const char *name)
{
	struct times best[2] = {0};
	bool good = true;

	for (int i = 0; good && i < 2 * ROUNDS; i++) {
		struct times t = {0};

		good = i % 2 ? run_xl(kind, &t) : run_ours(kind, &t);
		tap_note("%s %s: toolstack %.3f s, first program %.3f s, agent %.3f s, end %.3f s",
		         name, i % 2 ? "xl" : "ours", t.toolstack, t.first, t.agent, t.gone);
		least(&best[i % 2], &t);
	}
	if (tap_result(good, "%s: %d starts by each", name, ROUNDS))
		tap_note("result %s %.3f %.3f %.3f %.3f %.3f %.3f %.3f %.3f", name,
		         best[0].toolstack, best[0].first, best[0].agent, best[0].gone,
		         best[1].toolstack, best[1].first, best[1].agent, best[1].gone);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	log_init("xen-bench-start");
	(void)signal(SIGPIPE, SIG_IGN);
	kernel = argv[1];
	initrd = argv[2];
	tap_open(argv[4]);
	if (!tap_result(qube_set_up(kernel, argv[3]) && store_open(&store) == 0 && make_disk(),
	                "hypervisor, xenstore and a disk"))
		return tap_end();
	compare(XEN_DOMAIN_PV, "PV");
	compare(XEN_DOMAIN_PVH, "PVH");
	return tap_end();
}
