/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/ports.h"

#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"

#define PORT_PEERS_IDLE 64 /* peers without a port in use that are remembered; chosen */

struct port_peer {
	struct port_peer *next;
	uint32_t domain;
	unsigned int n_used;
	uint64_t last_ms;         /* last release */
	struct port_wait waiting; /* head of a ring of those who wait for a port */
	bool used[QREXEC_PORTS];
	void *owner[QREXEC_PORTS];
	uint64_t released_ms[QREXEC_PORTS]; /* 0: never had */
};

void ports_init(struct ports *ports, uint32_t own)
{
	memset(ports, 0, sizeof(*ports));
	ports->own = own;
}

void ports_fini(struct ports *ports)
{
	while (ports->peers) {
		struct port_peer *peer = ports->peers;

		ports->peers = peer->next;
		while (peer->waiting.next != &peer->waiting)
			ports_wait_clear(peer->waiting.next);
		free(peer);
	}
}

static struct port_peer *find_peer(const struct ports *ports, uint32_t domain)
{
	struct port_peer *peer = ports->peers;

	while (peer && peer->domain != domain)
		peer = peer->next;
	return peer;
}

/* Idle peers are forgotten when there are many and their quarantine is over. */
static void forget_idle(struct ports *ports, uint64_t now_ms)
{
	struct port_peer **place = &ports->peers;
	unsigned int n_idle = 0;

	while (*place) {
		struct port_peer *peer = *place;

		if (peer->n_used == 0 && peer->waiting.next == &peer->waiting &&
		    ++n_idle > PORT_PEERS_IDLE &&
		    now_ms - peer->last_ms > LIMIT_PORT_QUARANTINE_MS) {
			*place = peer->next;
			free(peer);
		} else {
			place = &peer->next;
		}
	}
}

static struct port_peer *get_peer(struct ports *ports, uint32_t domain, uint64_t now_ms)
{
	struct port_peer *peer = find_peer(ports, domain);

	if (peer)
		return peer;
	forget_idle(ports, now_ms);
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->domain = domain;
	peer->waiting.next = peer->waiting.prev = &peer->waiting;
	peer->next = ports->peers;
	ports->peers = peer;
	return peer;
}

/* Is port a better than port b for this peer? Neither is in use by it. */
static bool better(const struct ports *ports, const struct port_peer *peer, unsigned int a,
                   unsigned int b)
{
	if ((ports->n_users[a] == 0) != (ports->n_users[b] == 0))
		return ports->n_users[a] == 0;
	return peer->released_ms[a] < peer->released_ms[b];
}

int ports_take(struct ports *ports, uint32_t domain, uint64_t now_ms, void *owner,
               uint32_t *ret_port)
{
	struct port_peer *peer = get_peer(ports, domain, now_ms);
	unsigned int first = domain > ports->own ? 1 : 0;
	unsigned int step = domain == 0 ? 1 : 2;
	unsigned int best = QREXEC_PORTS;

	if (!peer)
		return -1;
	for (unsigned int i = first; i < QREXEC_PORTS; i += step) {
		if (!peer->used[i] && (best == QREXEC_PORTS || better(ports, peer, i, best)))
			best = i;
	}
	if (best == QREXEC_PORTS)
		return -1;
	peer->used[best] = true;
	peer->owner[best] = owner;
	peer->n_used++;
	ports->n_users[best]++;
	*ret_port = QREXEC_PORT_FIRST + best;
	return 0;
}

uint64_t ports_last_ms(const struct ports *ports, uint32_t domain)
{
	const struct port_peer *peer = find_peer(ports, domain);

	return peer ? peer->last_ms : 0;
}

bool ports_full(const struct ports *ports, uint32_t domain)
{
	const struct port_peer *peer = find_peer(ports, domain);

	return peer && peer->n_used == (domain == 0 ? QREXEC_PORTS : QREXEC_PORTS / 2);
}

int ports_wait(struct ports *ports, uint32_t domain, struct port_wait *w, void (*fn)(void *arg),
               void *arg)
{
	struct port_peer *peer = find_peer(ports, domain);

	if (!peer || peer->n_used == 0)
		return -1;
	*w = (struct port_wait){
	        .next = &peer->waiting, .prev = peer->waiting.prev, .fn = fn, .arg = arg};
	w->prev->next = w;
	peer->waiting.prev = w;
	return 0;
}

void ports_wait_clear(struct port_wait *w)
{
	if (!w->next)
		return;
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
}

static void free_port(struct ports *ports, struct port_peer *peer, unsigned int i, uint64_t now_ms)
{
	peer->used[i] = false;
	peer->owner[i] = NULL;
	peer->released_ms[i] = now_ms ? now_ms : 1;
	peer->last_ms = now_ms;
	peer->n_used--;
	ports->n_users[i]--;
}

static struct port_peer *find_user(const struct ports *ports, uint32_t domain, uint32_t port,
                                   unsigned int *ret_i)
{
	struct port_peer *peer = find_peer(ports, domain);

	if (!peer || !qrexec_port_legal(port) || !peer->used[port - QREXEC_PORT_FIRST])
		return NULL;
	*ret_i = port - QREXEC_PORT_FIRST;
	return peer;
}

bool ports_release(struct ports *ports, uint32_t domain, uint32_t port, uint64_t now_ms,
                   void **ret_owner)
{
	unsigned int i;
	struct port_peer *peer = find_user(ports, domain, port, &i);
	struct port_wait *w;

	if (!peer)
		return false;
	if (ret_owner)
		*ret_owner = peer->owner[i];
	free_port(ports, peer, i, now_ms);
	w = peer->waiting.next;
	if (w != &peer->waiting) {
		ports_wait_clear(w);
		w->fn(w->arg);
	}
	return true;
}

void ports_disown(struct ports *ports, uint32_t domain, uint32_t port)
{
	unsigned int i;
	struct port_peer *peer = find_user(ports, domain, port, &i);

	if (peer)
		peer->owner[i] = NULL;
}

void ports_release_all(struct ports *ports, uint64_t now_ms)
{
	for (struct port_peer *peer = ports->peers; peer; peer = peer->next) {
		for (unsigned int i = 0; i < QREXEC_PORTS && peer->n_used > 0; i++) {
			if (peer->used[i])
				free_port(ports, peer, i, now_ms);
		}
	}
}

unsigned int ports_used(const struct ports *ports)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < QREXEC_PORTS; i++)
		n += ports->n_users[i];
	return n;
}
