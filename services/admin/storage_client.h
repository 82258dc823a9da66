/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_STORAGE_CLIENT_H
#define SERVICES_ADMIN_STORAGE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/storage.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * The storage service behind a socket: questions by message, answers by a call from the loop. Nobody
 * waits. If the service ends, so does this one: the monitor starts both anew.
 */

/** @answer: DONE or FAILED; @parts: names that came before it, one a line */
typedef void (*storage_done)(void *arg, const struct storage_answer *answer,
                             const struct text *parts);

/** storage_there() - false: there is no service, no volume has data, and every question is answered
 *  DONE, empty */
bool storage_there(void);

/** storage_ask() - q's serial is chosen here and returned (0: there is none); fn is called from the loop,
 *  outside of a turn */
uint32_t storage_ask(struct storage_request *q, storage_done fn, void *arg);

/** storage_of() - a question about a volume as it is configured */
void storage_of(const struct qube *q, const struct volume *v, enum storage_kind kind,
                struct storage_request *out);

/** storage_vid() - of a volume now: a kernel's is the kernel's version, which may change or be "" */
void storage_vid(const struct qube *q, const struct volume *v, struct text *out);

/** storage_setup() - tells of a pool; storage_driver() - its number, STORAGE_DRIVER_NONE: unknown */
void storage_setup(const struct pool *p, storage_done fn, void *arg);
enum storage_driver storage_driver(const char *name);

/** storage_fault() - a FAILED answer in words */
void storage_fault(const struct storage_answer *answer, struct fault *f);

/** storage_outer_path(), storage_inner_path() - a path of the Admin API with the prefix before it; and
 *  without it */
bool storage_outer_path(const char *path, char *out, size_t room) MUST_CHECK;
const char *storage_inner_path(const char *path);

#endif
