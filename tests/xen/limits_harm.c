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
#include "tests/xen/drive.h"
#include "tests/xen/hostile.h"
#include "tests/xen/limits.h"
#include "tests/xen/talk.h"
#include "tests/xen/tap.h"

#define ATTACK_CMDLINE  "quiet seconds=60 end=panic"
#define FOREVER_CMDLINE "quiet seconds=1000000"
#define WAIT_SECONDS    30 /* for a server that was announced; chosen */
#define OPEN_SECONDS    1
#define CRASH_SECONDS   1200
#define CALLS_MIN       5U
#define ROUNDS_MIN      5U
#define REASONS_MAX     12U
#define STORE_PEAK_KIB  (48U << 10)
#define OTHERS_PEAK_KIB (24U << 10)
#define LOG_MAX         (5U << 20)
#define CONSOLE_GRANT   0U /* reserved by Xen, as the next */
#define STORE_GRANT     1U
#define CONSOLE_PROD    3084U /* in its page: out_prod */
#define LIE_SECONDS     60

struct outcome {
	uint32_t rounds, bad;
	uint32_t n_reasons;
	char reasons[REASONS_MAX][48];
};

struct worker {
	pid_t pid;
	int out;
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

/* A process that works until it is told to end, and then says what it saw. */
static struct worker work(void (*fn)(int domid, const char *name, struct outcome *o), int domid,
                          const char *name)
{
	struct worker w = {.pid = -1, .out = -1};
	int pair[2];

	if (pipe2(pair, O_CLOEXEC))
		return w;
	w.pid = fork();
	if (w.pid == 0) {
		static struct outcome o;

		(void)signal(SIGTERM, on_stop);
		while (!stopping)
			fn(domid, name, &o);
		_exit(write(pair[1], &o, sizeof(o)) == sizeof(o) ? 0 : 1);
	}
	(void)fd_close(pair[1]);
	w.out = pair[0];
	return w;
}

/* What it saw; false: it did not end as it should. */
static bool finish(struct worker *w, struct outcome *o)
{
	int status = -1;

	*o = (struct outcome){0};
	(void)kill(w->pid, SIGTERM);
	if (w->pid < 0 || read(w->out, o, sizeof(*o)) != sizeof(*o) ||
	    waitpid(w->pid, &status, 0) != w->pid)
		return false;
	w->out = fd_close(w->out);
	return status == 0;
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
	ssize_t r = 0;

	(void)name;
	if (!vchan) {
		(void)poll(NULL, 0, 100);
		return;
	}
	while (!stopping && vchan_state(vchan) == VCHAN_WAITING && qube_now() < until)
		(void)change(vchan, until);
	if (vchan_state(vchan) == VCHAN_OPEN)
		note_reason(o, "it opened");
	until = qube_now() + OPEN_SECONDS;
	while (r >= 0 && vchan_state(vchan) == VCHAN_OPEN && qube_now() < until) {
		r = vchan_read(vchan, bytes, sizeof(bytes));
		if (r >= 0)
			r = vchan_write(vchan, bytes, 100);
		(void)vchan_readable(vchan, 1);
		(void)change(vchan, until);
	}
	if (vchan_state(vchan) == VCHAN_CLOSED)
		note_reason(o, vchan_why(vchan));
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
	(void)domid;
	o->bad += !call_once(name, "not a byte of this is lost");
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
	b->victim = work(victim, b->qube.domid, name);
	b->rung = work(rung_at, b->qube.domid, name);
	b->daemon = work(daemon_of, b->qube.domid, name);
	return true;
}

static void end_bad(struct bad *b)
{
	const char *name = b->qube.name;
	struct outcome o;
	bool good = finish(&b->victim, &o) && o.rounds >= ROUNDS_MIN && o.n_reasons >= 3;

	(void)tap_result(good, "%s: its rings, grants and nodes only ended channels of its own",
	                 name);
	for (uint32_t i = 0; i < o.n_reasons; i++)
		tap_note("%s: in %u channels: %s", name, o.rounds, o.reasons[i]);
	good = finish(&b->rung, &o) && o.rounds >= ROUNDS_MIN;
	(void)tap_result(good, "%s: a storm of events and of watches (%u) hurt nobody", name,
	                 o.rounds);
	good = finish(&b->daemon, &o) && o.rounds > 0;
	(void)tap_result(good, "%s: skerry-qrexec lives through an agent that lies (%u times)",
	                 name, o.rounds);
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
	struct outcome o;
	bool right;

	if (!tap_result(start_bad(&pv, "bad-pv", XEN_DOMAIN_PV, ATTACK_CMDLINE) &&
	                        start_bad(&pvh, "bad-pvh", XEN_DOMAIN_PVH, FOREVER_CMDLINE),
	                "harm: two hostile qubes run, PV and PVH"))
		return;
	(void)tap_result(qube_wait_stopped(pv.qube.domid, CRASH_SECONDS) == XEN_CAUSE_CRASH,
	                 "bad-pv: filled its part of xenstore, then crashed, which is told apart");
	end_bad(&pv);
	drop_bad(&pv);
	end_bad(&pvh);
	end_by_pages(&pvh);
	at_once();
	right = finish(&calls, &o) && o.bad == 0 && o.rounds >= CALLS_MIN;
	(void)tap_result(right, "all %u calls of the other qube were right meanwhile (%u were not)",
	                 o.rounds, o.bad);
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
