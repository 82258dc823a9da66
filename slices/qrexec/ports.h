/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_PORTS_H
#define SLICES_QREXEC_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

/*
 * Which data ports are in use, by peer. A data channel is named by both domains and the port, so the
 * same port may serve two peers at once: a peer that holds all of its ports takes none from another.
 * Within a pair of qubes the parity of the port says whose daemon gave it (doc/protocol/qrexec.md,
 * 6.7); dom0 as a peer may have any.
 *
 * Order of preference: a port that no peer uses before one that another peer uses; one that this peer
 * has never had, lowest first; then the one that this peer gave back longest ago.
 */

struct port_wait {
	struct port_wait *next; /* private; NULL: not waiting */
	struct port_wait *prev; /* private */
	void (*fn)(void *arg);  /* a port has become free; takes it with ports_take() */
	void *arg;
};

struct port_peer;

struct ports {
	uint32_t own; /* own domid */
	struct port_peer *peers;
	uint16_t n_users[QREXEC_PORTS]; /* peers that use each port now */
};

void ports_init(struct ports *ports, uint32_t own);
void ports_fini(struct ports *ports);

/**
 * ports_take() - a port for a peer
 * @now_ms:  any clock that does not go back
 * @owner:   comes back from ports_release(); may be NULL
 * Errors: 0; -1: all of this peer's ports are in use, or no memory.
 */
int ports_take(struct ports *ports, uint32_t domain, uint64_t now_ms, void *owner,
               uint32_t *ret_port) MUST_CHECK;

/** ports_last_ms() - when this peer last gave a port back; 0: never */
uint64_t ports_last_ms(const struct ports *ports, uint32_t domain);

/** ports_full() - has this peer all of its ports in use? */
bool ports_full(const struct ports *ports, uint32_t domain);

/** ports_wait() - call w->fn once, when this peer gives a port back; first come, first served.
 *  Errors: 0; -1: this peer has no port in use, so none can come back. */
int ports_wait(struct ports *ports, uint32_t domain, struct port_wait *w, void (*fn)(void *arg),
               void *arg) MUST_CHECK;
void ports_wait_clear(struct port_wait *w);

/**
 * ports_release() - CONNECTION_TERMINATED
 * @ret_owner:  may be NULL
 * Returns whether that port was in use for exactly that domain.
 */
bool ports_release(struct ports *ports, uint32_t domain, uint32_t port, uint64_t now_ms,
                   void **ret_owner);

/** ports_disown() - the owner is gone, the port stays in use */
void ports_disown(struct ports *ports, uint32_t domain, uint32_t port);

/** ports_release_all() - a new agent knows nothing of the old one's calls. Waiters stay. */
void ports_release_all(struct ports *ports, uint64_t now_ms);

/** ports_used() - how many are in use, over all peers */
unsigned int ports_used(const struct ports *ports);

#endif
