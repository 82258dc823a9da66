/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of one qube's control connection: channel, slice, HELLO, local sockets; its end, and the
 * next one. doc/protocol/qrexec.md, 6.2 and 6.10.
 *
 *   CONNECTING --channel open--> GREETING --KEEPER_OPEN--> RUNNING --agent gone--> CONNECTING
 *
 * The first connection that fails ends the keeper. Later ones: a domain that is dead or a HELLO that
 * is none end it; an agent that restarts is waited for without limit. After an agent broke the
 * protocol it is the same, but with --direct a new agent must greet within LIMIT_BREAK_GRACE_MS:
 * who runs the keeper in the foreground learns of it by its end, as with the original.
 */
#include "slices/qrexec/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "lib/trace/trace.h"
#include "slices/qrexec/disposable.h"
#include "slices/qrexec/local.h"
#include "slices/qrexec/policy_link.h"
#include "slices/qrexec/request.h"
#include "slices/qrexec/route.h"
#include "slices/qrexec/runner_link.h"
#include "slices/qrexec/slice_link.h"
#include "slices/qrexec/starts.h"

#define EXIT_NO_AGENT    3            /* protocol: qubesd tells it from other failures */
#define RECONNECT_MIN_MS 10           /* chosen */
#define STABLE_NS        10000000000U /* a connection that lasted this long was good; chosen */

static void start_connection(struct keeper *k);

uint64_t keeper_now_ms(void)
{
	return loop_now_ns() / 1000000;
}

uint64_t keeper_port_wait_ms(const struct keeper *k, uint32_t domain, uint64_t since_ms)
{
	uint64_t moved_ms = MAX(since_ms, ports_last_ms(&k->ports, domain));
	uint64_t end_ms = moved_ms + deadline_ms(LIMIT_PORT_WAIT_MS);
	uint64_t held_ms = ports_held_until_ms(&k->ports, domain);
	uint64_t now_ms = keeper_now_ms();

	/* A port is sure to come: holds_expire() serves who waits before the second is over. */
	if (held_ms > 0)
		end_ms = MAX(end_ms, held_ms + 1000);

	return end_ms > now_ms ? end_ms - now_ms : 0;
}

int keeper_socket_path(const struct keeper *k, char *dst, size_t len, const char *name)
{
	int n = snprintf(dst, len, "%s/qrexec.%s", k->options->socket_dir, name);

	if (n < 0 || (size_t)n >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

void keeper_child_reset(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
}

/* The end. */

static void drop_agent(struct keeper *k)
{
	local_close(k);
	requests_drop(k);
	slice_link_stop(k);
	loop_fd_remove(k->loop, &k->vchan_source);
	k->vchan = vchan_close(k->vchan);
}

static void take_down(struct keeper *k)
{
	drop_agent(k);
	loop_timer_clear(k->loop, &k->start_timer);
	loop_timer_clear(k->loop, &k->again_timer);
}

static void on_leave_late(void *arg)
{
	struct keeper *k = arg;

	LOG("qubesd did not take back every disposable in time");
	loop_stop(k->loop, 0);
}

void keeper_leave_check(struct keeper *k)
{
	if (k->state == KEEPER_LEAVING && !k->disposables)
		loop_stop(k->loop, 0);
}

static void leave(struct keeper *k)
{
	k->state = KEEPER_LEAVING;
	disposables_kill_all(k);
	if (k->disposables &&
	    loop_timer_set(k->loop, &k->start_timer, deadline_ms(LIMIT_LEAVE_MS), on_leave_late, k))
		loop_stop(k->loop, 0);
	keeper_leave_check(k);
}

/* Ends with a status; disposables are killed first. */
static void end(struct keeper *k, int status)
{
	if (k->state == KEEPER_LEAVING)
		return;
	take_down(k);
	k->exit_status = status;
	leave(k);
}

static void on_terminate(void *arg, int signo, pid_t sender)
{
	(void)signo;
	(void)sender;
	end(arg, 0);
}

/* Nothing can be started any more: who started the keeper starts it anew, and its ports are remembered. */
static void on_starter_end(void *arg, uint32_t events)
{
	struct keeper *k = arg;

	(void)events;
	LOG("the starter of programs has ended");
	loop_fd_remove(k->loop, &k->starter.source);
	end(k, 1);
}

/* Connecting. */

static void on_start_late(void *arg)
{
	struct keeper *k = arg;

	if (k->was_open) {
		LOG("no new agent greeted in time");
		end(k, 1);
		return;
	}
	LOG("the agent of %s did not answer in time", k->options->name);
	end(k, EXIT_NO_AGENT);
}

static void on_connect_again(void *arg)
{
	start_connection(arg);
}

static void connect_again(struct keeper *k)
{
	uint64_t pause = k->pause_ms;

	k->state = KEEPER_CONNECTING;
	k->pause_ms = MIN(pause * 2, deadline_ms(LIMIT_RECONNECT_MS));
	if (loop_timer_set(k->loop, &k->again_timer, pause, on_connect_again, k))
		end(k, 1);
}

static void channel_open(struct keeper *k)
{
	struct vchan *vchan = k->vchan;

	k->vchan = NULL;
	loop_fd_remove(k->loop, &k->vchan_source);
	k->state = KEEPER_GREETING;
	if (slice_link_start(k, vchan)) {
		if (k->was_open)
			connect_again(k);
		else
			end(k, 1);
		return;
	}
	/* The limit of the whole start, if there is one, includes HELLO. */
	if (k->start_timer.index == 0 &&
	    loop_timer_set(k->loop, &k->start_timer, deadline_ms(LIMIT_AGENT_HELLO_MS),
	                   on_start_late, k))
		end(k, 1);
}

static void on_channel(void *arg, uint32_t events)
{
	struct keeper *k = arg;

	(void)events;
	switch (vchan_step(k->vchan)) {
	case VCHAN_OPEN:
		channel_open(k);
		return;
	case VCHAN_CLOSED:
		LOG("no control channel to %s: %s", k->options->name, vchan_why(k->vchan));
		end(k, 1);
		return;
	case VCHAN_WAITING:
	default:
		return;
	}
}

static void start_connection(struct keeper *k)
{
	struct vchan_config config = {0};

	if (vchan_config_from_env(&config)) {
		LOG_ERRNO("the environment of the channels");
		end(k, 1);
		return;
	}
	config.peer = k->options->xid;
	config.port = QREXEC_PORT_CONTROL;
	config.read_min = config.write_min = 4096;
	if (vchan_connect(&config, &k->vchan)) {
		LOG_ERRNO("control channel to domain %d", k->options->xid);
		end(k, 1);
		return;
	}
	if (loop_fd_add(k->loop, &k->vchan_source, vchan_fd(k->vchan), EPOLLIN, on_channel, k)) {
		end(k, 1);
		return;
	}
	on_channel(k, EPOLLIN);
}

/* Running. */

void keeper_opened(struct keeper *k)
{
	loop_timer_clear(k->loop, &k->start_timer);
	if (local_open(k)) {
		end(k, 1);
		return;
	}
	k->state = KEEPER_RUNNING;
	k->open_ns = loop_now_ns();
	k->after_break = false;
	if (!k->was_open && k->options->ready_fd >= 0) {
		uint8_t ready = 0;

		if (write(k->options->ready_fd, &ready, 1) != 1)
			LOG_ERRNO("the starter could not be told");
		(void)fd_close(k->options->ready_fd);
	}
	k->was_open = true;
}

static void holds_expire(void *arg)
{
	struct keeper *k = arg;
	uint64_t now_ms = keeper_now_ms();
	uint64_t next_ms = ports_expire(&k->ports, now_ms);

	if (next_ms > 0 && loop_timer_set(k->loop, &k->hold_timer,
	                                  next_ms > now_ms ? next_ms - now_ms : 1, holds_expire, k))
		LOG("no memory: held ports stay held until the next call ends");
}

void keeper_terminated(struct keeper *k, const struct keeper_terminated *message)
{
	void *owner = NULL;

	if (ports_release(&k->ports, message->domain, message->port, keeper_now_ms(), &owner) &&
	    owner)
		local_terminated(k, owner);
	if (k->ports.n_held > 0 && k->hold_timer.index == 0)
		holds_expire(k);
}

/*
 * The first agent must greet. One that only closes the channel may have been a listener that was
 * going away, or be started again: the limit of the start says how long another is waited for.
 */
static bool must_end(const struct keeper *k)
{
	if (!k->slice.ended)
		return !k->was_open;
	if (k->slice.end == KEEPER_END_HELLO)
		return true;
	return !k->was_open && k->slice.end != KEEPER_END_CLOSED;
}

void keeper_slice_gone(struct keeper *k)
{
	bool broken = !k->slice.ended || k->slice.end == KEEPER_END_BROKEN;
	bool was_running = k->state == KEEPER_RUNNING;

	drop_agent(k);
	if (k->was_open)
		loop_timer_clear(k->loop, &k->start_timer);
	ports_hold_all(&k->ports, keeper_now_ms());
	holds_expire(k);
	if (must_end(k)) {
		LOG("the agent of %s did not greet as one", k->options->name);
		end(k, 1);
		return;
	}
	LOG("the agent of %s is gone%s: waiting for another", k->options->name,
	    broken ? " after an error" : "");
	if (was_running && loop_now_ns() - k->open_ns > STABLE_NS)
		k->pause_ms = RECONNECT_MIN_MS;
	k->after_break = k->after_break || broken;
	if (k->after_break && k->options->direct &&
	    loop_timer_set(k->loop, &k->start_timer, deadline_ms(LIMIT_BREAK_GRACE_MS),
	                   on_start_late, k)) {
		end(k, 1);
		return;
	}
	connect_again(k);
}

/* As many connections as the limits promise. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		LOG_ERRNO("more descriptors");
}

/* Calls go on when a keeper is killed, and so do their ports. */
static void remember_ports(struct keeper *k)
{
	static char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/ports.%s", k->options->socket_dir,
	                 k->options->uuid);

	if (n < 0 || (size_t)n >= sizeof(path) ||
	    ports_remember(&k->ports, path, keeper_now_ms())) {
		LOG_ERRNO("%s: ports are not remembered, should this process be killed", path);
		return;
	}
	if (k->ports.n_held > 0)
		LOG("%u ports of calls of a former keeper are held", k->ports.n_held);
	holds_expire(k);
}

static int set_up(struct keeper *k, const struct keeper_options *options)
{
	char dir[PATH_MAX];
	char name[64];

	k->options = options;
	k->log_limit = (struct log_limit)LOG_LIMIT_QUBE;
	k->log_limit.burst = LIMIT_LOG_BURST;
	k->vchan_source = k->slice.source = k->local.source = k->runner.source =
	        (struct loop_fd)LOOP_FD_EMPTY;
	k->slice.child = k->runner.child = (struct loop_child)LOOP_CHILD_EMPTY;
	k->slice.fd = k->local.fd = k->runner.fd = -1;
	k->slice.last = &k->slice.first;
	k->pause_ms = RECONNECT_MIN_MS;
	policy_link_init(k);
	ports_init(&k->ports, (uint32_t)options->xid, deadline_ms(LIMIT_PORT_HOLD_MS));
	if (starts_open(k))
		return -1;
	raise_descriptors();
	(void)snprintf(name, sizeof(name), "qrexec-%s", options->name);
	if (path_make(dir, sizeof(dir), TRACE_DIR, NULL) == 0)
		trace_open(dir, name);
	k->loop = loop_new();
	if (!k->loop || loop_signal_add(k->loop, SIGTERM, on_terminate, k) ||
	    starter_watch(&k->starter, k->loop, on_starter_end, k))
		return -1;
	remember_ports(k);
	disposables_recover(k);
	if (keeper_confine(k))
		return -1;
	if (options->startup_ms > 0)
		return loop_timer_set(k->loop, &k->start_timer, options->startup_ms, on_start_late,
		                      k);
	return 0;
}

int keeper_run(const struct keeper_options *options)
{
	/* Not on the stack: it holds the tables of all that the limits allow. */
	static struct keeper keeper;
	struct keeper *k = &keeper;

	if (set_up(k, options)) {
		LOG_ERRNO("starting");
		return 1;
	}
	start_connection(k);
	if (k->state != KEEPER_LEAVING || k->disposables) {
		if (loop_run(k->loop) < 0) {
			LOG_ERRNO("the event loop");
			k->exit_status = 1;
		}
	}
	take_down(k);
	loop_timer_clear(k->loop, &k->hold_timer);
	route_stop(k);
	policy_link_stop(k);
	policy_text_stop(k);
	runner_link_stop(k);
	starts_close(k);
	ports_fini(&k->ports);
	k->loop = loop_free(k->loop);
	return k->exit_status;
}
