/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/ports.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/limits.h"
#include "slices/qrexec/ports_file.h"

#define PORT_PEERS_IDLE 64 /* peers without a port in use that are remembered; chosen */

struct port_peer {
	struct port_peer *next;
	uint32_t domain;
	struct ports_row *row; /* of the file; NULL: none */
	unsigned int n_used;
	unsigned int n_held;
	uint64_t last_ms;         /* last release */
	struct port_wait waiting; /* head of a ring of those who wait for a port */
	bool used[QREXEC_PORTS];
	bool doubt
	        [QREXEC_PORTS]; /* a call of an earlier connection may be there; its end was not told */
	void *owner[QREXEC_PORTS];
	uint64_t held_ms[QREXEC_PORTS];     /* not used, and not given before then; 0: not held */
	uint64_t released_ms[QREXEC_PORTS]; /* 0: never had */
};

void ports_init(struct ports *ports, uint32_t own, uint64_t hold_ms)
{
	memset(ports, 0, sizeof(*ports));
	ports->own = own;
	ports->hold_ms = hold_ms;
}

void ports_fini(struct ports *ports)
{
	if (ports->file && ports->n_held == 0 && ports_used(ports) == 0)
		(void)unlink(ports->path);
	ports_file_close(ports->file);
	ports->file = NULL;
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

		if (peer->n_used == 0 && peer->n_held == 0 &&
		    peer->waiting.next == &peer->waiting && ++n_idle > PORT_PEERS_IDLE &&
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

/* Used and held ports of a peer are in the file, others are not. */
static void remember(struct ports *ports, struct port_peer *peer, unsigned int i)
{
	if (!peer->row && ports->file)
		peer->row = ports_file_row(ports->file, peer->domain);
	if (peer->row)
		ports_row_set(peer->row, i, true);
}

static void forget(struct port_peer *peer, unsigned int i)
{
	if (!peer->row)
		return;
	ports_row_set(peer->row, i, false);
	if (peer->n_used + peer->n_held > 0)
		return;
	peer->row->domain = PORTS_NO_DOMAIN;
	peer->row = NULL;
}

static bool is_free(const struct port_peer *peer, unsigned int i)
{
	return !peer->used[i] && peer->held_ms[i] == 0;
}

/* Is port a better than port b for this peer? Both are free for it. */
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
		if (is_free(peer, i) && (best == QREXEC_PORTS || better(ports, peer, i, best)))
			best = i;
	}
	if (best == QREXEC_PORTS)
		return -1;
	peer->used[best] = true;
	peer->owner[best] = owner;
	peer->n_used++;
	ports->n_users[best]++;
	remember(ports, peer, best);
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

	return peer &&
	       peer->n_used + peer->n_held == (domain == 0 ? QREXEC_PORTS : QREXEC_PORTS / 2);
}

int ports_wait(struct ports *ports, uint32_t domain, struct port_wait *w, void (*fn)(void *arg),
               void *arg)
{
	struct port_peer *peer = find_peer(ports, domain);

	if (!peer || peer->n_used + peer->n_held == 0)
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

static void stop_using(struct ports *ports, struct port_peer *peer, unsigned int i)
{
	peer->used[i] = false;
	peer->owner[i] = NULL;
	peer->n_used--;
	ports->n_users[i]--;
}

static void hold(struct ports *ports, struct port_peer *peer, unsigned int i, uint64_t now_ms)
{
	peer->doubt[i] = true;
	peer->held_ms[i] = now_ms + ports->hold_ms + 1;
	peer->n_held++;
	ports->n_held++;
}

static void end_hold(struct ports *ports, struct port_peer *peer, unsigned int i)
{
	if (peer->held_ms[i] == 0)
		return;
	peer->held_ms[i] = 0;
	peer->n_held--;
	ports->n_held--;
}

/* A port has become free: who waits longest takes it. */
static void give_back(struct port_peer *peer, unsigned int i, uint64_t now_ms)
{
	struct port_wait *w = peer->waiting.next;

	forget(peer, i);
	peer->released_ms[i] = now_ms ? now_ms : 1;
	peer->last_ms = now_ms;
	if (w != &peer->waiting) {
		ports_wait_clear(w);
		w->fn(w->arg);
	}
}

bool ports_release(struct ports *ports, uint32_t domain, uint32_t port, uint64_t now_ms,
                   void **ret_owner)
{
	struct port_peer *peer = find_peer(ports, domain);
	unsigned int i = port - QREXEC_PORT_FIRST;
	bool was_used;

	if (!peer || !qrexec_port_legal(port) || (!peer->used[i] && !peer->doubt[i]))
		return false;
	was_used = peer->used[i];
	if (ret_owner)
		*ret_owner = peer->owner[i];
	if (was_used)
		stop_using(ports, peer, i);
	if (was_used && peer->doubt[i]) {
		hold(ports, peer, i, now_ms);
		return true;
	}
	peer->doubt[i] = false;
	if (was_used || peer->held_ms[i] != 0) {
		end_hold(ports, peer, i);
		give_back(peer, i, now_ms);
	}
	return true;
}

void ports_disown(struct ports *ports, uint32_t domain, uint32_t port)
{
	struct port_peer *peer = find_peer(ports, domain);

	if (peer && qrexec_port_legal(port) && peer->used[port - QREXEC_PORT_FIRST])
		peer->owner[port - QREXEC_PORT_FIRST] = NULL;
}

void ports_hold_all(struct ports *ports, uint64_t now_ms)
{
	for (struct port_peer *peer = ports->peers; peer; peer = peer->next) {
		for (unsigned int i = 0; i < QREXEC_PORTS && peer->n_used > 0; i++) {
			if (peer->used[i]) {
				stop_using(ports, peer, i);
				hold(ports, peer, i, now_ms);
			}
		}
	}
}

uint64_t ports_expire(struct ports *ports, uint64_t now_ms)
{
	uint64_t next_ms = 0;

	for (struct port_peer *peer = ports->peers; peer; peer = peer->next) {
		for (unsigned int i = 0; i < QREXEC_PORTS && peer->n_held > 0; i++) {
			if (peer->held_ms[i] != 0 && peer->held_ms[i] <= now_ms) {
				end_hold(ports, peer, i);
				give_back(peer, i, now_ms);
			}
		}
	}
	for (struct port_peer *peer = ports->peers; peer; peer = peer->next) {
		uint64_t ms = ports_held_until_ms(ports, peer->domain);

		if (ms != 0 && (next_ms == 0 || ms < next_ms))
			next_ms = ms;
	}
	return next_ms;
}

uint64_t ports_held_until_ms(const struct ports *ports, uint32_t domain)
{
	const struct port_peer *peer = find_peer(ports, domain);
	uint64_t first_ms = 0;

	for (unsigned int i = 0; peer && peer->n_held > 0 && i < QREXEC_PORTS; i++) {
		if (peer->held_ms[i] != 0 && (first_ms == 0 || peer->held_ms[i] < first_ms))
			first_ms = peer->held_ms[i];
	}
	return first_ms;
}

/* A peer whose memory cannot be had now is not worth less care later: its row stays. */
static void recover_row(struct ports *ports, struct ports_row *row, uint64_t now_ms)
{
	struct port_peer *peer =
	        row->domain != PORTS_NO_DOMAIN ? get_peer(ports, row->domain, now_ms) : NULL;

	if (!peer || peer->row)
		return;
	peer->row = row;
	for (unsigned int i = 0; i < QREXEC_PORTS; i++) {
		if (ports_row_has(row, i))
			hold(ports, peer, i, now_ms);
	}
	if (peer->n_held == 0) {
		row->domain = PORTS_NO_DOMAIN;
		peer->row = NULL;
	}
}

int ports_remember(struct ports *ports, const char *path, uint64_t now_ms)
{
	if (ports_file_open(path, ports->own, &ports->file))
		return -1;
	ports->path = path;
	for (unsigned int i = 0; i < PORTS_FILE_ROWS; i++)
		recover_row(ports, &ports->file->rows[i], now_ms);
	return 0;
}

unsigned int ports_used(const struct ports *ports)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < QREXEC_PORTS; i++)
		n += ports->n_users[i];
	return n;
}
