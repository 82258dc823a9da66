/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory targets, a network between two qubes, pauses, and orderly ends; and as many qubes as there are to be. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/xen/drive.h"
#include "tests/xen/limits.h"
#include "tests/xen/talk.h"
#include "tests/xen/tap.h"

#define LESS_KIB     (88U << 10) /* what its kernel can spare */
#define STEP_SECONDS 120
#define MANY         20
#define MANY_KIB     QUBE_KIB /* Debian's kernel takes 58 MiB of it before it runs */
#define VIF          0

/* Whether the domain comes to hold so much, give or take a MiB: pages that its kernel keeps for itself. */
static bool comes_to(int domid, uint64_t kib)
{
	double end = qube_now() + STEP_SECONDS;
	struct xen_domain_info info = {0};

	while (xen_domain_info(ground, domid, &info) == 0 && qube_now() < end) {
		if (info.memory_kib <= kib + 1024 && info.memory_kib + 1024 >= kib)
			return true;
		(void)poll(NULL, 0, 100);
	}
	tap_note("domain %d: %llu KiB, and not %llu", domid, (unsigned long long)info.memory_kib,
	         (unsigned long long)kib);
	return false;
}

static void memory(const struct qube *q, struct pipe_end *end)
{
	struct xen_domain_info info;
	uint64_t before;

	if (xen_domain_info(ground, q->domid, &info))
		return;
	before = info.memory_kib;
	(void)tap_result(xen_domain_set_memory(ground, q->domid, LESS_KIB) == 0 &&
	                         comes_to(q->domid, before - QUBE_KIB + LESS_KIB),
	                 "%s: asked for less memory, it gives the rest back", q->name);
	(void)tap_result(drive_echo(end, 4096), "%s: and goes on", q->name);
	(void)tap_result(xen_domain_set_memory(ground, q->domid, QUBE_KIB) == 0 &&
	                         comes_to(q->domid, before),
	                 "%s: given it again, it takes it", q->name);
}

/* While it is paused nothing moves, and afterwards all that was asked is answered. */
static void pauses(const struct qube *q, struct pipe_end *end)
{
	struct xen_domain_info one, two;
	uint32_t answer = 0;
	bool still;

	if (xen_domain_pause(ground, q->domid) || talk_ask(end, TALK_MEMORY, 0) ||
	    xen_domain_info(ground, q->domid, &one))
		return;
	(void)poll(NULL, 0, 500);
	still = xen_domain_info(ground, q->domid, &two) == 0 && one.cpu_ns == two.cpu_ns &&
	        two.state == XEN_DOMAIN_PAUSED;
	(void)tap_result(still && xen_domain_unpause(ground, q->domid) == 0 &&
	                         talk_answer(end, &answer) == 0 && answer > 0,
	                 "%s: paused, it does nothing; unpaused, it answers", q->name);
}

static void network(const struct qube *front, struct pipe_end *to_front, const struct qube *back,
                    struct pipe_end *to_back)
{
	const struct xen_net net = {.number = VIF,
	                            .mac = "00:16:3e:5e:6c:01",
	                            .ip = "10.137.7.2",
	                            .backend = back->domid};
	uint32_t here = 0, there = 0;

	(void)tap_result(xen_domain_add_net(ground, front->domid, &net) == 0 &&
	                         talk_ask(to_back, TALK_NET, 0) == 0 &&
	                         talk_ask(to_front, TALK_NET, 1) == 0 &&
	                         talk_answer(to_back, &here) == 0 &&
	                         talk_answer(to_front, &there) == 0 && here == 1 && there == 1,
	                 "a TCP byte each way between two qubes, %s's network being %s",
	                 front->name, back->name);
}

void limits_life(void)
{
	const struct qube_want want = {.name = "front",
	                               .kind = XEN_DOMAIN_PVH,
	                               .initrd = INITRD_NET,
	                               .cmdline = "quiet",
	                               .kib = QUBE_KIB};
	struct qube_want other = want;
	struct pipe_end to_front = {0}, to_back = {0};
	struct qube front = {0}, back = {0};

	other.name = "back";
	other.kind = XEN_DOMAIN_PV;
	if (tap_result(qube_start(&back, &other) && qube_start(&front, &want) &&
	                       limits_reach(&back, &to_back) && limits_reach(&front, &to_front),
	               "life: two qubes run, PV and PVH")) {
		memory(&front, &to_front);
		memory(&back, &to_back);
		pauses(&front, &to_front);
		network(&front, &to_front, &back, &to_back);
		pipe_close(&to_front);
		pipe_close(&to_back);
		(void)tap_result(xen_domain_ask(ground, front.domid, "poweroff") == 0 &&
		                         qube_wait_stopped(front.domid, 300) == XEN_CAUSE_OFF,
		                 "front: switched off in order, its network being another qube");
		(void)tap_result(qube_destroy(&front), "front: nothing of it is left");
		(void)tap_result(xen_domain_ask(ground, back.domid, "reboot") == 0 &&
		                         qube_wait_stopped(back.domid, 300) == XEN_CAUSE_REBOOT,
		                 "back: asked to start anew, it ends so");
	} else {
		(void)qube_destroy(&front);
	}
	(void)tap_result(qube_destroy(&back), "back: nothing of it is left");
}

static int start_many(struct qube *qubes)
{
	char name[16];
	int n = 0;

	for (int i = 0; i < MANY; i++) {
		const struct qube_want want = {
		        .name = name,
		        /* Emulated, its kernel takes several times as long. */
		        .kind = i % 5 == 4 ? XEN_DOMAIN_PVH : XEN_DOMAIN_PV,
		        .initrd = INITRD_NODE,
		        .cmdline = "quiet",
		        .kib = MANY_KIB,
		        .log = "/tmp/console.many"};

		(void)snprintf(name, sizeof(name), "many-%d", i);
		n += qube_start(&qubes[i], &want);
	}
	return n;
}

void limits_many(void)
{
	static struct qube qubes[MANY];
	int called = 0, stopped = 0, destroyed = 0;
	double from = qube_now();

	(void)tap_result(start_many(qubes) == MANY, "%d qubes of %u MiB are built and run", MANY,
	                 MANY_KIB >> 10);
	for (int i = 0; i < MANY; i++)
		called += call_start_daemon(qubes[i].domid, qubes[i].name, "600") &&
		          call_once(qubes[i].name, "all at once\n");
	(void)tap_result(called == MANY, "all of them answer a qrexec call (%d)", called);
	tap_note("%d qubes: all answered %.1f s after the first was begun", MANY,
	         qube_now() - from);
	for (int i = 0; i < MANY; i += 4)
		stopped += xen_domain_ask(ground, qubes[i].domid, "poweroff") == 0;
	for (int i = 0; i < MANY; i += 4)
		stopped += qube_wait_stopped(qubes[i].domid, 300) == XEN_CAUSE_OFF;
	(void)tap_result(stopped == 2 * ((MANY + 3) / 4), "some are switched off in order");
	for (int i = 0; i < MANY; i++) {
		(void)qube_end_programs("skerry-qrexec", qubes[i].name);
		destroyed += qube_destroy(&qubes[i]);
	}
	(void)tap_result(destroyed == MANY, "all of them are destroyed (%d)", destroyed);
}
