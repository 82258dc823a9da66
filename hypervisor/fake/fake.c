/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-ground-fake - a ground without qubes, for tests of the monitor and of the admin service: every
 * request is answered at once, in the same way each time, and the table of qubes is lost with the
 * process as with no real ground. Nothing runs.
 *
 * A qube's kernel command line says what goes wrong with it, as words with blanks between:
 *   fail=create | unpause | pause | shutdown | destroy | network   that request is refused
 *   mute=…                                                         that request is never answered
 *   crash=unpause | pause | shutdown | network                     the qube ends instead, crashed
 *   exit=…                                                         the toolstack ends instead
 * Without a word a shutdown is followed by the qube's end, a pause by a pause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/hypervisor.h"
#include "lib/base/bytes.h"

struct fake_qube {
	bool runs;
	bool paused;
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	char cmdline[MONITOR_CMDLINE_LEN];
	struct monitor_stat stat;
};

static struct fake_qube *qubes[MONITOR_DOMID_MAX + 1];

static bool has_word(const struct fake_qube *q, const char *fault, const char *request)
{
	char word[64];
	size_t len;
	const char *at = q->cmdline;

	len = (size_t)snprintf(word, sizeof(word), "%s=%s", fault, request);
	while ((at = strstr(at, word))) {
		if ((at == q->cmdline || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

static void end_qube(struct toolstack *t, uint32_t domid, enum monitor_cause cause)
{
	struct fake_qube *q = qubes[domid];

	qubes[domid] = NULL;
	toolstack_tell_stopped(t, domid, q->uuid, cause);
	free(q);
}

/* Whether the request is to be done; else what the qube's words say has happened. */
static bool allowed(struct toolstack *t, struct ask ask, struct fake_qube *q, const char *request)
{
	if (has_word(q, "exit", request))
		exit(1);
	if (has_word(q, "mute", request))
		return false;
	if (has_word(q, "fail", request)) {
		toolstack_failed(t, ask, MONITOR_E_GROUND, "%s fails, as it was told to", request);
		return false;
	}
	if (has_word(q, "crash", request)) {
		toolstack_done(t, ask);
		end_qube(t, ask.domid, MONITOR_CRASH);
		return false;
	}
	return true;
}

static struct fake_qube *find(struct toolstack *t, struct ask ask)
{
	struct fake_qube *q = ask.domid <= MONITOR_DOMID_MAX ? qubes[ask.domid] : NULL;

	if (!q)
		toolstack_failed(t, ask, MONITOR_E_STATE, "no qube %u runs", ask.domid);
	return q;
}

static void create_qube(struct toolstack *t, struct ask ask, const struct monitor_create *create)
{
	struct fake_qube *q =
	        ask.domid <= MONITOR_DOMID_MAX && !qubes[ask.domid] ? calloc(1, sizeof(*q)) : NULL;

	if (!q) {
		toolstack_failed(t, ask, MONITOR_E_EXISTS, "the number %u is taken", ask.domid);
		return;
	}
	memcpy(q->uuid, create->uuid, sizeof(q->uuid));
	memcpy(q->name, create->name, sizeof(q->name));
	memcpy(q->cmdline, create->cmdline, sizeof(q->cmdline));
	q->paused = true;
	q->stat = (struct monitor_stat){.memory = create->memory, .vcpus = create->vcpus};
	qubes[ask.domid] = q;
	if (!allowed(t, ask, q, "create")) {
		qubes[ask.domid] = NULL;
		free(q);
		return;
	}
	toolstack_created(t, ask);
}

static void unpause_qube(struct toolstack *t, struct ask ask)
{
	struct fake_qube *q = find(t, ask);

	if (!q || !allowed(t, ask, q, "unpause"))
		return;
	q->paused = false;
	q->runs = true;
	q->stat.cpu_ns += 1000000;
	toolstack_done(t, ask);
}

static void pause_qube(struct toolstack *t, struct ask ask)
{
	struct fake_qube *q = find(t, ask);

	if (!q || !allowed(t, ask, q, "pause"))
		return;
	q->paused = true;
	toolstack_done(t, ask);
}

static void shutdown_qube(struct toolstack *t, struct ask ask)
{
	struct fake_qube *q = find(t, ask);

	if (!q || !allowed(t, ask, q, "shutdown"))
		return;
	toolstack_done(t, ask);
	end_qube(t, ask.domid, MONITOR_OFF);
}

static void destroy_qube(struct toolstack *t, struct ask ask)
{
	struct fake_qube *q = find(t, ask);

	if (!q || !allowed(t, ask, q, "destroy"))
		return;
	end_qube(t, ask.domid, MONITOR_DESTROYED);
	toolstack_done(t, ask);
}

static void network_qube(struct toolstack *t, struct ask ask, const struct monitor_network *network)
{
	struct fake_qube *q = find(t, ask);

	if (!q || !allowed(t, ask, q, "network"))
		return;
	if (network->netvm && (network->netvm == ask.domid || !qubes[network->netvm]))
		toolstack_failed(t, ask, MONITOR_E_NETWORK, "%s: its netvm does not run", q->name);
	else
		toolstack_done(t, ask);
}

static void stats_all(struct toolstack *t, struct ask ask)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		if (qubes[domid])
			toolstack_stat(t, ask, domid, &qubes[domid]->stat);
	toolstack_done(t, ask);
}

static int open_ground(struct toolstack *t)
{
	(void)t;
	return 0;
}

static void close_ground(struct toolstack *t)
{
	(void)t;
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		free(qubes[domid]);
}

static const struct ground ground = {
        .name = "fake",
        .open = open_ground,
        .close = close_ground,
        .create = create_qube,
        .unpause = unpause_qube,
        .pause = pause_qube,
        .shutdown = shutdown_qube,
        .destroy = destroy_qube,
        .network = network_qube,
        .stats = stats_all,
};

int main(int argc, char **argv)
{
	return toolstack_run(argc, argv, "skerry-ground-fake", &ground);
}
