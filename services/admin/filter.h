/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FILTER_H
#define SERVICES_ADMIN_FILTER_H

#include <stdbool.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * What a qube may see: each candidate of admin.vm.List and each event is put to the policy service, over
 * one kept connection. Decisions are remembered until policy or what policy looks at changes. No
 * answer means no.
 */

#define FILTER_QUEUE_MAX 65536U /* questions of one subscriber under way; chosen */
#define FILTER_WAIT_MS   5000U  /* for an answer of the policy service; chosen */

/**
 * filter_ask() - does policy allow (not ask) this call?
 * @fn:  called exactly once with @arg and @item, perhaps before filter_ask() returns, unless
 *       filter_forget(arg) comes first
 */
void filter_ask(const char *source, const char *target, const char *service,
                void (*fn)(void *arg, void *item, bool allowed), void *arg, void *item);

/** filter_forget() - no more calls with this @arg */
void filter_forget(const void *arg);

/** filter_open() - @path: of the policy service's socket for kept connections, held in place of a
 *  path lookup by directory descriptor @dir_fd; the connection is made when it is first needed */
void filter_open(struct loop *loop, int dir_fd);

/** filter_stale() - what policy looks at changed */
void filter_stale(void);

#endif
