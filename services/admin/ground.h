/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_GROUND_H
#define SERVICES_ADMIN_GROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "proto/monitor.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * The ground behind the monitor: questions by message, each with a time limit, answers by a call from
 * the loop. Nobody waits.
 */

/** @answer: DONE, CREATED or FAILED; FAILED with E_TIMEOUT when none came in time */
typedef void (*ground_done)(void *arg, const struct monitor_message *answer);

/** ground_open() - takes the socket; learns what runs (blocking: nobody is served before); 0 or -1.
 *  fd < 0: there is no ground; every question fails. */
int ground_open(struct loop *loop, int fd) MUST_CHECK;

/** ground_ask() - m's serial is chosen here */
void ground_ask(struct monitor_message *m, uint32_t timeout_ms, ground_done fn, void *arg);

/** ground_simple() - a question that is only its kind and the qube */
void ground_simple(struct qube *q, enum monitor_kind kind, uint32_t timeout_ms, ground_done fn,
                   void *arg);

/** ground_user() - the qube's default user in a field of a message */
void ground_user(char *dst, size_t room, const struct qube *q);

/** ground_create_message() - what the ground is to make of a qube; its volumes are started */
void ground_create_message(struct qube *q, struct monitor_message *m);

/** ground_network() - connect a running qube anew; a failure is logged */
void ground_network(struct qube *q, struct qube *netvm);

/** ground_call() - run a service in a running qube as USER, by SOURCE dom0; output is thrown away */
void ground_call(struct qube *q, const char *user, const char *service, const void *input,
                 size_t input_len, uint32_t timeout_ms, ground_done fn, void *arg);

/** ground_fault() - a FAILED answer in words */
void ground_fault(const struct monitor_message *answer, struct fault *f);

/** ground_uuid() - text to bytes and back */
void ground_uuid_bytes(const char *text, uint8_t out[MONITOR_UUID_LEN]);
void ground_uuid_text(const uint8_t uuid[MONITOR_UUID_LEN], char out[UUID_LEN]);

/** ground_stats() - ask for the figures of all running qubes; run.memory_kib and run.cpu_ns follow */
void ground_stats(void (*fn)(void *arg), void *arg);

#endif
