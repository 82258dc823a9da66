/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures of running qubes: asked of the ground in rounds, told to subscribers. Contract: stats.h. */
#include "services/admin/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "services/admin/conn.h"
#include "services/admin/filter.h"
#include "services/admin/ground.h"
#include "services/admin/job.h"
#include "services/admin/property.h"

#define STUBDOM_KIB 1024U /* counted for what the ground keeps beside the qube; as the original */

struct subscriber {
	struct subscriber *next, **prev;
	struct conn *conn;
	char uuid[UUID_LEN];
};

static struct subscriber *subscribers;
static struct loop_timer timer;

static void on_closed(void *arg)
{
	struct subscriber *s = arg;

	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}

static void put_number(struct text *t, const char *key, uint64_t n)
{
	text_add(t, key, strlen(key) + 1);
	text_printf(t, "%" PRIu64, n);
	text_char(t, 0);
}

static uint64_t cpu_of(const struct qube *q)
{
	struct timespec t;

	if (q->klass != CLASS_ADMIN)
		return q->run.cpu_ns;
	/* The ground has no figure for dom0: this process's own stands for "some". */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void make_frame(struct text *t, struct qube *q)
{
	bool dom0 = q->klass == CLASS_ADMIN;
	uint64_t kib = dom0 ? world.host.dom0_memory_kib : q->run.memory_kib;
	uint64_t cpu = cpu_of(q), usage = 0;
	uint32_t vcpus = dom0 ? world.host.cpus : MAX(q->run.vcpus, 1U);
	uint64_t now = loop_now_ns();

	if (q->run.seen_ns && now > q->run.seen_ns && cpu >= q->run.seen_cpu_ns)
		usage = (cpu - q->run.seen_cpu_ns) * 100 / (now - q->run.seen_ns) / vcpus;
	text_add(t, "1\0", 2);
	text_add(t, q->name, strlen(q->name) + 1);
	text_add(t, "vm-stats", sizeof("vm-stats"));
	put_number(t, "memory_kb", kib);
	put_number(t, "memory_assigned_total", kib + STUBDOM_KIB);
	put_number(t, "memory_assigned_usable", kib);
	put_number(t, "memory_with_swap_used", kib);
	put_number(t, "cpu_time", cpu / 1000000);
	put_number(t, "cpu_usage", MIN(usage, (uint64_t)100));
	put_number(t, "online_vcpus", vcpus);
	text_char(t, 0);
	q->run.seen_ns = now;
	q->run.seen_cpu_ns = cpu;
}

static void send_round(void)
{
	struct subscriber *s, *next;
	size_t i;

	for (i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];
		AUTO_TEXT frame = {0};

		if (!q->run.domid && q->klass != CLASS_ADMIN)
			continue;
		make_frame(&frame, q);
		for (s = subscribers; s; s = next) {
			next = s->next;
			if (!s->uuid[0] || strcmp(s->uuid, q->uuid) == 0)
				conn_push(s->conn, frame.data, frame.len);
		}
	}
}

static void arm(void);

static void on_figures(void *arg)
{
	send_round();
	arm();
}

static void on_round(void *arg)
{
	size_t i;

	for (i = 0; i < world.n_qubes; i++)
		if (world.qubes[i]->run.domid)
			break;
	if (i < world.n_qubes)
		ground_stats(on_figures, NULL);
	else
		on_figures(NULL);
}

static void arm(void)
{
	long long seconds = property_int(world.system, SYS_STATS_INTERVAL);

	if (loop_timer_set(job_loop(), &timer, (uint64_t)MIN(MAX(seconds, 1LL), 86400LL) * 1000,
	                   on_round, NULL))
		LOG("no memory for the next round of figures");
}

void stats_start(void)
{
	on_round(NULL);
}

void method_stats(struct call *c)
{
	static const char hello[] = "1\0\0connection-established\0";
	struct subscriber *s;
	bool one = c->dest->klass != CLASS_ADMIN;
	struct conn *conn = c->conn;
	AUTO_TEXT frame = {0};

	if (one && !c->dest->run.domid) {
		struct fault f;

		fault_set(&f, E_NOT_RUNNING,
		          "Domain not running (either powered off or paused): '%s'", c->dest->name);
		text_add(&frame, hello, sizeof(hello));
		reply_exception(&frame, &f);
		call_stream(c);
		conn_reply(conn, &frame);
		return;
	}
	s = memory_get(sizeof(*s));
	s->conn = conn;
	if (one)
		memcpy(s->uuid, c->dest->uuid, sizeof(s->uuid));
	s->next = subscribers;
	s->prev = &subscribers;
	if (subscribers)
		subscribers->prev = &s->next;
	subscribers = s;
	call_stream(c);
	conn_stream(conn, on_closed, s);
	conn_push(conn, hello, sizeof(hello));
	/* The first round at once. */
	if (loop_timer_set(job_loop(), &timer, 0, on_round, NULL))
		LOG("no memory for the next round of figures");
}
