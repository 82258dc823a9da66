/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

/*
 * What a qube can make the trusted side hold, in one place. Each row: constant, unit, where the
 * number comes from. man skerry-qrexec repeats them for users.
 */

#define LIMIT_PENDING_REQUESTS                                                                     \
	2048 /* requests of one qube without an answer; chosen (original: 256) */
#define LIMIT_PENDING_BYTES      (8U << 20) /* service names of those requests; chosen */
#define LIMIT_LOCAL_CLIENTS      4096  /* local connections to one daemon; chosen (original: 256) */
#define LIMIT_LOCAL_HELLO_MS     10000 /* a local client that does not finish its command; chosen */
#define LIMIT_AGENT_MESSAGE_MS   20000 /* an agent message that is not completed; chosen */
#define LIMIT_TARGET_CONNECT_MS  20000 /* another daemon that does not greet; chosen */
#define LIMIT_TARGET_QUEUE_MS    300000 /* another daemon that greeted and has no port yet; chosen */
#define LIMIT_SPENT              32   /* answered connections to other daemons, kept open; chosen */
#define LIMIT_SPENT_MS           50   /* … for so long; chosen */
#define LIMIT_POLICY_MS          5000 /* a decision without a prompt; chosen */
#define LIMIT_PROMPT_MS          600000     /* a prompt; chosen */
#define LIMIT_QUBESD_MS          300000     /* a qube that is being started; chosen */
#define LIMIT_RUNNER_CHANNEL_MS  5000       /* data channel of a dom0 service; protocol */
#define LIMIT_OUTPUT_QUEUE       (4U << 20) /* bytes waiting for an agent that does not read; chosen */
#define LIMIT_PORT_QUARANTINE_MS 1000 /* a peer's returned ports are remembered at least; chosen */
#define LIMIT_PORT_HOLD_MS                                                                         \
	130000 /* a port whose call may still have a service that waits; protocol (120 s), and 10 */
#define LIMIT_PORT_WAIT_MS                                                                         \
	15000 /* a pair of qubes of which no call ends: those that wait for a port; chosen */
#define LIMIT_DOM0_SERVICES       512 /* dom0 services running for one qube; chosen */
#define LIMIT_POLICY_PROGRAMS     64  /* policy programs running for one qube, more wait; chosen */
#define LIMIT_AGENT_HELLO_MS      20000 /* from the control channel to the agent's HELLO; chosen */
#define LIMIT_BREAK_GRACE_MS      10000 /* --direct: a new agent after a protocol error; chosen */
#define LIMIT_RECONNECT_MS        1000  /* pause between control connections, at most; chosen */
#define LIMIT_LEAVE_MS            3000  /* disposables being killed when the daemon ends; chosen */
#define LIMIT_QUBESDB_ENTRIES     16384 /* keys of one qube's QubesDB; chosen */
#define LIMIT_QUBESDB_BYTES       (4U << 20) /* their values and what keys cost; chosen */
#define LIMIT_QUBESDB_QUEUE       (8U << 20) /* bytes that one reader of it has not taken; chosen */
#define LIMIT_QUBESDB_CLIENTS     256        /* local connections to one QubesDB; protocol */
#define LIMIT_QUBESDB_WATCHES     1024       /* of one local connection; chosen */
#define LIMIT_CHANNEL_WISHES      2048 /* channels of one qube that wait for the other end; chosen */
#define LIMIT_CHANNEL_WISHES_DOM0 8192 /* the same of dom0's programs together; chosen */
#define LIMIT_LOG_BURST           50   /* lines a qube can cause at once; chosen */

#endif
