/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0 on real Xen: starts qubes, talks with them over grants, ends them. Usage:
 * xen-dom0-test KERNEL INITRD CONSOLE-PROGRAM PORT-OR-EMPTY [PART…]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor/xen/domain.h"
#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/drive.h"
#include "tests/xen/tap.h"

#define QUBE_KIB (96U << 10)

struct qube {
	int domid;
	pid_t console;
	double began;
};

static struct xen_ground *ground;
static const char *kernel, *initrd, *console_program;
static char **asked;

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool start(struct qube *q, const char *name, enum xen_domain_kind kind, uint32_t vcpus,
                  uint64_t kib, const char *cmdline)
{
	struct xen_domain_spec spec = {
	        .kind = kind,
	        .name = name,
	        .kernel = kernel,
	        .initrd = initrd,
	        .cmdline = cmdline,
	        .memory_kib = kib,
	        .max_kib = kib,
	        .vcpus = vcpus,
	};

	*q = (struct qube){.domid = -1, .began = now()};
	memcpy(spec.uuid, name, MIN(strlen(name), sizeof(spec.uuid)));
	if (xen_domain_create(ground, &spec, &q->domid))
		return false;
	q->console = xen_console_start(ground, q->domid, console_program, 2);
	return q->console > 0 && xen_domain_unpause(ground, q->domid) == 0;
}

/* Waits for the end of a domain; how it ended, or -1. */
static int wait_stopped(int domid, int seconds)
{
	double end = now() + seconds;
	struct xen_domain_info info;

	while (xen_domain_info(ground, domid, &info) == 0) {
		struct pollfd look = {.fd = xen_ground_fd(ground), .events = POLLIN};

		if (info.state == XEN_DOMAIN_STOPPED)
			return (int)info.cause;
		if (now() > end)
			return -1;
		(void)poll(&look, 1, 1000);
		if (xen_ground_step(ground) < 0)
			return -1;
	}
	return -1;
}

static bool destroy(struct qube *q)
{
	struct xen_domain_info info;
	char name[XEN_DOMAIN_NAME_MAX];
	bool good = xen_domain_destroy(ground, q->domid) == 0;
	double end = now() + 10;

	if (q->console > 0) {
		(void)kill(q->console, SIGKILL);
		(void)waitpid(q->console, NULL, 0);
	}
	/* Its pages go when the last mapping of them does. */
	while (xen_domain_info(ground, q->domid, &info) == 0 && now() < end) {
		const struct timespec pause = {.tv_nsec = 50000000};

		(void)nanosleep(&pause, NULL);
	}
	return good && xen_domain_info(ground, q->domid, &info) && errno == ESRCH &&
	       xen_domain_name(ground, q->domid, name) && errno == ENOENT;
}

static bool adopted(const struct qube *q, const char *name)
{
	struct xen_ground *other;
	struct xen_domain_info infos[8];
	char found[XEN_DOMAIN_NAME_MAX] = "";
	bool good;

	if (xen_ground_open(&other))
		return false;
	good = xen_domain_list(other, infos, ARRAY_LEN(infos)) == 1 && infos[0].domid == q->domid &&
	       infos[0].state == XEN_DOMAIN_RUNNING &&
	       memcmp(infos[0].uuid, name, strlen(name)) == 0 &&
	       xen_domain_name(other, q->domid, found) == 0 && strcmp(found, name) == 0;
	(void)xen_ground_close(other);
	return good;
}

static bool paused(const struct qube *q)
{
	struct xen_domain_info info;

	return xen_domain_pause(ground, q->domid) == 0 &&
	       xen_domain_info(ground, q->domid, &info) == 0 && info.state == XEN_DOMAIN_PAUSED &&
	       xen_domain_unpause(ground, q->domid) == 0 &&
	       xen_domain_info(ground, q->domid, &info) == 0 && info.state == XEN_DOMAIN_RUNNING;
}

static const struct {
	const char *name;
	void (*drive)(int domid, const char *name);
} parts[] = {{"pairs", drive_pairs},
             {"bench", drive_bench},
             {"slice", drive_slice},
             {"call", drive_call}};

/* None named: all. */
static bool wanted(const char *part)
{
	for (char **name = asked; *name; name++)
		if (strcmp(*name, part) == 0)
			return true;
	return !*asked;
}

static void channels(const char *name, enum xen_domain_kind kind)
{
	struct qube q;
	struct pipe_end end;

	if (!tap_result(start(&q, name, kind, 1, QUBE_KIB, "quiet"), "%s: a qube is built and runs",
	                name))
		return;
	/* The first of its channels: it is up. */
	if (pipe_open(&end, PIPE_OURS, PIPE_CONNECT, 0, q.domid, TALK_FIRST, 0) == 0) {
		tap_note("%s: from nothing to its first channel %.1f s", name, now() - q.began);
		pipe_close(&end);
	}
	(void)tap_result(adopted(&q, name),
	                 "%s: a second toolstack finds it, by number, name and uuid", name);
	(void)tap_result(paused(&q), "%s: paused and unpaused", name);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (wanted(parts[i].name))
			parts[i].drive(q.domid, name);
	(void)tap_result(xen_domain_ask(ground, q.domid, "poweroff") == 0 &&
	                         wait_stopped(q.domid, 300) == XEN_CAUSE_OFF,
	                 "%s: asked to end, it does", name);
	(void)tap_result(destroy(&q), "%s: destroyed, nothing of it is left", name);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	log_init("xen-dom0-test");
	(void)signal(SIGPIPE, SIG_IGN);
	kernel = argv[1];
	initrd = argv[2];
	console_program = argv[3];
	asked = argv + 5;
	tap_open(argv[4]);
	vchan_use_grant();
	if (xen_ground_open(&ground)) {
		(void)tap_result(false, "hypervisor and xenstore can be reached");
		return tap_end();
	}
	channels("pv", XEN_DOMAIN_PV);
	channels("pvh", XEN_DOMAIN_PVH);
	(void)xen_ground_close(ground);
	return tap_end();
}
