/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of qubes and the netvm of running ones. Facts: doc/protocol/core-model.md, Network. */
#include "services/admin/network.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/feature_methods.h"
#include "services/admin/ground.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/turn.h"

struct qube *network_netvm(const struct qube *q)
{
	return property_has(q, PROP_NETVM) ? property_qube(q, PROP_NETVM) : NULL;
}

bool network_is_on(const struct qube *q)
{
	return network_netvm(q) || property_bool(q, PROP_PROVIDES_NETWORK);
}

/* Number of the qube, or of the disposable, within its network. */
static uint32_t number_of(const struct qube *q, bool *ret_disposable)
{
	*ret_disposable = q->klass == CLASS_DISP && q->values[PROP_DISPID];
	if (*ret_disposable)
		return (uint32_t)strtoul(q->values[PROP_DISPID], NULL, 10);
	return q->qid;
}

bool network_ip(const struct qube *q, struct text *out)
{
	bool disposable;
	uint32_t n = number_of(q, &disposable), m = n - 1;

	if (!network_is_on(q))
		return false;
	if (n < 255)
		text_printf(out, "10.%d.%" PRIu32 ".%" PRIu32, disposable ? 138 : 137, n >> 8,
		            n & 255);
	else
		text_printf(out, "10.%d.%" PRIu32 ".%" PRIu32, disposable ? 138 : 137, m / 254,
		            m % 254 + 1);
	return true;
}

bool network_ip6(const struct qube *q, struct text *out)
{
	bool disposable;
	uint32_t n = number_of(q, &disposable);

	if (!network_is_on(q) || !feature_true(feature_with_netvm(q, "ipv6")))
		return false;
	text_printf(out, "fd09:24ef:4179::%s:%" PRIx32, disposable ? "a8a" : "a89", n);
	return true;
}

uint32_t network_number(const char *ip)
{
	struct in_addr a;

	return inet_pton(AF_INET, ip, &a) == 1 ? ntohl(a.s_addr) : 0;
}

bool network_loop(const struct qube *q, const struct qube *netvm)
{
	size_t depth;

	for (depth = 0; netvm && depth <= world.n_qubes; depth++) {
		if (netvm == q)
			return true;
		netvm = network_netvm(netvm);
	}
	return netvm != NULL;
}

void network_clients(const struct qube *q, void (*fn)(void *arg, struct qube *client), void *arg)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (network_netvm(world.qubes[i]) == q)
			fn(arg, world.qubes[i]);
}

void network_defer(struct qube *q, struct qube *old)
{
	if (!feature_get(q, "deferred-netvm-original"))
		feature_put(q, "deferred-netvm-original", old ? old->name : "");
}

/*
 * The ground is told; whether it could is logged there. What a paused qube is connected to changes
 * when it goes on (lifecycle.c).
 */
void network_switch(struct qube *q, struct qube *old, struct qube *new)
{
	if (old)
		qdb_netvm(old);
	if (new)
		qdb_netvm(new);
	if (!qube_active(q))
		return;
	if (q->run.state != STATE_PAUSED)
		ground_network(q, new);
	if (!new) {
		qdb_network_off(q);
		return;
	}
	qdb_network(q);
	event_fire(q, "domain-qdb-create", NULL);
	event_fire(new, "net-domain-connect", "vm", q->name, NULL);
	qdb_firewall(q);
}
