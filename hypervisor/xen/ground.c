/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-ground-xen - the toolstack of the ground xen: the requests of the monitor, and the qubes that a
 * former toolstack has left.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/xen/orders.h"
#include "hypervisor/xen/rights.h"
#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "lib/xen/store.h"

#define VIFS 256U /* numbers of network devices, one after the other; chosen */

struct xen xen = {.store_source = LOOP_FD_EMPTY};

struct xen_qube *xen_qube_new(uint32_t domid)
{
	struct xen_qube *q = NULL;

	if (domid > 0 && domid <= MONITOR_DOMID_MAX && !xen.by_domid[domid])
		q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->domid = domid;
	q->console = q->maker = (struct proc)PROC_EMPTY;
	q->maker_fd = -1;
	xen.by_domid[domid] = q;
	return q;
}

void xen_qube_free(struct xen_qube *q)
{
	xen_console_end(q);
	loop_timer_clear(xen.loop, &q->end_look);
	xen.by_domid[q->domid] = NULL;
	free(q);
}

/* The qube that a request is for; NULL: that was answered. */
static struct xen_qube *find(struct ask ask)
{
	struct xen_qube *q = ask.domid <= MONITOR_DOMID_MAX ? xen.by_domid[ask.domid] : NULL;

	if (q && q->built && !q->ending)
		return q;
	toolstack_failed(xen.toolstack, ask, MONITOR_E_STATE, "no qube %u runs", ask.domid);
	return NULL;
}

static int domid_of(const struct xen_qube *q)
{
	return (int)q->domid;
}

/* Network. */

static bool runs(uint32_t domid)
{
	const struct xen_qube *q = domid <= MONITOR_DOMID_MAX ? xen.by_domid[domid] : NULL;

	return q && q->built && !q->ending;
}

int xen_note_number(const struct xen_qube *q, const char *name, uint32_t number)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", number);
	return xen_note_write(xen.ground, domid_of(q), name, text);
}

static uint32_t noted_number(int domid, const char *name, uint32_t most)
{
	char text[16];
	uint32_t number;

	return xen_note_read(xen.ground, domid, name, text, sizeof(text)) == 0 &&
	                       store_decimal(text, 0, most, &number)
	               ? number
	               : 0;
}

/*
 * The device that there is goes; another comes if there is to be one. That one has another number: a kernel
 * looks at its devices when it gets to it, and would take a new one in an old one's place for the old one.
 */
int xen_net_connect(struct xen_qube *q, uint32_t netvm)
{
	char mac[24], ip[16];
	struct xen_net net = {.mac = mac, .ip = ip, .backend = (int)netvm};
	uint64_t m = q->mac;

	if (q->netvm) {
		if (xen_domain_drop_net(xen.ground, domid_of(q), (int)q->netvm, q->vif))
			return -1;
		q->vif = (q->vif + 1) % VIFS;
	}
	q->netvm = netvm;
	if (xen_note_number(q, NOTE_VIF, q->vif) || xen_note_number(q, NOTE_NETVM, netvm))
		return -1;
	if (netvm == 0)
		return 0;
	net.number = q->vif;
	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x",
	               (unsigned int)(m >> 40 & 255), (unsigned int)(m >> 32 & 255),
	               (unsigned int)(m >> 24 & 255), (unsigned int)(m >> 16 & 255),
	               (unsigned int)(m >> 8 & 255), (unsigned int)(m & 255));
	(void)snprintf(ip, sizeof(ip), "%u.%u.%u.%u", q->ip >> 24, q->ip >> 16 & 0xffU,
	               q->ip >> 8 & 0xffU, q->ip & 0xffU);
	return xen_domain_add_net(xen.ground, domid_of(q), &net);
}

static void network_qube(struct toolstack *t, struct ask ask, const struct monitor_network *n)
{
	struct xen_qube *q = find(ask);

	if (!q)
		return;
	if (n->netvm && (n->netvm == q->domid || !runs(n->netvm))) {
		toolstack_failed(t, ask, MONITOR_E_NETWORK, "%s: its netvm does not run", q->name);
		return;
	}
	if (n->ip)
		q->ip = n->ip;
	if (n->mac)
		q->mac = n->mac;
	if (xen_net_connect(q, n->netvm))
		toolstack_failed(t, ask, MONITOR_E_NETWORK, "%s: its network device: %s", q->name,
		                 strerror(errno));
	else
		toolstack_done(t, ask);
}

/* Creation: create.c. */

static void create_qube(struct toolstack *t, struct ask ask, const struct monitor_create *create)
{
	struct xen_qube *q = xen_qube_new(ask.domid);

	if (!q) {
		toolstack_failed(t, ask, MONITOR_E_EXISTS, "the number %u is taken", ask.domid);
		return;
	}
	memcpy(q->uuid, create->uuid, sizeof(q->uuid));
	memcpy(q->name, create->name, sizeof(q->name));
	q->owner = create->owner;
	q->ip = create->ip;
	q->mac = create->mac;
	if (create->netvm && !runs(create->netvm)) {
		toolstack_failed(t, ask, MONITOR_E_NETWORK, "%s: its netvm does not run", q->name);
		xen_qube_free(q);
		return;
	}
	xen_create(q, ask, create);
}

/* Changes. */

static void answer(const struct xen_qube *q, struct ask ask, int r, const char *what)
{
	if (r)
		toolstack_failed(xen.toolstack, ask, MONITOR_E_GROUND, "%s: %s: %s", q->name, what,
		                 strerror(errno));
	else
		toolstack_done(xen.toolstack, ask);
}

static void unpause_qube(struct toolstack *t, struct ask ask)
{
	struct xen_qube *q = find(ask);

	(void)t;
	if (q)
		answer(q, ask, xen_domain_unpause(xen.ground, domid_of(q)), "unpause");
}

static void pause_qube(struct toolstack *t, struct ask ask)
{
	struct xen_qube *q = find(ask);

	(void)t;
	if (q)
		answer(q, ask, xen_domain_pause(xen.ground, domid_of(q)), "pause");
}

static void shutdown_qube(struct toolstack *t, struct ask ask)
{
	struct xen_qube *q = find(ask);
	struct xen_domain_info info;

	if (!q)
		return;
	if (xen_domain_info(xen.ground, domid_of(q), &info) == 0 &&
	    info.state == XEN_DOMAIN_PAUSED) {
		toolstack_failed(t, ask, MONITOR_E_STATE,
		                 "%s is paused: unpause it first, or kill it", q->name);
		return;
	}
	q->halting = true;
	answer(q, ask,
	       xen_note_write(xen.ground, domid_of(q), NOTE_HALTING, "") ||
	               xen_domain_ask(xen.ground, domid_of(q), "poweroff"),
	       "shutdown");
}

static void destroy_qube(struct toolstack *t, struct ask ask)
{
	struct xen_qube *q = ask.domid <= MONITOR_DOMID_MAX ? xen.by_domid[ask.domid] : NULL;

	if (!q || q->destroy.serial) {
		toolstack_failed(t, ask, MONITOR_E_STATE, "no qube %u runs", ask.domid);
		return;
	}
	q->destroy = ask;
	q->killed = true;
	if (!q->built)
		proc_signal(&q->maker, SIGKILL);
	else if (!q->ending)
		xen_qube_end(q, MONITOR_DESTROYED);
}

static void stats_all(struct toolstack *t, struct ask ask)
{
	static struct xen_domain_info infos[XEN_DOMAINS_MAX];
	int n = xen_domain_list(xen.ground, infos, ARRAY_LEN(infos));

	if (n < 0) {
		toolstack_failed(t, ask, MONITOR_E_GROUND, "the hypervisor: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct monitor_stat stat = {.memory = infos[i].memory_kib,
		                                  .cpu_ns = infos[i].cpu_ns,
		                                  .vcpus = infos[i].vcpus};

		if (runs((uint32_t)infos[i].domid))
			toolstack_stat(t, ask, (uint32_t)infos[i].domid, &stat);
	}
	toolstack_done(t, ask);
}

/* The qubes of a toolstack that ended. */

static bool has_note(int domid, const char *name)
{
	char text[XEN_DOMAIN_NAME_MAX];

	return xen_note_read(xen.ground, domid, name, text, sizeof(text)) == 0;
}

/* What was begun and never finished, or ended while nobody looked. */
static void clear_away(int domid)
{
	LOG("domain %d: what is left of it is cleared away", domid);
	if (xen_domain_drop_disks(xen.ground, domid) || xen_domain_destroy(xen.ground, domid) ||
	    xen_note_drop(xen.ground, domid))
		LOG_ERRNO("domain %d", domid);
}

static void adopt(void *arg, int domid)
{
	struct toolstack *t = arg;
	struct xen_domain_info info;
	char name[XEN_DOMAIN_NAME_MAX];
	struct xen_qube *q;

	if (!has_note(domid, NOTE_MADE) || xen_domain_info(xen.ground, domid, &info) ||
	    info.state == XEN_DOMAIN_DYING || xen_domain_name(xen.ground, domid, name) ||
	    !(q = xen_qube_new((uint32_t)domid))) {
		clear_away(domid);
		return;
	}
	q->built = true;
	memcpy(q->uuid, info.uuid, sizeof(q->uuid));
	(void)bytes_copy_text(q->name, sizeof(q->name), name);
	q->halting = has_note(domid, NOTE_HALTING);
	q->netvm = noted_number(domid, NOTE_NETVM, MONITOR_DOMID_MAX);
	q->vif = noted_number(domid, NOTE_VIF, VIFS - 1);
	q->owner = noted_number(domid, NOTE_OWNER, MONITOR_OWNER_MAX);
	xen_console_adopt(q);
	toolstack_tell_qube(t, q->domid, q->uuid, q->name,
	                    q->halting                        ? MONITOR_HALTING
	                    : info.state == XEN_DOMAIN_PAUSED ? MONITOR_PAUSED
	                                                      : MONITOR_RUNNING);
}

static void on_store(void *arg, uint32_t events)
{
	int r = xen_ground_step(xen.ground);

	(void)arg;
	(void)events;
	if (r < 0) {
		LOG("xenstore is gone");
		loop_stop(xen.loop, 1);
	} else if (r > 0) {
		xen_look();
	}
}

static void on_first_look(void *arg)
{
	(void)arg;
	xen_look();
}

static int open_ground(struct toolstack *t)
{
	xen.toolstack = t;
	xen.loop = toolstack_loop(t);
	if (xen_orders_open() || xen_ground_open(&xen.ground) || xen_orders_watch())
		return -1;
	xen_own_folder(XEN_KERNELS);
	if (xen_note_each(xen.ground, adopt, t)) {
		LOG_ERRNO("notes in xenstore");
		return -1;
	}
	/* What stopped meanwhile is told once the table is complete. */
	return loop_fd_add(xen.loop, &xen.store_source, xen_ground_fd(xen.ground), EPOLLIN,
	                   on_store, NULL) ||
	                       loop_timer_set(xen.loop, &xen.look, 1, on_first_look, NULL) ||
	                       xen_toolstack_confine()
	               ? -1
	               : 0;
}

static void close_ground(struct toolstack *t)
{
	(void)t;
	xen_orders_close();
	xen.ground = xen_ground_close(xen.ground);
}

static const struct ground ground = {
        .name = "xen",
        .open = open_ground,
        .close = close_ground,
        .create = create_qube,
        .unpause = unpause_qube,
        .pause = pause_qube,
        .shutdown = shutdown_qube,
        .destroy = destroy_qube,
        .network = network_qube,
        .stats = stats_all,
};

int main(int argc, char **argv)
{
	return toolstack_run(argc, argv, "skerry-ground-xen", &ground);
}
