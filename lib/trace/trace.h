/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_TRACE_TRACE_H
#define LIB_TRACE_TRACE_H

#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Where each microsecond of a call went: every process on a call's way writes one fixed-size record
 * a stage into a ring of its own in shared memory (a file that `skerry trace` maps read-only). A
 * record costs one clock read and one store; there is no lock and no system call. Without
 * trace_open() the calls do nothing.
 */

enum trace_stage {
	TRACE_NONE,
	TRACE_TRIGGER,        /* slice: request decoded */
	TRACE_ASK_POLICY,     /* keeper: question sent */
	TRACE_VERDICT,        /* keeper: answer received; detail = 1 allow, 0 refuse */
	TRACE_TARGET_START,   /* keeper: asked for the target to be started or created */
	TRACE_TARGET_CONNECT, /* keeper: connected to the target's daemon */
	TRACE_EXEC_SENT,      /* keeper of the target: command given to the slice */
	TRACE_EXEC_FORWARDED, /* slice of the target: command written to the agent */
	TRACE_PORT,           /* keeper: target's answer with the port; detail = port; text = the
				 * trace_call_id() of the data channel, 16 hex digits */
	TRACE_CONNECT_SENT,   /* slice: SERVICE_CONNECT written to the agent */
	TRACE_REFUSED,        /* slice: SERVICE_REFUSED written to the agent */
	TRACE_SERVICE_SPAWN,  /* service side: process or socket started */
	TRACE_DATA_OPEN,      /* data channel: HELLO done */
	TRACE_FIRST_BYTE,     /* service side: first byte of output sent */
	TRACE_EXIT,           /* service side: exit code sent; detail = code */
	TRACE_TERMINATED,     /* slice: CONNECTION_TERMINATED received; detail = port */
	TRACE_POLICY_DECIDED, /* policy: verdict ready; detail = 1 allow, 2 ask, 0 refuse */
	TRACE_ASK_SHOWN,      /* policy: prompt sent */
	TRACE_ASK_ANSWERED,   /* policy: prompt answered */
	TRACE_STAGE_MAX,
};

/* 64 bytes a record. */
struct trace_record {
	uint64_t time_ns; /* CLOCK_MONOTONIC; 0 while being written */
	uint64_t call;    /* trace_call_id(): the same for a call in every process */
	uint32_t stage;   /* enum trace_stage */
	uint32_t detail;
	char text[40]; /* SERVICE+ARG, target …, cut, NUL-padded; sanitised characters only */
};

/*
 * The file: this head, then capacity records. Record number n (from 0) is at n % capacity; next counts
 * for ever, so a reader knows which are the newest. A writer takes a number with one atomic add,
 * stores time_ns 0, the rest, and time_ns last (release).
 */
#define TRACE_DIR   "/run/qubes/skerry-trace" /* path_make()d by whoever calls trace_open() */
#define TRACE_MAGIC "SKTRACE1"

struct trace_head {        /* 64 bytes */
	char magic[8];     /* TRACE_MAGIC without its NUL */
	uint64_t next;     /* records written ever; atomic */
	uint32_t capacity; /* a power of two */
	uint32_t pid;
	char name[40]; /* as given to trace_open(), NUL-padded */
};

/**
 * trace_open() - a ring file <dir>/<name>.<pid> for this process
 * @dir:  borrowed; made if SKERRY_TRACE=1 is in the environment; tracing stays off if it does not
 *        exist otherwise
 *
 * Failure is not an error, only no trace.
 */
void trace_open(const char *dir, const char *name);

/** trace_fd() - the ring's descriptor (borrowed; -1: off), for a child that adds to the same ring by
 *  trace_adopt(), which takes it */
int trace_fd(void);
void trace_adopt(int fd);

/** trace_point() - one record; text may be NULL */
void trace_point(uint64_t call, enum trace_stage stage, uint32_t detail, const char *text);

/** trace_call_id() - of the data channel that carries a call: both domids and the port are known to
 *  every process after the port is chosen. Bit 63 is clear. */
uint64_t trace_call_id(uint32_t service_domain, uint32_t client_domain, uint32_t port);

/** trace_own_id() - of a call whose port is not chosen yet: bit 63, calling domain, a serial number
 *  of its slice. trace_link() writes the TRACE_PORT record that ties it to the channel's id. */
uint64_t trace_own_id(uint32_t domain, uint32_t serial);
void trace_link(uint64_t own_id, uint64_t call_id, uint32_t port);

#endif
