/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a server and its client find each other on Xen: the server writes a grant reference and an
 * event channel's port below its own part of xenstore, and lets one domain read them.
 *
 * One connection to xenstore, open only until there is a peer; no transaction: clients watch the
 * node that is written last. What a server's nodes say is the other domain's, and is hostile.
 *
 * Source: doc/protocol/vchan.md, 3.2 to 3.5, H2, H11, H16 to H18, V7, V8, V10, V15.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/grant.h"
#include "lib/vchan/shared.h"
#include "lib/xen/store.h"

#define PATH_MAX_HERE 96
#define PORT_MAX      131071U /* event channels of a domain, at most; Xen */

/*
 * A ring for bulk is made larger than asked for, so that the two sides sleep less often in turn;
 * as long as the kernel gives the pages. Measured by tests/xen: doc/xen.md.
 */
#define BULK_FROM        65536U
#define BULK_RING        (256U << 10)

#define CLIENT_LIVE_BYTE 20U
#define SERVER_LIVE_BYTE 21U

/* Watches of a connection to xenstore. */
#define TOKEN_VCHAN "vchan"
#define TOKEN_LIFE  "life"

struct grant_meet {
	struct store *store;
	int peer;
	bool settled;       /* the peer is there, nothing of the rendezvous is left */
	bool looked;        /* once at the node that lasts as long as the peer's domain */
	bool known;         /* and it was there */
	uint32_t reference; /* server: of the control page, as published */
	char folder[PATH_MAX_HERE];
};

static int in_folder(const struct grant_meet *meet, const char *name, char path[PATH_MAX_HERE + 16])
{
	return snprintf(path, PATH_MAX_HERE + 16, "%s/%s", meet->folder, name) > 0 ? 0 : -1;
}

static int own_domain(int *ret_domain)
{
	struct store *store;
	uint32_t domain;
	int r;

	if (store_open(&store))
		return -1;
	r = store_read_number(store, "domid", 0, 0x7FEF, &domain);
	(void)store_free(store);
	if (r == 0)
		*ret_domain = (int)domain;
	return r;
}

/* What was published goes, if it still is ours, and the folder of the peer if nothing is left in it. */
static void withdraw(struct grant_meet *meet)
{
	char path[PATH_MAX_HERE + 16], names[STORE_PAYLOAD_MAX];
	uint32_t reference, own = meet->reference;
	char *last;
	size_t len;

	meet->reference = 0;
	if (own == 0 || in_folder(meet, "ring-ref", path) ||
	    store_read_number(meet->store, path, 0, UINT32_MAX, &reference) || reference != own)
		return;
	if (store_remove(meet->store, meet->folder))
		return;
	memcpy(path, meet->folder, strlen(meet->folder) + 1);
	last = strrchr(path, '/');
	*last = '\0';
	/* Another server may be publishing there at this moment. */
	if (store_list(meet->store, path, names, &len) == 0 && len == 0 &&
	    store_remove(meet->store, path))
		return;
}

static struct grant_meet *meet_end(struct grant_meet *meet)
{
	if (!meet)
		return NULL;
	withdraw(meet);
	(void)store_free(meet->store);
	free(meet);
	return NULL;
}

static bool alive_domain(int peer)
{
	OWNED_FD int fd = event_open();
	uint32_t port;

	/* No domain has that port: the answer is whether there is such a domain. */
	return fd < 0 || event_bind(fd, peer, UINT32_MAX, &port) == 0 || errno != ESRCH;
}

static bool alive(const struct vchan *vchan)
{
	return alive_domain(vchan->shared.grant ? vchan->shared.grant->peer : vchan->shared.peer);
}

/* The peer's life: a node of its domain that its toolstack makes with it and removes with it. */

static void life_path(const struct grant_meet *meet, char path[PATH_MAX_HERE])
{
	(void)snprintf(path, PATH_MAX_HERE, "/local/domain/%d/domid", meet->peer);
}

/*
 * The first event comes at once. Each later one is a change: if the node was there it now is gone, though another
 * domain may have the number again, and if it is not there now it was.
 */
static void look_at_life(struct vchan *vchan, bool lost)
{
	struct shared_part *part = &vchan->shared;
	struct grant_meet *meet = part->grant;
	char path[PATH_MAX_HERE];
	bool readable, gone;
	uint32_t domid;

	life_path(meet, path);
	readable = store_read_number(meet->store, path, 0, UINT32_MAX, &domid) == 0;
	gone = meet->looked && !lost ? meet->known || !readable : meet->known && !readable;
	meet->looked = meet->looked || !lost;
	meet->known = meet->known || readable;
	if (!gone)
		return;
	part->dead = true;
	if (part->map)
		shared_take_state(vchan);
	else
		vchan_end(vchan, "the peer's domain is gone");
}

/* How many events there were; -1: xenstore is gone. */
static int take_events(struct vchan *vchan)
{
	struct store_event event;
	int r, n = 0;

	for (; (r = store_next(vchan->shared.grant->store, &event)) > 0; n++)
		if (strcmp(event.token, TOKEN_LIFE) == 0 || event.token[0] == '\0')
			look_at_life(vchan, event.token[0] == '\0');
	return r < 0 ? -1 : n;
}

/* The peer is there: only its end is waited for, and dom0's is everybody's. */
static struct grant_meet *meet_over(struct grant_meet *meet)
{
	char path[PATH_MAX_HERE + 16];

	withdraw(meet);
	if (meet->peer == 0 || in_folder(meet, "event-channel", path) ||
	    (store_unwatch(meet->store, path, TOKEN_VCHAN) && errno != ENOENT))
		return meet_end(meet);
	meet->settled = true;
	return meet;
}

/* The server. */

static int allocate(struct vchan *vchan, int peer, size_t read_min, size_t write_min,
                    uint32_t references[RING_GRANTS_MAX + 1], size_t *ret_n)
{
	struct shared_part *part = &vchan->shared;

	if (ring_choose_orders(read_min, write_min, &part->left_order, &part->right_order))
		return -1;
	*ret_n = ring_area(part->left_order, part->right_order) / RING_PAGE;
	part->memory = grant_allocate(peer, *ret_n, references);
	return part->memory < 0 ? -1 : 0;
}

static size_t generous(size_t least)
{
	return least >= BULK_FROM ? MAX(least, (size_t)BULK_RING) : least;
}

static int publish(struct vchan *vchan, struct grant_meet *meet, int own)
{
	char path[PATH_MAX_HERE + 16], value[16];

	/* A former server's nodes must not be seen beside ours. */
	if (store_remove(meet->store, meet->folder) || in_folder(meet, "ring-ref", path))
		return -1;
	(void)snprintf(value, sizeof(value), "%u", meet->reference);
	if (store_write(meet->store, path, value) ||
	    store_set_access(meet->store, path, own, meet->peer, false) ||
	    in_folder(meet, "event-channel", path))
		return -1;
	(void)snprintf(value, sizeof(value), "%u", vchan->shared.event_port);
	return store_write(meet->store, path, value) ||
	                       store_set_access(meet->store, path, own, meet->peer, false)
	               ? -1
	               : 0;
}

static int listen_for(struct vchan *vchan, struct grant_meet *meet,
                      const struct vchan_config *config)
{
	struct shared_part *part = &vchan->shared;
	uint32_t references[RING_GRANTS_MAX + 1];
	size_t n;

	if (allocate(vchan, meet->peer, generous(config->read_min), generous(config->write_min),
	             references, &n) &&
	    allocate(vchan, meet->peer, config->read_min, config->write_min, references, &n))
		return -1;
	vchan->sock = event_open();
	if (vchan->sock < 0 || event_offer(vchan->sock, meet->peer, &part->event_port) ||
	    vchan->ops->map(vchan))
		return -1;
	ring_format(part->ring.page, part->left_order, part->right_order, references + 1, n - 1);
	if (vchan_watch(vchan, EPOLL_CTL_ADD, EPOLLIN))
		return -1;
	meet->reference = references[0];
	return publish(vchan, meet, config->own);
}

static void step_server(struct vchan *vchan)
{
	/* The channel itself does not tell a server that the domain it waits for is gone (V10). */
	if (take_events(vchan) > 0 && vchan->state == VCHAN_WAITING && !alive(vchan))
		vchan_end(vchan, "the peer's domain is gone");
	if (vchan->state != VCHAN_WAITING)
		vchan->shared.grant = meet_over(vchan->shared.grant);
}

/* The client. */

static int add_pages(struct vchan *vchan, uint32_t untrusted_control, const uint32_t *references,
                     size_t n)
{
	struct shared_part *part = &vchan->shared;
	size_t left = ring_left_offset(part->left_order);
	size_t right = ring_right_offset(part->left_order, part->right_order);
	size_t n_left = part->left_order < RING_ORDER_PAGES
	                        ? 0
	                        : (size_t)1 << (part->left_order - RING_ORDER_PAGES);
	int peer = part->grant->peer;

	part->memory = grant_open();
	if (part->memory < 0 || grant_add(part->memory, peer, &untrusted_control, 1, 0) ||
	    (n_left > 0 && grant_add(part->memory, peer, references, n_left, left)) ||
	    (n > n_left && grant_add(part->memory, peer, references + n_left, n - n_left, right)))
		return -1;
	return 0;
}

/* The server's page, mapped for a moment: what it says is copied, and the server told. */
static int join(struct vchan *vchan, uint32_t untrusted_reference)
{
	uint32_t references[RING_GRANTS_MAX];
	struct shared_part *part = &vchan->shared;
	OWNED_FD int fd = grant_open();
	void *page;
	int r;

	if (fd < 0 || grant_add(fd, part->grant->peer, &untrusted_reference, 1, 0))
		return -1;
	page = mmap(NULL, RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -1;
	r = ring_load_orders(page, &part->left_order, &part->right_order);
	if (r == 0) {
		size_t n = ring_load_grants(page, part->left_order, part->right_order, references);

		r = add_pages(vchan, untrusted_reference, references, n);
	}
	if (r == 0)
		grant_hello(page, vchan->sock, part->event_port);
	(void)munmap(page, RING_PAGE);
	return r;
}

enum found { FOUND_NOTHING, FOUND_OK, FOUND_WRONG };

static enum found read_nodes(struct grant_meet *meet, uint32_t *ret_reference, uint32_t *ret_port)
{
	char path[PATH_MAX_HERE + 16];

	if (in_folder(meet, "event-channel", path) ||
	    store_read_number(meet->store, path, 1, PORT_MAX, ret_port) ||
	    in_folder(meet, "ring-ref", path) ||
	    store_read_number(meet->store, path, GRANT_RESERVED, UINT32_MAX, ret_reference))
		return errno == ENOENT || errno == EACCES ? FOUND_NOTHING : FOUND_WRONG;
	return FOUND_OK;
}

static void attach_client(struct vchan *vchan)
{
	struct shared_part *part = &vchan->shared;
	uint32_t untrusted_reference, untrusted_port;

	switch (read_nodes(part->grant, &untrusted_reference, &untrusted_port)) {
	case FOUND_NOTHING:
		if (!alive(vchan))
			vchan_end(vchan, "the peer's domain is gone");
		return;
	case FOUND_WRONG:
	default:
		vchan_end(vchan, "malformed rendezvous");
		return;
	case FOUND_OK:
		break;
	}
	vchan->sock = event_open();
	if (vchan->sock < 0) {
		vchan_end(vchan, "no event channel device");
	} else if (event_bind(vchan->sock, part->grant->peer, untrusted_port, &part->event_port)) {
		/* A server that is gone left them; another will write its own, and wake us. */
		bool stale = errno == EINVAL;

		vchan->sock = fd_close(vchan->sock);
		/* Nothing would: no memory, or too many channels. Told now, not after the caller's limit. */
		if (!stale)
			vchan_end(vchan, "no event channel can be had");
	} else if (vchan_watch(vchan, EPOLL_CTL_ADD, EPOLLIN) || join(vchan, untrusted_reference)) {
		vchan_end(vchan, "cannot set up the connection");
	} else {
		vchan->state = VCHAN_OPEN;
		part->grant = meet_over(part->grant);
	}
}

static void step_client(struct vchan *vchan)
{
	int n = take_events(vchan);

	if (n < 0)
		vchan_end(vchan, "xenstore is gone");
	else if (n > 0 && vchan->state == VCHAN_WAITING)
		attach_client(vchan);
}

static int connect_to(struct vchan *vchan, struct grant_meet *meet)
{
	char path[PATH_MAX_HERE + 16];

	(void)vchan;
	/* The node itself: the folder may be unreadable. The first event comes at once. */
	return in_folder(meet, "event-channel", path) || store_watch(meet->store, path, TOKEN_VCHAN)
	               ? -1
	               : 0;
}

/* Both. */

static int start(struct vchan *vchan, const struct vchan_config *config)
{
	struct grant_meet *meet = calloc(1, sizeof(*meet));
	int server = vchan->is_server ? config->own : config->peer;
	int client = vchan->is_server ? config->peer : config->own;
	struct epoll_event event = {.events = EPOLLIN};
	char path[PATH_MAX_HERE];

	if (!meet || store_open(&meet->store)) {
		free(meet);
		return -1;
	}
	meet->peer = vchan->shared.peer = config->peer;
	vchan->shared.grant = meet;
	(void)snprintf(meet->folder, sizeof(meet->folder), "/local/domain/%d/data/vchan/%d/%d",
	               server, client, config->port);
	event.data.fd = store_fd(meet->store);
	if (epoll_ctl(vchan->epoll_fd, EPOLL_CTL_ADD, store_fd(meet->store), &event))
		return -1;
	/* Dom0 is told first, and of domains that have no such node; a qube is not. */
	if (config->own == 0 && store_watch(meet->store, "@releaseDomain", "gone"))
		return -1;
	/* A qube with more channels than xenstore lets it watch nodes has them without this. */
	life_path(meet, path);
	if (config->peer != 0 && store_watch(meet->store, path, TOKEN_LIFE) && errno == EIO)
		return -1;
	return vchan->is_server ? listen_for(vchan, meet, config) : connect_to(vchan, meet);
}

static void step_open(struct vchan *vchan)
{
	/* An end of dom0's store is no end of the channel. */
	if (take_events(vchan) < 0)
		vchan->shared.grant = meet_end(vchan->shared.grant);
}

static void step(struct vchan *vchan, bool rung)
{
	bool open = vchan->state != VCHAN_WAITING && vchan->shared.grant->settled;

	/* xenstore has one thing to say of an open channel, its end, and waits with it until nobody rings. */
	if (open) {
		if (!rung)
			step_open(vchan);
	} else if (vchan->is_server) {
		step_server(vchan);
	} else if (vchan->state == VCHAN_WAITING) {
		step_client(vchan);
	}
}

static int watch_end(struct vchan *vchan)
{
	return grant_notify_end(vchan->shared.memory,
	                        vchan->is_server ? SERVER_LIVE_BYTE : CLIENT_LIVE_BYTE,
	                        vchan->shared.event_port);
}

static const struct grant_meet_ops ops = {
        .start = start,
        .step = step,
        .alive = alive,
        .watch_end = watch_end,
        .free = meet_end,
        .own_domain = own_domain,
};

void vchan_use_grant(void)
{
	grant_meet_ops = &ops;
}
