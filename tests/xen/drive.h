/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_DRIVE_H
#define TESTS_XEN_DRIVE_H

#include "tests/xen/talk.h"

/* dom0's side of the channels of a qube that runs qube_node.c. */

/** drive_pairs() - each library on each side, in both roles */
void drive_pairs(int domid, const char *kind);
/** drive_echo() - len bytes there and back; whether they were the same */
bool drive_echo(struct pipe_end *end, uint32_t len);
/** drive_bench() - both libraries' figures in the same minute */
void drive_bench(int domid, const char *kind);
/** drive_bench_long() - the same for longer, for bench/xen-ring */
void drive_bench_long(int domid, const char *kind);
/** drive_slice() - what a confined process can do with a channel that it was handed, and what not */
void drive_slice(int domid, const char *kind);
/** drive_confined() - what the builder of a domain can do with the hypervisor's handles, and what not */
void drive_confined(int domid, const char *kind);
/** drive_call() - qrexec from dom0 into the qube */
void drive_call(int domid, const char *name);
/** call_start_daemon() - skerry-qrexec for a qube; whether its agent greeted within so many seconds */
bool call_start_daemon(int domid, const char *name, const char *patience);
/** call_once() - whether a service in the qube gives back this text */
bool call_once(const char *name, const char *text);

/** call_greet() - starts the qube's skerry-qrexec, which waits for the agent */
bool call_greet(int domid, const char *name);
/** call_service() - by qrexec-client, as dom0: its status, and up to @max bytes of the answer */
int call_service(const char *name, const char *service, const char *text, char *got, size_t max,
                 size_t *ret_len);

#endif
