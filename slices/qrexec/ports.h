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
 *
 * When the agent's connection ends, nobody may ever say that its calls have. A service of such a call
 * waits for its caller for up to 120 s, and would take the caller of a later call on the same port for
 * it. So those ports are held: not given to that peer until the agent, on its next connection, says
 * that the call is over, or until no service can wait any more.
 */

struct port_wait {
	struct port_wait *next; /* private; NULL: not waiting */
	struct port_wait *prev; /* private */
	void (*fn)(void *arg);  /* a port has become free; takes it with ports_take() */
	void *arg;
};

struct port_peer;
struct ports_file;

struct ports {
	uint32_t own;     /* own domid */
	uint64_t hold_ms; /* how long a service may wait for its caller */
	const char *path; /* of file */
	struct port_peer *peers;
	struct ports_file *file;        /* NULL: nothing is remembered */
	unsigned int n_held;            /* ports held, over all peers */
	uint16_t n_users[QREXEC_PORTS]; /* peers that use each port now */
};

void ports_init(struct ports *ports, uint32_t own, uint64_t hold_ms);
void ports_fini(struct ports *ports);

/**
 * ports_remember() - hold what a former keeper left in use, and let the next one know of ours
 * @path:  of the file; removed by ports_fini() if nothing is in use then. Borrowed until then
 * Errors: 0, or -1 with errno: nothing is remembered.
 */
int ports_remember(struct ports *ports, const char *path, uint64_t now_ms) MUST_CHECK;

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

/** ports_full() - has this peer all of its ports in use or held? */
bool ports_full(const struct ports *ports, uint32_t domain);

/** ports_wait() - call w->fn once, when this peer gives a port back; first come, first served.
 *  Errors: 0; -1: this peer has no port in use or held, so none can come back. */
int ports_wait(struct ports *ports, uint32_t domain, struct port_wait *w, void (*fn)(void *arg),
               void *arg) MUST_CHECK;
void ports_wait_clear(struct port_wait *w);

/**
 * ports_release() - CONNECTION_TERMINATED
 * @ret_owner:  may be NULL
 * A port that was given again after a hold may have two calls: it is held after the first end.
 * Returns whether that port was in use or held for exactly that domain.
 */
bool ports_release(struct ports *ports, uint32_t domain, uint32_t port, uint64_t now_ms,
                   void **ret_owner);

/** ports_disown() - the owner is gone, the port stays in use */
void ports_disown(struct ports *ports, uint32_t domain, uint32_t port);

/** ports_hold_all() - the agent's connection has ended: what is in use is held. Waiters stay. */
void ports_hold_all(struct ports *ports, uint64_t now_ms);

/** ports_expire() - ends the holds whose time has come; returns when the next one ends, 0: never */
uint64_t ports_expire(struct ports *ports, uint64_t now_ms);

/** ports_held_until_ms() - when the first of this peer's holds ends; 0: it has none */
uint64_t ports_held_until_ms(const struct ports *ports, uint32_t domain);

/** ports_used() - how many are in use, over all peers */
unsigned int ports_used(const struct ports *ports);

#endif
