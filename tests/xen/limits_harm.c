/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two hostile qubes, PV and PVH, beside one that goes on working: hostile_node.c attacks from the inside, and what
 * only a kernel of a qube could do is done here to its pages, at random moments. Whoever stands at the other end
 * is a process that may only lose its own channel.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/vchan/grant.h"
#include "lib/vchan/vchan.h"
#include "lib/xen/store.h"
#include "tests/xen/drive.h"
#include "tests/xen/hostile.h"
#include "tests/xen/limits.h"
#include "tests/xen/talk.h"
#include "tests/xen/tap.h"

#define ATTACK_CMDLINE  "quiet attack end=panic"
#define FOREVER_CMDLINE "quiet attack"
#define WAIT_SECONDS    30 /* for a server that was announced; chosen */
#define OPEN_SECONDS    1
#define CRASH_SECONDS   1200
#define UP_SECONDS      600
#define ENOUGH_SECONDS  1200 /* it is over as soon as each attack came through often enough */
#define CALLS_MIN       5U
#define ROUNDS_MIN      16U
#define LIARS_MIN       2U
#define REASONS_MAX     12U
#define STORE_PEAK_KIB  (48U << 10)
#define OTHERS_PEAK_KIB (24U << 10)
#define LOG_MAX         (5U << 20)
#define CONSOLE_GRANT   0U /* reserved by Xen, as the next */
#define STORE_GRANT     1U
#define CONSOLE_PROD    3084U /* in its page: out_prod */
#define LIE_SECONDS     60

/* What a worker saw: it alone writes it, and it can be looked at meanwhile. */
struct outcome {
	volatile uint32_t rounds, bad;
	volatile uint32_t
	        damaged; /* channels that were open, and ended because of what was in the rings */
	volatile uint32_t n_reasons;
	char reasons[REASONS_MAX][48];
};

struct worker {
	pid_t pid;
	struct outcome *saw;
};

struct bad {
	struct qube qube;
	struct worker victim, rung, daemon;
	char console_log[48], log[64];
};

static volatile sig_atomic_t stopping;

static void on_stop(int signo)
{
	(void)signo;
	stopping = 1;
}

/* A process that works until it is told to end. */
static struct worker work(void (*fn)(int domid, const char *name, struct outcome *o), int domid,
                          const char *name)
{
	static struct outcome nothing;
	struct worker w = {.pid = -1, .saw = &nothing};
	struct outcome *saw =
	        mmap(NULL, sizeof(*saw), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (saw == MAP_FAILED)
		return w;
	w.saw = saw;
	w.pid = fork();
	if (w.pid == 0) {
		(void)signal(SIGTERM, on_stop);
		while (!stopping)
			fn(domid, name, saw);
		_exit(0);
	}
	return w;
}

/* Whether it ended as it should. */
static bool finish(struct worker *w)
{
	int status = -1;

	return w->pid > 0 && kill(w->pid, SIGTERM) == 0 && waitpid(w->pid, &status, 0) == w->pid &&
	       status == 0;
}

static void note_reason(struct outcome *o, const char *why)
{
	for (uint32_t i = 0; i < o->n_reasons; i++)
		if (strcmp(o->reasons[i], why) == 0)
			return;
	if (o->n_reasons < REASONS_MAX)
		(void)snprintf(o->reasons[o->n_reasons++], sizeof(o->reasons[0]), "%s", why);
}

/* Waits for a change, not longer than until; whether there was one. */
static bool change(struct vchan *vchan, double until)
{
	struct pollfd look = {.fd = vchan_fd(vchan), .events = POLLIN};
	double left = until - qube_now();

	if (left <= 0 || poll(&look, 1, (int)(left * 1000) + 1) <= 0)
		return false;
	(void)vchan_step(vchan);
	return true;
}

static struct vchan *connect_to(int domid, int port)
{
	const struct vchan_config config = {.transport = VCHAN_GRANT, .peer = domid, .port = port};
	struct vchan *vchan = NULL;

	return vchan_connect(&config, &vchan) ? NULL : vchan;
}

/* One channel to a server that lies: used as any program uses one, until it ends or a second is over. */
static void victim(int domid, const char *name, struct outcome *o)
{
	static uint8_t bytes[8192];
	struct vchan *vchan = connect_to(domid, HOSTILE_RINGS);
	double until = qube_now() + WAIT_SECONDS;
	bool opened;
	ssize_t r = 0;

	(void)name;
	if (!vchan) {
		(void)poll(NULL, 0, 100);
		return;
	}
	while (!stopping && vchan_state(vchan) == VCHAN_WAITING && qube_now() < until)
		(void)change(vchan, until);
	opened = vchan_state(vchan) == VCHAN_OPEN;
	if (opened)
		note_reason(o, "it opened");
	until = qube_now() + OPEN_SECONDS;
	while (r >= 0 && vchan_state(vchan) == VCHAN_OPEN && qube_now() < until) {
		r = vchan_read(vchan, bytes, sizeof(bytes));
		if (r >= 0)
			r = vchan_write(vchan, bytes, 100);
		(void)vchan_readable(vchan, 1);
		(void)change(vchan, until);
	}
	if (vchan_state(vchan) == VCHAN_CLOSED) {
		note_reason(o, vchan_why(vchan));
		o->damaged += opened && strcmp(vchan_why(vchan), "peer closed") != 0;
	}
	o->rounds++;
	(void)vchan_close(vchan);
}

/* Somebody on each port that is only rung at, and one who watches nodes that never rest. */
static void rung_at(int domid, const char *name, struct outcome *o)
{
	struct vchan *channels[5];
	double until = qube_now() + WAIT_SECONDS;

	(void)name;
	for (int i = 0; i < 5; i++)
		channels[i] = connect_to(domid, i < 4 ? HOSTILE_STORM + i : HOSTILE_WATCHED);
	while (!stopping && qube_now() < until) {
		struct pollfd look[5];

		for (int i = 0; i < 5; i++)
			look[i] = (struct pollfd){.fd = channels[i] ? vchan_fd(channels[i]) : -1,
			                          .events = POLLIN};
		if (poll(look, 5, 500) <= 0)
			continue;
		for (int i = 0; i < 5; i++)
			if (look[i].revents)
				(void)vchan_step(channels[i]);
		o->rounds++;
	}
	for (int i = 0; i < 5; i++)
		(void)vchan_close(channels[i]);
}

/* The real daemon, again and again: its agent is the hostile one. */
static void daemon_of(int domid, const char *name, struct outcome *o)
{
	if (call_start_daemon(domid, name, "60"))
		(void)poll(NULL, 0, 3000);
	(void)qube_end_programs("skerry-qrexec", name);
	o->rounds++;
}

/* The qube that is to notice nothing. */
static void good_calls(int domid, const char *name, struct outcome *o)
{
	double from = qube_now();

	(void)domid;
	if (!call_once(name, "not a byte of this is lost")) {
		o->bad++;
		tap_note("%s: call %u failed after %.1f s", name, o->rounds, qube_now() - from);
	}
	o->rounds++;
}

/* Pages of Xen's own rings, with the rights that their qube has to them. */
static bool scribble_page(int domid, uint32_t reference, size_t from, size_t len)
{
	OWNED_FD int fd = grant_open();
	uint8_t *page;

	if (fd < 0 || grant_add(fd, domid, &reference, 1, 0))
		return false;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return false;
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < len; i++)
			page[from + i] = (uint8_t)rand();
		(void)poll(NULL, 0, 1);
	}
	(void)munmap(page, 4096);
	return true;
}

/* The index of what the qube has said lies now and then, as a qube's kernel could let it; whether the reader ended. */
static bool lie_to_reader(struct bad *b, int *ret_status)
{
	const uint32_t reference = CONSOLE_GRANT;
	double until = qube_now() + LIE_SECONDS;
	OWNED_FD int fd = grant_open();
	bool ended = false;
	uint8_t *page;

	if (fd < 0 || grant_add(fd, b->qube.domid, &reference, 1, 0))
		return false;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return false;
	while (!ended && qube_now() < until) {
		/* The qube's own kernel stops at it, so it is right again in between. */
		page[CONSOLE_PROD + 2] ^= 0x40;
		(void)poll(NULL, 0, 3);
		page[CONSOLE_PROD + 2] ^= 0x40;
		(void)poll(NULL, 0, 3);
		ended = waitpid(b->qube.console, ret_status, WNOHANG) == b->qube.console;
	}
	(void)munmap(page, 4096);
	return ended;
}

/* A log: not long, nothing but text, and one line at least with both words. */
static bool log_good(const char *path, const char *name, const char *cause)
{
	static char text[LOG_MAX];
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *line, *next;

	if (n < 0 || n == (ssize_t)sizeof(text) - 1) {
		tap_note("%s: %s", path, n < 0 ? "cannot be read" : "too long");
		return false;
	}
	for (ssize_t i = 0; i < n; i++)
		if (text[i] != '\n' && (text[i] < 0x20 || text[i] > 0x7e))
			return false;
	text[n] = '\0';
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		if (strstr(line, name) && strstr(line, cause))
			return true;
	}
	tap_note("%s: no line with %s and %s in %zd bytes", path, name, cause, n);
	return false;
}

static bool start_bad(struct bad *b, const char *name, enum xen_domain_kind kind,
                      const char *cmdline)
{
	(void)snprintf(b->console_log, sizeof(b->console_log), "/tmp/console.%s", name);
	(void)snprintf(b->log, sizeof(b->log), "/var/log/qubes/qrexec.%s.log", name);
	if (!qube_start(&b->qube, &(struct qube_want){.name = name,
	                                              .kind = kind,
	                                              .initrd = INITRD_HOSTILE,
	                                              .cmdline = cmdline,
	                                              .kib = QUBE_KIB,
	                                              .log = b->console_log}))
		return false;
	return true;
}

/* A qube waits for such a node: "attack", then "end". */
static bool tell(const struct bad *b, const char *what)
{
	struct store *store;
	char path[64];
	bool good;

	(void)snprintf(path, sizeof(path), "/local/domain/%d/%s", b->qube.domid, what);
	if (store_open(&store))
		return false;
	good = store_write(store, path, "1") == 0;
	(void)store_free(store);
	return good;
}

/* It says that it is up in a node of its own. */
static bool wait_up(const struct bad *b)
{
	double end = qube_now() + UP_SECONDS;
	struct store *store;
	char path[64];
	uint32_t up;
	bool good;

	(void)snprintf(path, sizeof(path), "/local/domain/%d/data/up", b->qube.domid);
	if (store_open(&store))
		return false;
	while (!(good = store_read_number(store, path, 1, 1, &up) == 0) && qube_now() < end)
		(void)poll(NULL, 0, 200);
	(void)store_free(store);
	return good;
}

/* All at once; before that, the kernels of both have the machine to themselves. */
static bool begin(struct bad *b)
{
	b->victim = work(victim, b->qube.domid, b->qube.name);
	b->rung = work(rung_at, b->qube.domid, b->qube.name);
	b->daemon = work(daemon_of, b->qube.domid, b->qube.name);
	return tell(b, "attack");
}

static bool enough(const struct bad *b)
{
	return b->victim.saw->rounds >= ROUNDS_MIN && b->victim.saw->damaged > 0 &&
	       b->victim.saw->n_reasons >= 4 && b->rung.saw->rounds >= ROUNDS_MIN &&
	       b->daemon.saw->rounds >= LIARS_MIN;
}

static void note_seen(const struct bad *b)
{
	tap_note("%s: %u channels, %u of them damaged when open, %u ends; %u rings, %u daemons",
	         b->qube.name, b->victim.saw->rounds, b->victim.saw->damaged,
	         b->victim.saw->n_reasons, b->rung.saw->rounds, b->daemon.saw->rounds);
	for (uint32_t i = 0; i < b->victim.saw->n_reasons; i++)
		tap_note("%s: %s", b->qube.name, b->victim.saw->reasons[i]);
}

static bool wait_enough(const struct bad *one, const struct bad *two)
{
	double end = qube_now() + ENOUGH_SECONDS;

	for (int looks = 1; !enough(one) || !enough(two); looks++) {
		if (qube_now() > end)
			return false;
		(void)poll(NULL, 0, 200);
		if (looks % 100 == 0) {
			note_seen(one);
			note_seen(two);
		}
	}
	return true;
}

static void end_bad(struct bad *b)
{
	const struct outcome *v = b->victim.saw;
	const char *name = b->qube.name;
	bool good = finish(&b->victim) && v->rounds >= ROUNDS_MIN;

	(void)tap_result(good,
	                 "%s: its rings, grants and nodes only ended channels of its own (%u)",
	                 name, v->rounds);
	for (uint32_t i = 0; i < v->n_reasons; i++)
		tap_note("%s: in %u channels: %s", name, v->rounds, v->reasons[i]);
	(void)tap_result(v->damaged > 0, "%s: and its damage to open rings was noticed (%u)", name,
	                 v->damaged);
	good = finish(&b->rung) && b->rung.saw->rounds >= ROUNDS_MIN;
	(void)tap_result(good, "%s: a storm of events and of watches (%u) hurt nobody", name,
	                 b->rung.saw->rounds);
	/* The one that is there may be waiting for an agent that is no more. */
	(void)kill(b->daemon.pid, SIGTERM);
	(void)qube_end_programs("skerry-qrexec", name);
	good = finish(&b->daemon) && b->daemon.saw->rounds >= LIARS_MIN;
	(void)tap_result(good, "%s: skerry-qrexec lives through an agent that lies (%u times)",
	                 name, b->daemon.saw->rounds);
	(void)tap_result(log_good(b->log, name, ""),
	                 "%s: its daemon's log names it and is text, and short", name);
	(void)tap_result(log_good(b->console_log, "", ""),
	                 "%s: a flood on its console is cut, and the log is text", name);
}

/* What a kernel can do to the pages that it shares with dom0 from the start. */
static void end_by_pages(struct bad *b)
{
	int status = -1;

	(void)tap_result(lie_to_reader(b, &status) && WIFEXITED(status) &&
	                         WEXITSTATUS(status) == 100 &&
	                         log_good(b->console_log, b->qube.name, "make no sense"),
	                 "%s: a console's ring that lies ends its reader, which says so (%d)",
	                 b->qube.name, status);
	b->qube.console = 0;
	(void)tap_result(scribble_page(b->qube.domid, STORE_GRANT, 0, 4096),
	                 "%s: its ring to xenstore is overwritten, again and again", b->qube.name);
}

static void drop_bad(struct bad *b)
{
	(void)qube_end_programs("skerry-qrexec", b->qube.name);
	(void)tap_result(qube_destroy(&b->qube), "%s: nothing of it is left", b->qube.name);
}

static void at_once(void)
{
	static const struct qube_want want = {.name = "at-once",
	                                      .kind = XEN_DOMAIN_PVH,
	                                      .initrd = INITRD_HOSTILE,
	                                      .cmdline = "quiet end=reboot",
	                                      .kib = QUBE_KIB};
	struct qube q;

	(void)tap_result(qube_start(&q, &want) &&
	                         qube_wait_stopped(q.domid, CRASH_SECONDS) == XEN_CAUSE_REBOOT &&
	                         qube_destroy(&q),
	                 "a qube that starts anew at once is ended, and nothing of it is left");
}

static void attack(const struct qube *good)
{
	static struct bad pv, pvh;
	struct worker calls = work(good_calls, good->domid, good->name);
	bool right;

	/* The one whose kernel takes longer first. */
	if (!tap_result(start_bad(&pvh, "bad-pvh", XEN_DOMAIN_PVH, FOREVER_CMDLINE) &&
	                        start_bad(&pv, "bad-pv", XEN_DOMAIN_PV, ATTACK_CMDLINE) &&
	                        wait_up(&pv) && wait_up(&pvh),
	                "harm: two hostile qubes run, PV and PVH"))
		return;
	(void)tap_result(begin(&pv) && begin(&pvh) && wait_enough(&pv, &pvh),
	                 "harm: all their attacks come through");
	end_bad(&pv);
	end_bad(&pvh);
	(void)tap_result(tell(&pv, "end") &&
	                         qube_wait_stopped(pv.qube.domid, CRASH_SECONDS) == XEN_CAUSE_CRASH,
	                 "bad-pv: filled its part of xenstore, then crashed, which is told apart");
	drop_bad(&pv);
	end_by_pages(&pvh);
	at_once();
	right = finish(&calls) && calls.saw->bad == 0 && calls.saw->rounds >= CALLS_MIN;
	(void)tap_result(right, "all %u calls of the other qube were right meanwhile (%u were not)",
	                 calls.saw->rounds, calls.saw->bad);
	/* In the middle of what it does. */
	drop_bad(&pvh);
}

static void peaks(void)
{
	static const char *const programs[] = {"skerry-qrexec", "skerry-qrexec-s",
	                                       "skerry-console"};
	uint64_t store = qube_peak_kib("xenstored");

	(void)tap_result(store > 0 && store < STORE_PEAK_KIB,
	                 "xenstored stayed below %u KiB (%llu)", STORE_PEAK_KIB,
	                 (unsigned long long)store);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		uint64_t peak = qube_peak_kib(programs[i]);

		(void)tap_result(peak < OTHERS_PEAK_KIB, "%s stayed below %u KiB (%llu)",
		                 programs[i], OTHERS_PEAK_KIB, (unsigned long long)peak);
	}
}

void limits_harm(void)
{
	static const struct qube_want want = {.name = "good",
	                                      .kind = XEN_DOMAIN_PV,
	                                      .initrd = INITRD_NODE,
	                                      .cmdline = "quiet",
	                                      .kib = QUBE_KIB};
	struct qube good;

	if (tap_result(qube_start(&good, &want) &&
	                       call_start_daemon(good.domid, good.name, "300") &&
	                       call_once(good.name, "before"),
	               "harm: a good qube runs and answers calls")) {
		attack(&good);
		peaks();
		(void)tap_result(call_once(good.name, "after"), "harm: and it still does");
	}
	(void)qube_end_programs("skerry-qrexec", good.name);
	(void)tap_result(qube_destroy(&good), "good: nothing of it is left");
}
