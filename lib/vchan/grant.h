/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_GRANT_H
#define LIB_VCHAN_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/vchan/vchan.h"

/*
 * The grant transport has two halves.
 *
 * grant.c is in every program: it maps and uses what it was handed, an event channel's descriptor and
 * one of /dev/xen/gntdev or gntalloc to which somebody else has added exactly this channel's pages. Its
 * only ioctl is IOCTL_EVTCHN_NOTIFY; all others can be forbidden.
 *
 * grant_meet.c (xenstore) and grant_devices.c (the ioctls that add grants and bind ports) are linked
 * by programs that call vchan_use_grant(): the monitor or keeper in dom0, the agent in a qube.
 */

/* How grant.c reaches the other half; NULL: this program has none. */
struct grant_meet;
struct grant_meet_ops {
	/* Begin to listen or connect: fills vchan->shared, adds descriptors to its epoll. */
	int (*start)(struct vchan *vchan, const struct vchan_config *config);
	/* A descriptor was ready; VCHAN_OPEN once the peer is there. */
	/* @rung: there were events */
	void (*step)(struct vchan *vchan, bool rung);
	/* Whether the peer's domain is there. */
	bool (*alive)(const struct vchan *vchan);
	/* The kernel is to tell the peer when our mapping goes; 0 or -1 with errno. */
	int (*watch_end)(struct vchan *vchan);
	/* Withdraw what was published; NULL is accepted; returns NULL. */
	struct grant_meet *(*free)(struct grant_meet *meet);
	int (*own_domain)(int *ret_domain);
};
extern const struct grant_meet_ops *grant_meet_ops;

/** grant_wanted() - whether these settings of the environment mean the grant transport */
bool grant_wanted(const char *transport, const char *dir);
/** grant_own_domain() - from xenstore; 0, or -1 with errno */
int grant_own_domain(int *ret_domain) MUST_CHECK;

/** grant_hello() - the client's first word, through a mapping of the control page alone */
void grant_hello(void *page, int event_fd, uint32_t event_port);

/* The devices (grant_devices.c); each returns -1 with errno on failure. */

#define GRANT_RESERVED  8U /* references below are Xen's own */
#define GRANT_PAGES_MAX 512U

/** grant_allocate() - n pages that @peer may map, at offset 0 of the descriptor (given) */
int grant_allocate(int peer, size_t n, uint32_t *ret_references) MUST_CHECK;
/** grant_open() - a descriptor (given) to which grant_add() gives pages of a domain */
int grant_open(void) MUST_CHECK;
/** grant_add() - the next n pages of it: they must come to lie at @offset */
int grant_add(int fd, int domain, const uint32_t *references, size_t n, uint64_t offset) MUST_CHECK;
/** grant_notify_end() - when the mapping of the page at 0 goes: clear @byte of it, event to @port */
int grant_notify_end(int fd, uint32_t byte, uint32_t port) MUST_CHECK;

/** event_open() - a descriptor (given) for event channels, without blocking */
int event_open(void) MUST_CHECK;
/** event_bind() - to a port that @peer offers; event_offer() - a port for @peer to bind to. No other
 *  domain's can be bound with this descriptor after that. 0, or -1 with errno (ESRCH: no such domain). */
int event_bind(int fd, int peer, uint32_t peer_port, uint32_t *ret_port) MUST_CHECK;
int event_offer(int fd, int peer, uint32_t *ret_port) MUST_CHECK;

#endif
