/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0 on real Xen: starts qubes, talks with them over grants, ends them. Usage:
 * xen-dom0-test KERNEL INITRD CONSOLE-PROGRAM PORT-OR-EMPTY [PART…]
 */
#include <signal.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/drive.h"
#include "tests/xen/qube.h"
#include "tests/xen/tap.h"

static const char *initrd;
static char **asked;

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
	bool on_demand;
} parts[] = {{"pairs", drive_pairs, false},          {"bench", drive_bench, false},
             {"bench-long", drive_bench_long, true}, {"slice", drive_slice, false},
             {"confined", drive_confined, false},    {"call", drive_call, false}};

/* None named: all but those on demand. */
static bool wanted(size_t i)
{
	for (char **name = asked; *name; name++)
		if (strcmp(*name, parts[i].name) == 0)
			return true;
	return !*asked && !parts[i].on_demand;
}

static void channels(const char *name, enum xen_domain_kind kind)
{
	const struct qube_want want = {
	        .name = name, .kind = kind, .initrd = initrd, .cmdline = "quiet", .kib = QUBE_KIB};
	struct qube q;
	struct pipe_end end;

	if (!tap_result(qube_start(&q, &want), "%s: a qube is built and runs", name))
		return;
	/* The first of its channels: it is up. */
	if (pipe_open(&end, PIPE_OURS, PIPE_CONNECT, 0, q.domid, TALK_FIRST, 0) == 0) {
		tap_note("%s: from nothing to its first channel %.1f s", name,
		         qube_now() - q.began);
		pipe_close(&end);
	}
	(void)tap_result(adopted(&q, name),
	                 "%s: a second toolstack finds it, by number, name and uuid", name);
	(void)tap_result(paused(&q), "%s: paused and unpaused", name);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (wanted(i))
			parts[i].drive(q.domid, name);
	(void)tap_result(xen_domain_ask(ground, q.domid, "poweroff") == 0 &&
	                         qube_wait_stopped(q.domid, 300) == XEN_CAUSE_OFF,
	                 "%s: asked to end, it does", name);
	(void)tap_result(qube_destroy(&q), "%s: destroyed, nothing of it is left", name);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	log_init("xen-dom0-test");
	(void)signal(SIGPIPE, SIG_IGN);
	initrd = argv[2];
	asked = argv + 5;
	tap_open(argv[4]);
	vchan_use_grant();
	if (!qube_set_up(argv[1], argv[3])) {
		(void)tap_result(false, "hypervisor and xenstore can be reached");
		return tap_end();
	}
	channels("pv", XEN_DOMAIN_PV);
	channels("pvh", XEN_DOMAIN_PVH);
	(void)xen_ground_close(ground);
	return tap_end();
}
