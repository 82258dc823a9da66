/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SLICES_QREXEC_QUBESD_REPLY_H
#define SLICES_QREXEC_QUBESD_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

/*
 * What qubesd may answer. Pure. qubesd is trusted, and yet what it says ends up in a path and in a
 * command: a name that does not belong there is none. Source: doc/protocol/qrexec.md, 6.9.
 */

/** qubesd_name_legal() - of a qube, uuid:… or a keyword: 1 … 63 legal characters, not first a dot */
bool qubesd_name_legal(const char *name);

/**
 * qubesd_created_name() - the name in the answer to admin.vm.CreateDisposable
 * @with_uuid:  "uuid:" and 36 characters were asked for
 * Errors: 0; -1: an error, or not an answer.
 */
int qubesd_created_name(const char *reply, size_t len, bool with_uuid, char name[QREXEC_TARGET_LEN])
        MUST_CHECK;

/** qubesd_has_started() - the answer to admin.vm.Start: it runs now, or ran before */
bool qubesd_has_started(const char *reply, size_t len);

#endif
