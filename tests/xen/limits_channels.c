/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conformance cases 34 to 37 of vchans on real Xen, and what a side learns of the other's death. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "lib/vchan/vchan.h"
#include "tests/xen/drive.h"
#include "tests/xen/limits.h"
#include "tests/xen/talk.h"
#include "tests/xen/tap.h"

#define REPLACED_PORT 760
#define NEVER_PORT    770
#define DEAD_SECONDS  60
#define TEXT_MAX      128

static struct xs_handle *stock; /* another's eyes than those of our library */

static bool has_rights(const char *path, unsigned int owner, unsigned int reader)
{
	unsigned int n = 0;
	struct xs_permissions *rights = xs_get_permissions(stock, XBT_NULL, path, &n);
	bool good = rights && n == 2 && rights[0].id == owner && rights[0].perms == XS_PERM_NONE &&
	            rights[1].id == reader && rights[1].perms == XS_PERM_READ;

	free(rights);
	return good;
}

/* Its value, which must be a plain number; -1: there is no such node; -2: it is something else. */
static long number_at(const char *path)
{
	unsigned int len = 0;
	char *text = xs_read(stock, XBT_NULL, path, &len), again[16] = "";
	long value = -1;

	if (!text)
		return -1;
	value = strtol(text, NULL, 10);
	(void)snprintf(again, sizeof(again), "%ld", value);
	if (len == 0 || strcmp(text, again) != 0)
		value = -2;
	free(text);
	return value;
}

static long node(int server, int client, int port, const char *name, char path[TEXT_MAX])
{
	(void)snprintf(path, TEXT_MAX, "/local/domain/%d/data/vchan/%d/%d/%s", server, client, port,
	               name);
	return number_at(path);
}

static bool published(int server, int client, int port)
{
	char path[TEXT_MAX];
	bool good = node(server, client, port, "ring-ref", path) >= 8 &&
	            has_rights(path, (unsigned int)server, (unsigned int)client);

	return good && node(server, client, port, "event-channel", path) > 0 &&
	       has_rights(path, (unsigned int)server, (unsigned int)client);
}

static bool gone(int server, int client, int port)
{
	double end = qube_now() + DEAD_SECONDS;
	char path[TEXT_MAX];
	struct pollfd nothing = {.fd = -1};

	while (qube_now() < end) {
		if (node(server, client, port, "ring-ref", path) == -1 &&
		    node(server, client, port, "event-channel", path) == -1)
			return true;
		(void)poll(&nothing, 1, 50);
	}
	return false;
}

static struct vchan_config config_for(int peer, int port)
{
	return (struct vchan_config){.transport = VCHAN_GRANT,
	                             .peer = peer,
	                             .port = port,
	                             .read_min = 4096,
	                             .write_min = 4096};
}

/* Until it is closed, asleep between its own events; how long that took, or -1. */
static double closes(struct vchan *vchan)
{
	double from = qube_now(), end = from + DEAD_SECONDS;

	while (vchan_state(vchan) != VCHAN_CLOSED && qube_now() < end) {
		struct pollfd look = {.fd = vchan_fd(vchan), .events = POLLIN};

		if (poll(&look, 1, 1000) > 0)
			(void)vchan_step(vchan);
	}
	return vchan_state(vchan) == VCHAN_CLOSED ? qube_now() - from : -1;
}

static bool replaced(int peer)
{
	const struct vchan_config config = config_for(peer, REPLACED_PORT);
	struct vchan *old, *new;
	char path[TEXT_MAX];
	bool good;
	long was;

	if (vchan_listen(&config, &old))
		return false;
	was = node(0, peer, REPLACED_PORT, "ring-ref", path);
	if (vchan_listen(&config, &new)) {
		(void)vchan_close(old);
		return false;
	}
	(void)vchan_close(old);
	good = was >= 8 && published(0, peer, REPLACED_PORT) &&
	       node(0, peer, REPLACED_PORT, "ring-ref", path) != was;
	(void)vchan_close(new);
	return good && gone(0, peer, REPLACED_PORT);
}

static bool refused(int peer)
{
	const struct vchan_config config = config_for(peer, NEVER_PORT);
	struct vchan *vchan;
	bool good;

	if (vchan_connect(&config, &vchan))
		return true;
	good = closes(vchan) >= 0;
	(void)vchan_close(vchan);
	return good;
}

struct two {
	struct qube left, right;
	struct pipe_end to_left, to_right;
};

static bool start_two(struct two *two)
{
	const struct qube_want left = {.name = "left",
	                               .kind = XEN_DOMAIN_PV,
	                               .initrd = INITRD_NODE,
	                               .cmdline = "quiet",
	                               .kib = QUBE_KIB};
	struct qube_want right = left;

	right.name = "right";
	right.kind = XEN_DOMAIN_PVH;
	return qube_start(&two->left, &left) && qube_start(&two->right, &right) &&
	       limits_reach(&two->left, &two->to_left) && limits_reach(&two->right, &two->to_right);
}

/* Between the two: one channel is open, one waits for a server that never comes, on either side. */
static bool meet(struct two *two)
{
	uint32_t left = (uint32_t)two->left.domid, right = (uint32_t)two->right.domid;

	if (limits_ask(&two->to_left, TALK_MEET, talk_meeting(0, true, right)) != 1)
		return false;
	(void)tap_result(published(two->left.domid, two->right.domid, TALK_BETWEEN),
	                 "case 34, between qubes: a server's nodes, their rights and their text");
	if (limits_ask(&two->to_right, TALK_MEET, talk_meeting(0, false, left)) != 1 ||
	    limits_ask(&two->to_right, TALK_STATE, talk_meeting(0, false, VCHAN_OPEN)) !=
	            VCHAN_OPEN ||
	    limits_ask(&two->to_left, TALK_STATE, talk_meeting(0, true, VCHAN_OPEN)) != VCHAN_OPEN)
		return false;
	(void)tap_result(gone(two->left.domid, two->right.domid, TALK_BETWEEN),
	                 "case 34, between qubes: gone once the client is there");
	return limits_ask(&two->to_left, TALK_MEET, talk_meeting(1, false, right)) == 1 &&
	       limits_ask(&two->to_left, TALK_MEET, talk_meeting(2, true, right)) == 1;
}

static void deaths(struct two *two)
{
	const struct vchan_config never = config_for(two->right.domid, NEVER_PORT),
	                          open = config_for(two->right.domid, TALK_SLICE);
	struct vchan *waiting = NULL, *opened = NULL;
	double from, took;
	bool made = vchan_connect(&never, &waiting) == 0 && vchan_connect(&open, &opened) == 0;

	while (made && vchan_state(opened) == VCHAN_WAITING) {
		struct pollfd look = {.fd = vchan_fd(opened), .events = POLLIN};

		(void)poll(&look, 1, 1000);
		(void)vchan_step(opened);
	}
	pipe_close(&two->to_right);
	from = qube_now();
	made = xen_domain_destroy(ground, two->right.domid) == 0 && made;
	took = made ? closes(waiting) : -1;
	(void)tap_result(
	        took >= 0,
	        "case 37: a client that waits for a server learns that its domain is gone");
	tap_note("case 37: %.3f s after the domain's end", took < 0 ? 0 : qube_now() - from);
	(void)tap_result(made && closes(opened) >= 0,
	                 "an open channel of dom0 learns that the other end's domain is gone");
	(void)vchan_close(waiting);
	(void)vchan_close(opened);
	for (uint32_t which = 0; which < 3; which++) {
		static const char *const what[] = {"an open channel", "a client that waits",
		                                   "a server that waits"};

		(void)tap_result(limits_ask(&two->to_left, TALK_STATE,
		                            talk_meeting(which, false, VCHAN_CLOSED)) ==
		                         VCHAN_CLOSED,
		                 "in a qube, %s learns that the other qube is gone", what[which]);
	}
	/* It holds the dead one's pages until it closes the channel, as it does before it makes another. */
	(void)limits_ask(&two->to_left, TALK_MEET, talk_meeting(0, false, 0));
	(void)tap_result(qube_destroy(&two->right), "its pages go when all have let go of them");
	(void)tap_result(refused(two->right.domid), "case 36: a client of a dead domain ends");
}

void limits_channels(void)
{
	struct two two = {0};

	stock = xs_open(0);
	if (tap_result(stock && start_two(&two), "channels: two qubes run, PV and PVH")) {
		int left = two.left.domid;
		struct pipe_end end;

		(void)tap_result(published(left, 0, TALK_OURS_LISTENS),
		                 "case 34: a server's nodes, their rights and their text");
		(void)tap_result(pipe_open(&end, PIPE_STOCK, PIPE_CONNECT, 0, left,
		                           TALK_OURS_LISTENS, 0) == 0 &&
		                         drive_echo(&end, 4) && gone(left, 0, TALK_OURS_LISTENS),
		                 "case 34: gone once the client is there");
		pipe_close(&end);
		(void)tap_result(replaced(left),
		                 "case 35: a server that is closed leaves its successor's nodes");
		(void)tap_result(refused(0) && refused(0x7FF0) && refused(0x7FFF),
		                 "case 36: no channel to oneself or to a number that is no domain");
		(void)tap_result(meet(&two), "two qubes have a channel to each other");
		deaths(&two);
		pipe_close(&two.to_left);
	}
	(void)tap_result(qube_destroy(&two.left), "channels: the other is destroyed");
	if (stock)
		xs_close(stock);
}
