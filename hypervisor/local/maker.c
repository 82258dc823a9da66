/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maker of qubes: the process that may mount, make namespaces and run bubblewrap and pasta, forked
 * before the toolstack gives all that up (process/starter.h). It reads no order; each goes to a child of
 * its own, which checks it, and makes the one qube or connection that it is for.
 *
 * What it gives up goes over to qubes and to pasta too, so it is what none of these has a use for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/attack.h"
#include "lib/sandbox/sandbox.h"

enum { ORDER_QUBE = 1, ORDER_NETWORK, ORDER_END };

/* What a child needs to know of a qube. */
struct order_qube {
	uint32_t domid; /* 0: there is none */
	uint32_t owner;
	uint32_t ip;
	pid_t init;
	uint64_t memory_max;
	char name[MONITOR_NAME_LEN];
};

struct order {
	uint32_t kind;
	struct order_qube qube;
	struct order_qube netvm;
	struct monitor_create create; /* ORDER_QUBE; left out else */
};

#define CAP(n) (1ULL << (n))

/* The maker. */

static struct local *maker_local;

static int give_up(void)
{
	/* As root; an ordinary user's maker has these in its own user namespace only. */
	static const struct confine_rights rights = {
	        .name = "skerry-ground-local maker",
	        .capabilities = CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_CHROOT) | CAP(CAP_SYS_PTRACE) |
	                        CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_CHOWN) |
	                        CAP(CAP_FOWNER) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH),
	        .required = CONFINE_NO_NEW_PRIVS,
	};

	maker_local->filter = local_filter_make();
	return maker_local->filter < 0 || local_filter_maker() || confine(&rights) ? -1 : 0;
}

static void fill(struct local_qube *q, const struct order_qube *o)
{
	q->local = maker_local;
	q->domid = o->domid;
	q->owner = o->owner;
	q->ip = o->ip;
	q->init.pid = o->init;
	q->memory_max = o->memory_max;
	memcpy(q->name, o->name, sizeof(q->name));
}

/* As strictly as what came from outside: the toolstack has fewer rights than this process. */
static bool create_legal(const struct order *untrusted)
{
	static struct monitor_message m;

	m = (struct monitor_message){.kind = MONITOR_CREATE, .domid = untrusted->qube.domid};
	m.create = untrusted->create;
	return monitor_check(&m) &&
	       memcmp(untrusted->qube.name, m.create.name, MONITOR_NAME_LEN) == 0 &&
	       untrusted->qube.owner == m.create.owner;
}

static void take_order(void *arg, const void *untrusted_request, size_t len, const int *fds,
                       size_t n_fds)
{
	static struct local_qube qube, netvm;
	const struct order *untrusted = untrusted_request;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)arg;
	if (len >= offsetof(struct order, create) && untrusted->kind == ORDER_NETWORK &&
	    n_fds == 1) {
		fill(&qube, &untrusted->qube);
		fill(&netvm, &untrusted->netvm);
		qube.name[sizeof(qube.name) - 1] = '\0';
		local_net_exec(&qube, netvm.domid ? &netvm : NULL, fds[0]);
	}
	if (len == sizeof(*untrusted) && untrusted->kind == ORDER_QUBE && n_fds == 2 &&
	    create_legal(untrusted)) {
		fill(&qube, &untrusted->qube);
		if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(fds[1], 1) < 0 ||
		    dup2(fds[1], 2) < 0)
			_exit(1);
		attack_from_environment("skerry-ground-local child");
		local_sandbox_exec(maker_local, &qube, &untrusted->create, fds[0]);
	}
	if (len == sizeof(untrusted->kind) && untrusted->kind == ORDER_END && n_fds == 0) {
		/* Another system of this user may have its own qubes there. */
		if (rmdir(maker_local->groups) && errno != EBUSY && errno != ENOTEMPTY &&
		    errno != ENOENT)
			LOG_ERRNO("%s", maker_local->groups);
		_exit(0);
	}
	LOG("an order that is none");
	_exit(1);
}

int local_maker_open(struct local *local)
{
	maker_local = local;
	if (starter_open(&local->maker, take_order, give_up, NULL) == 0)
		return 0;
	LOG_ERRNO("the maker of qubes");
	return -1;
}

/* The toolstack. */

static void describe(struct order_qube *o, const struct local_qube *q)
{
	o->domid = q->domid;
	o->owner = q->owner;
	o->ip = q->ip;
	o->init = q->init.pid;
	o->memory_max = q->memory_max;
	memcpy(o->name, q->name, sizeof(o->name));
}

pid_t local_maker_qube(const struct local_qube *q, const struct monitor_create *create, int sock,
                       int err)
{
	static struct order o;
	const int fds[] = {sock, err};

	o = (struct order){.kind = ORDER_QUBE, .create = *create};
	describe(&o.qube, q);
	return starter_run(&q->local->maker, &o, sizeof(o), fds, ARRAY_LEN(fds));
}

pid_t local_maker_network(const struct local_qube *q, const struct local_qube *netvm, int go)
{
	static struct order o;

	o = (struct order){.kind = ORDER_NETWORK};
	describe(&o.qube, q);
	if (netvm)
		describe(&o.netvm, netvm);
	return starter_run(&q->local->maker, &o, offsetof(struct order, create), &go, 1);
}

void local_maker_end(const struct local *local)
{
	const uint32_t kind = ORDER_END;
	pid_t pid = starter_run(&local->maker, &kind, sizeof(kind), NULL, 0);

	if (pid < 0)
		LOG_ERRNO("%s is left", local->groups);
	else
		(void)waitpid(pid, NULL, 0);
}
