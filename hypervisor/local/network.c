/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qube's network: one pasta process that has its sockets in the netvm's network namespace and a tap
 * device in the qube's, so every byte really goes through the netvm. A provider of network without a
 * netvm has pasta's sockets in dom0's namespace: that is the way out, as a network card would be.
 *
 * Nothing but pasta reads what comes out of the tap; it runs as the qube's outer user, in namespaces
 * of its own, without any file of the system. No port leads inward, and the gateway's address is not
 * made to mean the netvm itself: its services on loopback stay its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define LOOK_MS      5U
#define LOOKS_MAX    600U /* three seconds for a tap device; chosen */
#define AGAIN_MS     100U /* before a connection that broke is made again; doubled; chosen */
#define AGAIN_MAX_MS 10000U
#define DNS          "10.139.1.1" /* protocol: what qubes ask; spec of the Qubes network */
#define GATEWAY      0x0a8a0101U  /* 10.138.1.1: of a provider without a netvm; chosen */
#define NETMASK      "255.0.0.0"  /* of 10.0.0.0/8: both addresses lie in it */
#define INTERFACE    "eth0"

static void start(struct local_qube *q);

/* The answer that somebody may wait for. */
static void answer(struct local_qube *q, const char *failure)
{
	struct ask ask = q->net.ask;

	q->net.ask = (struct ask){0};
	if (ask.serial && failure)
		toolstack_failed(q->local->toolstack, ask, MONITOR_E_NETWORK, "%s: %s", q->name,
		                 failure);
	else if (ask.serial)
		toolstack_done(q->local->toolstack, ask);
	else if (failure)
		LOG("%s: %s", q->name, failure);
}

static bool has_interface(const struct local_qube *q)
{
	char path[48], text[4096];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)q->init.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, INTERFACE ":") != NULL;
}

static void forget_record(struct local_qube *q)
{
	record_remove(q->local->records, RECORD_NETWORK, q->domid);
}

void local_net_drop(struct local_qube *q)
{
	loop_timer_clear(q->local->loop, &q->net.timer);
	if (q->net.ask.serial)
		answer(q, "the connection was given up");
	if (!proc_runs(&q->net.pasta))
		return;
	proc_signal(&q->net.pasta, SIGKILL);
	/* Reaped here: the qube's memory is gone when it ends. */
	(void)waitpid(q->net.pasta.pid, NULL, 0);
	proc_forget(&q->net.pasta);
	forget_record(q);
}

/* The child that becomes pasta. */

static int enter_netvm(const struct local_qube *netvm)
{
	char path[48];
	OWNED_FD int fd = -1;

	if (!netvm)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)netvm->init.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
}

/* The user namespace that owns a network namespace, which need not be that of the qube's programs. */
static int open_owner(const char *net_ns)
{
	OWNED_FD int fd = open(net_ns, O_RDONLY | O_CLOEXEC);
	OWNED_FD int owner = fd < 0 ? -1 : ioctl(fd, NS_GET_USERNS);

	/* The program is to find it. */
	return owner < 0 || fd_set_cloexec(owner, false) ? -1 : fd_take(&owner);
}

static void address(char dst[16], uint32_t ip)
{
	(void)snprintf(dst, 16, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255,
	               ip & 255);
}

/* The netvm's address, as on the original; it must lie in the network that pasta can be told of. */
static uint32_t gateway_of(const struct local_qube *q, const struct local_qube *netvm)
{
	uint32_t gateway = netvm && netvm->ip ? netvm->ip : GATEWAY;

	if ((gateway ^ q->ip) >> 24)
		gateway = (q->ip & 0xffffff00U) | 1U;
	return gateway == q->ip ? gateway ^ 3U : gateway;
}

void local_net_exec(const struct local_qube *q, const struct local_qube *netvm, int go)
{
	uid_t id = MONITOR_OWNER_UID_BASE + q->owner;
	char own[16], gateway[16], user_ns[48], net_ns[48];
	int owner;
	char *const env[] = {NULL};
	uint8_t byte;
	sigset_t none;

	/* The record is written before anything happens. */
	if (read(go, &byte, 1) != 1)
		_exit(1);
	address(own, q->ip);
	address(gateway, gateway_of(q, netvm));
	(void)snprintf(net_ns, sizeof(net_ns), "/proc/%d/ns/net", (int)q->init.pid);
	owner = open_owner(net_ns);
	(void)snprintf(user_ns, sizeof(user_ns), "/proc/self/fd/%d", owner);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (owner < 0 || enter_netvm(netvm) ||
	    (q->local->root &&
	     (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id)))) {
		LOG_ERRNO("%s: the network of its netvm", q->name);
		_exit(1);
	}
	(void)execle(q->local->pasta, "pasta", "--foreground", "--quiet", "--config-net", "-4",
	             "--ns-ifname", INTERFACE, "--address", own, "--netmask", NETMASK, "--gateway",
	             gateway, "--dns-forward", DNS, "--no-map-gw", "--no-dhcp", "-t", "none", "-u",
	             "none", "-T", "none", "-U", "none", "--userns", user_ns, "--netns", net_ns,
	             (char *)NULL, env);
	LOG_ERRNO("%s", q->local->pasta);
	_exit(1);
}

static void on_timer(void *arg)
{
	start(arg);
}

static void on_pasta_end(void *arg, int wait_status)
{
	struct local_qube *q = arg;
	uint64_t pause;

	(void)wait_status;
	forget_record(q);
	loop_timer_clear(q->local->loop, &q->net.timer);
	answer(q, "pasta ended: see the log of the toolstack");
	if (!q->net.wanted)
		return;
	q->net.pause_ms = q->net.pause_ms ? MIN(q->net.pause_ms * 2, AGAIN_MAX_MS) : AGAIN_MS;
	pause = q->net.pause_ms;
	if (loop_timer_set(q->local->loop, &q->net.timer, pause, on_timer, q))
		LOG_ERRNO("%s stays without network", q->name);
}

static void on_look(void *arg)
{
	struct local_qube *q = arg;

	if (has_interface(q)) {
		q->net.pause_ms = 0;
		answer(q, NULL);
		return;
	}
	if (++q->net.looks > LOOKS_MAX ||
	    loop_timer_set(q->local->loop, &q->net.timer, LOOK_MS, on_look, q))
		answer(q, "no network device came up in time");
}

static int save_pasta(struct local_qube *q)
{
	struct record r = {.kind = RECORD_NETWORK,
	                   .domid = q->domid,
	                   .pid = (uint32_t)q->net.pasta.pid,
	                   .start = q->net.pasta.start};

	memcpy(r.name, q->name, sizeof(r.name));
	return record_write(q->local->records, &r);
}

static int spawn(struct local_qube *q, const struct local_qube *netvm)
{
	int go[2];
	uint8_t byte = 0;
	pid_t pid;
	int r;

	if (pipe2(go, O_CLOEXEC))
		return -1;
	pid = local_maker_network(q, netvm, go[0]);
	r = pid < 0 ? -1 : proc_watch(q->local->loop, &q->net.pasta, pid, on_pasta_end, q);
	if (r == 0 && (save_pasta(q) || write(go[1], &byte, 1) != 1))
		r = -1;
	(void)fd_close(go[0]);
	(void)fd_close(go[1]);
	if (r && proc_runs(&q->net.pasta))
		local_net_drop(q);
	return r;
}

static void start(struct local_qube *q)
{
	struct local_qube *netvm = NULL;

	if (!q->net.wanted || proc_runs(&q->net.pasta))
		return;
	if (q->local->pasta[0] == '\0') {
		answer(q, "no network: pasta is not installed (apt-get install passt)");
		return;
	}
	if (q->net.netvm) {
		netvm = q->local->by_domid[q->net.netvm];
		if (!netvm || netvm->state == LOCAL_STARTING || netvm == q) {
			answer(q, "its netvm does not run");
			return;
		}
	}
	if (spawn(q, netvm)) {
		LOG_ERRNO("pasta");
		answer(q, "pasta cannot be started");
		return;
	}
	q->net.looks = 0;
	if (loop_timer_set(q->local->loop, &q->net.timer, LOOK_MS, on_look, q))
		answer(q, "no memory");
}

void local_net_connect(struct local_qube *q, struct ask ask)
{
	local_net_drop(q);
	q->net.ask = ask;
	q->net.pause_ms = 0;
	if (q->net.wanted)
		start(q);
	else
		answer(q, NULL);
}

void local_net_gone(struct local *local, uint32_t netvm)
{
	unsigned int seen = 0;

	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX && seen < local->n_qubes; domid++) {
		struct local_qube *q = local->by_domid[domid];

		if (!q)
			continue;
		seen++;
		if (q->net.netvm != netvm)
			continue;
		/* Its number may be given to another qube: who is connected to that is asked anew. */
		q->net.wanted = false;
		local_net_drop(q);
	}
}

/* Connections that outlived the toolstack that made them. */
static void adopt(void *arg, const struct record *r)
{
	struct local *local = arg;
	struct local_qube *q = local->by_domid[r->domid];

	if (q &&
	    proc_adopt(local->loop, &q->net.pasta, (pid_t)r->pid, r->start, on_pasta_end, q) == 0)
		return;
	if (proc_kill_wait((pid_t)r->pid, r->start, 1000))
		LOG_ERRNO("a network connection without a qube: process %u", r->pid);
	record_remove(local->records, RECORD_NETWORK, r->domid);
}

void local_net_adopt(struct local *local)
{
	if (record_each(local->records, RECORD_NETWORK, adopt, local) < 0)
		LOG_ERRNO("records");
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		if (local->by_domid[domid])
			start(local->by_domid[domid]);
}
