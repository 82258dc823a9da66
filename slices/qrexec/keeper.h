/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_KEEPER_H
#define SLICES_QREXEC_KEEPER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"
#include "process/starter.h"
#include "proto/keeper.h"
#include "proto/limits.h"
#include "slices/qrexec/ports.h"

/*
 * The keeper of one qube: local sockets, policy, other daemons, ports. It never reads a byte that the
 * qube wrote: those go to the slice, which hands on checked packets.
 */

struct keeper_options {
	int xid;          /* the qube's domid, > 0 */
	const char *name; /* the qube's name */
	const char *user; /* default user */
	const char *uuid;
	char socket_dir[PATH_MAX];  /* absolute */
	const char *policy_program; /* NULL: the policy service */
	uint64_t startup_ms;        /* limit for the agent's channel; 0: none */
	bool direct;                /* in the foreground */
	int ready_fd;               /* a byte goes here when ready; -1: none */
};

enum keeper_state {
	KEEPER_CONNECTING, /* no channel */
	KEEPER_GREETING,   /* slice runs, HELLO not done */
	KEEPER_RUNNING,    /* local sockets exist */
	KEEPER_LEAVING,    /* disposables are being killed */
};

/* A packet that the slice has not taken yet. */
struct slice_packet {
	struct slice_packet *next;
	size_t len;
	uint8_t data[];
};

/* The running slice; slice_link.c. */
struct slice_link {
	int fd; /* -1: none */
	struct loop_fd source;
	struct loop_child child;
	struct slice_packet *first; /* packets that wait */
	struct slice_packet **last;
	size_t waiting; /* bytes of them */
	bool ended;     /* KEEPER_END came */
	enum keeper_end end;
};

struct client;
struct request;
struct disposable;
struct qubesd_call;
struct text_ask;

/* Local connections; local.c. */
struct local {
	int fd; /* -1: not listening */
	struct loop_fd source;
	struct loop_timer again; /* after a shortage of descriptors */
	struct client *clients;
	unsigned int n_clients;
};

/* Requests of the qube that have no answer; request.c. */
struct requests {
	struct request *slot[LIMIT_PENDING_REQUESTS];
	uint16_t free_slot[LIMIT_PENDING_REQUESTS];
	uint32_t turn[LIMIT_PENDING_REQUESTS]; /* makes ids of one slot differ */
	unsigned int n_touched;                /* slots ever used: slot[n_touched …] is unused */
	unsigned int n_free;                   /* entries of free_slot */
	unsigned int n;
	size_t name_bytes; /* charged: see LIMIT_PENDING_BYTES */
};

/* The kept connection to the policy service; policy_link.c. */
struct policy_link {
	int fd; /* -1: none */
	struct loop_fd source;
	unsigned int n_unsent;   /* questions that wait for room */
	unsigned int n_programs; /* policy programs that run */
	struct text_ask *asks;   /* questions in text form */
	struct loop_defer lost;  /* questions of a lost connection are asked again */
};

/* Connections to other daemons whose answer has come; route.c. */
struct spent {
	int fds[LIMIT_SPENT];
	unsigned int n;
	struct loop_timer timer;
};

/* The process that runs services in dom0; runner_link.c. */
struct runner_link {
	int fd; /* -1: none */
	struct loop_fd source;
	struct loop_child child;
	unsigned int n_running;
};

struct keeper {
	struct loop *loop;
	const struct keeper_options *options;
	enum keeper_state state;
	int exit_status;     /* once LEAVING */
	bool was_open;       /* ready was said */
	bool after_break;    /* the last agent broke the protocol */
	struct vchan *vchan; /* while connecting */
	struct loop_fd vchan_source;
	struct loop_timer start_timer; /* limit for channel and HELLO */
	struct loop_timer again_timer; /* pause before the next connection */
	struct loop_timer hold_timer;  /* the first hold of a port ends */
	uint64_t pause_ms;             /* the next pause */
	uint64_t open_ns;              /* when the connection became open */
	struct log_limit log_limit;    /* lines that the qube causes */
	struct slice_link slice;
	struct ports ports;
	struct local local;
	struct requests requests;
	struct spent spent;
	struct policy_link policy;
	struct runner_link runner;
	struct disposable *disposables;
	struct starter starter; /* starts.c */
};

/** keeper_run() - until SIGTERM, the qube's death or a failure: the exit status */
int keeper_run(const struct keeper_options *options) MUST_CHECK;

/* From slice_link.c: what the slice says, checked. */
void keeper_opened(struct keeper *k);
void keeper_terminated(struct keeper *k, const struct keeper_terminated *message);
/** keeper_slice_gone() - the slice has ended, for the reason in k->slice.end if .ended is set */
void keeper_slice_gone(struct keeper *k);

/** keeper_leave_done() - a disposable is gone: leave if that was the last and we are leaving */
void keeper_leave_check(struct keeper *k);

/** keeper_now_ms() - of the monotonic clock */
uint64_t keeper_now_ms(void);

/**
 * keeper_port_wait_ms() - how long a call may still wait for a port of its pair of qubes
 * The limit runs from when the call began to wait or the pair last gave a port back, so a long queue
 * that moves is served to its end, first come, first served. While ports of the pair are held, it runs
 * until one of them is free. 0: it has passed.
 */
uint64_t keeper_port_wait_ms(const struct keeper *k, uint32_t domain, uint64_t since_ms);

/** keeper_socket_path() - "<socket dir>/qrexec.<name>"; 0 or -1 with errno ENAMETOOLONG */
int keeper_socket_path(const struct keeper *k, char *dst, size_t len, const char *name) MUST_CHECK;

/** keeper_child_reset() - in a child, before exec: signals as we got them */
void keeper_child_reset(void);

#endif
