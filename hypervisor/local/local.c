/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry-ground-local - the toolstack of the local ground: its table of qubes, and what the monitor may
 * ask of each. What a qube is made of: sandbox.c; why: doc/local-ground.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "hypervisor/local/userns.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

static struct local local = {.records = -1, .cgroups = -1, .filter = -1, .maker = STARTER_EMPTY};

/* Places in a record's data. */
enum {
	DATA_OWNER,
	DATA_IP,
	DATA_NETVM,
	DATA_FLAGS,
	DATA_VCPUS,
	DATA_STATE,
	DATA_PAUSED,
	DATA_MEMORY, /* two words each */
	DATA_MEMORY_MAX = DATA_MEMORY + 2,
	DATA_NET_WANTED = DATA_MEMORY_MAX + 2,
};

int local_save(struct local_qube *q)
{
	struct record r = {.kind = RECORD_QUBE,
	                   .domid = q->domid,
	                   .pid = (uint32_t)q->init.pid,
	                   .start = q->init.start};

	memcpy(r.uuid, q->uuid, sizeof(r.uuid));
	memcpy(r.name, q->name, sizeof(r.name));
	r.data[DATA_OWNER] = q->owner;
	r.data[DATA_IP] = q->ip;
	r.data[DATA_NETVM] = q->net.netvm;
	r.data[DATA_FLAGS] = q->flags;
	r.data[DATA_VCPUS] = q->vcpus;
	r.data[DATA_STATE] = (uint32_t)q->state;
	r.data[DATA_PAUSED] = q->paused;
	r.data[DATA_MEMORY] = (uint32_t)q->memory;
	r.data[DATA_MEMORY + 1] = (uint32_t)(q->memory >> 32);
	r.data[DATA_MEMORY_MAX] = (uint32_t)q->memory_max;
	r.data[DATA_MEMORY_MAX + 1] = (uint32_t)(q->memory_max >> 32);
	r.data[DATA_NET_WANTED] = q->net.wanted;
	return record_write(q->local->records, &r);
}

static void save(struct local_qube *q)
{
	if (local_save(q))
		LOG_ERRNO("the record of %s", q->name);
}

void local_failed(struct local_qube *q, struct ask *ask, enum monitor_error error, const char *text)
{
	if (ask->serial)
		toolstack_failed(q->local->toolstack, *ask, error, "%s", text);
	*ask = (struct ask){0};
}

static enum monitor_cause cause_of(const struct local_qube *q, int wait_status)
{
	if (q->killed)
		return MONITOR_DESTROYED;
	if (wait_status != PROC_STATUS_UNKNOWN)
		return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 ? MONITOR_OFF
		                                                               : MONITOR_CRASH;
	/* Adopted: how it ended only its parent was told. */
	return q->state == LOCAL_HALTING ? MONITOR_OFF : MONITOR_CRASH;
}

static struct local_qube *qube_new(uint32_t domid)
{
	struct local_qube *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->local = &local;
	q->domid = domid;
	q->init = q->wrapper = q->net.pasta = (struct proc)PROC_EMPTY;
	q->start.source = (struct loop_fd)LOOP_FD_EMPTY;
	q->start.sock = q->start.err_fd = q->cgroup = -1;
	local.by_domid[domid] = q;
	local.n_qubes++;
	return q;
}

void local_gone(struct local_qube *q, int wait_status)
{
	struct ask destroy = q->destroy;
	bool was_made = q->state != LOCAL_STARTING;

	local_start_over(q);
	local_net_drop(q);
	local_net_gone(&local, q->domid);
	local_cgroup_remove(q);
	record_remove(local.records, RECORD_QUBE, q->domid);
	proc_forget(&q->init);
	proc_forget(&q->wrapper);
	local.by_domid[q->domid] = NULL;
	local.n_qubes--;
	if (was_made)
		toolstack_tell_stopped(local.toolstack, q->domid, q->uuid,
		                       cause_of(q, wait_status));
	if (destroy.serial)
		toolstack_done(local.toolstack, destroy);
	free(q);
}

/* Requests. */

/* The qube, if it is past its start; else the answer is given here. */
static struct local_qube *find(struct ask ask)
{
	struct local_qube *q = ask.domid <= MONITOR_DOMID_MAX ? local.by_domid[ask.domid] : NULL;

	if (q && q->state != LOCAL_STARTING)
		return q;
	toolstack_failed(local.toolstack, ask, MONITOR_E_STATE, "no qube %u runs", ask.domid);
	return NULL;
}

static void create_qube(struct toolstack *t, struct ask ask, const struct monitor_create *create)
{
	struct local_qube *q;

	if (ask.domid > MONITOR_DOMID_MAX || local.by_domid[ask.domid]) {
		toolstack_failed(t, ask, MONITOR_E_EXISTS, "the number %u is taken", ask.domid);
		return;
	}
	if (local.n_qubes >= LOCAL_QUBES_MAX || !(q = qube_new(ask.domid))) {
		toolstack_failed(t, ask, MONITOR_E_LIMIT, "%u qubes run: stop one first",
		                 local.n_qubes);
		return;
	}
	memcpy(q->uuid, create->uuid, sizeof(q->uuid));
	memcpy(q->name, create->name, sizeof(q->name));
	q->owner = create->owner;
	q->ip = create->ip;
	q->flags = create->flags;
	q->vcpus = create->vcpus;
	q->memory = create->memory;
	q->memory_max = MAX(create->memory, create->memory_max);
	q->net.netvm = create->netvm;
	q->net.wanted = create->netvm || (create->flags & MONITOR_FLAG_PROVIDES_NETWORK);
	local_start(q, ask, create);
}

static void unpause_qube(struct toolstack *t, struct ask ask)
{
	struct local_qube *q = find(ask);

	if (!q)
		return;
	if (q->state != LOCAL_MADE && local_thaw(q)) {
		LOG_ERRNO("%s", q->name);
		toolstack_failed(t, ask, MONITOR_E_GROUND, "not every process goes on");
		return;
	}
	if (q->state == LOCAL_MADE) {
		/* A second one does nothing: should this toolstack die now, the next may say it again. */
		proc_signal(&q->init, SIGUSR1);
		q->state = LOCAL_RUNNING;
	}
	q->paused = false;
	save(q);
	toolstack_done(t, ask);
}

static void pause_qube(struct toolstack *t, struct ask ask)
{
	struct local_qube *q = find(ask);

	if (!q)
		return;
	if (q->state != LOCAL_MADE && local_freeze(q)) {
		LOG_ERRNO("%s", q->name);
		if (local_thaw(q))
			LOG_ERRNO("%s: some of its processes stay stopped", q->name);
		toolstack_failed(t, ask, MONITOR_E_GROUND, "not every process stopped");
		return;
	}
	q->paused = true;
	save(q);
	toolstack_done(t, ask);
}

static void shutdown_qube(struct toolstack *t, struct ask ask)
{
	struct local_qube *q = find(ask);

	if (!q)
		return;
	if (q->paused && q->state != LOCAL_MADE) {
		toolstack_failed(t, ask, MONITOR_E_STATE,
		                 "%s is paused: unpause it first, or kill it", q->name);
		return;
	}
	q->state = LOCAL_HALTING;
	save(q);
	proc_signal(&q->init, SIGTERM);
	toolstack_done(t, ask);
}

static void destroy_qube(struct toolstack *t, struct ask ask)
{
	struct local_qube *q = ask.domid <= MONITOR_DOMID_MAX ? local.by_domid[ask.domid] : NULL;

	if (!q || q->destroy.serial) {
		toolstack_failed(t, ask, MONITOR_E_STATE, "no qube %u runs", ask.domid);
		return;
	}
	q->killed = true;
	q->destroy = ask;
	/* The kernel ends the whole process namespace before it reports the end of its first process. */
	proc_signal(&q->init, SIGKILL);
	if (!proc_runs(&q->init))
		proc_signal(&q->wrapper, SIGKILL);
}

static void network_qube(struct toolstack *t, struct ask ask, const struct monitor_network *n)
{
	struct local_qube *q = find(ask);

	(void)t;
	if (!q)
		return;
	q->net.netvm = n->netvm;
	q->net.wanted = n->netvm != 0 || (q->flags & MONITOR_FLAG_PROVIDES_NETWORK);
	if (n->ip)
		q->ip = n->ip;
	save(q);
	local_net_connect(q, ask);
}

static void stats_all(struct toolstack *t, struct ask ask)
{
	local_usage(&local);
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct local_qube *q = local.by_domid[domid];

		if (q && q->state != LOCAL_STARTING)
			toolstack_stat(t, ask, domid, &q->usage);
	}
	toolstack_done(t, ask);
}

/* The qubes of a toolstack that ended. */

static enum monitor_state state_of(const struct local_qube *q)
{
	if (q->state == LOCAL_HALTING)
		return MONITOR_HALTING;
	return q->paused ? MONITOR_PAUSED : MONITOR_RUNNING;
}

static void on_adopted_end(void *arg, int wait_status)
{
	local_gone(arg, wait_status);
}

static void adopt(void *arg, const struct record *r)
{
	struct local_qube *q;

	(void)arg;
	if (r->domid == 0 || r->data[DATA_STATE] > LOCAL_HALTING || local.by_domid[r->domid] ||
	    !(q = qube_new(r->domid))) {
		LOG("the record of qube %u is of no use", r->domid);
		return;
	}
	memcpy(q->uuid, r->uuid, sizeof(q->uuid));
	memcpy(q->name, r->name, sizeof(q->name));
	q->owner = r->data[DATA_OWNER];
	q->ip = r->data[DATA_IP];
	q->net.netvm = r->data[DATA_NETVM];
	q->net.wanted = r->data[DATA_NET_WANTED] != 0;
	q->flags = r->data[DATA_FLAGS];
	q->vcpus = r->data[DATA_VCPUS];
	q->state = (enum local_state)MAX(r->data[DATA_STATE], (uint32_t)LOCAL_MADE);
	q->paused = r->data[DATA_PAUSED] != 0;
	q->memory = r->data[DATA_MEMORY] | (uint64_t)r->data[DATA_MEMORY + 1] << 32;
	q->memory_max = r->data[DATA_MEMORY_MAX] | (uint64_t)r->data[DATA_MEMORY_MAX + 1] << 32;
	if (proc_adopt(local.loop, &q->init, (pid_t)r->pid, r->start, on_adopted_end, q)) {
		LOG("%s ended while nobody watched it", q->name);
		local_cgroup_adopt(q);
		local_cgroup_remove(q);
		record_remove(local.records, RECORD_QUBE, q->domid);
		local.by_domid[q->domid] = NULL;
		local.n_qubes--;
		free(q);
		return;
	}
	q->pid_space = local_pid_space(q->init.pid);
	local_cgroup_adopt(q);
}

static int find_tool(const char *name, char path[PATH_MAX])
{
	static const char *const folders[] = {"/usr/bin", "/bin", "/usr/local/bin"};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(path, PATH_MAX, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	path[0] = '\0';
	return -1;
}

static int make_places(void)
{
	if (path_make(local.stage, sizeof(local.stage), "/run/skerry/stage", NULL) ||
	    (mkdir(local.stage, 0755) && errno != EEXIST)) {
		LOG_ERRNO("%s", local.stage);
		return -1;
	}
	return 0;
}

/* The next toolstack has one again; the qubes run on. */
static void on_maker_end(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	LOG("the maker of qubes has ended: leaving, for a new toolstack to go on");
	loop_stop(local.loop, 1);
}

static int open_ground(struct toolstack *t)
{
	local.toolstack = t;
	local.loop = toolstack_loop(t);
	local.root = geteuid() == 0;
	local.records = record_open();
	if (local.records < 0 || make_places())
		return -1;
	if (find_tool("bwrap", local.bwrap)) {
		LOG("bubblewrap is not installed: apt-get install bubblewrap");
		return -1;
	}
	(void)find_tool("pasta", local.pasta);
	local_cgroups_open(&local);
	if (record_each(local.records, RECORD_QUBE, adopt, NULL) < 0) {
		LOG_ERRNO("records");
		return -1;
	}
	if (local_guest_make(&local) || local_userns_enter(&local) || local_maker_open(&local) ||
	    starter_watch(&local.maker, local.loop, on_maker_end, NULL) || local_confine(&local))
		return -1;
	local_net_adopt(&local);
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++) {
		struct local_qube *q = local.by_domid[domid];

		if (q)
			toolstack_tell_qube(t, domid, q->uuid, q->name, state_of(q));
	}
	return 0;
}

static void close_ground(struct toolstack *t)
{
	(void)t;
	local.cgroups = fd_close(local.cgroups);
	if (local.n_qubes == 0 && local.groups[0])
		local_maker_end(&local);
	starter_close(&local.maker, local.loop);
}

static const struct ground ground = {
        .name = "local",
        .open = open_ground,
        .create = create_qube,
        .unpause = unpause_qube,
        .pause = pause_qube,
        .shutdown = shutdown_qube,
        .destroy = destroy_qube,
        .network = network_qube,
        .stats = stats_all,
        .close = close_ground,
};

int main(int argc, char **argv)
{
	return toolstack_run(argc, argv, "skerry-ground-local", &ground);
}
