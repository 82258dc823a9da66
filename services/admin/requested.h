/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_REQUESTED_H
#define SERVICES_ADMIN_REQUESTED_H

#include "services/admin/fault.h"
#include "services/admin/model.h"

/**
 * requested_apply() - what a qube asks to be said of it, as far as it may: features, in the open turn
 * @untrusted_pairs:  names and values of printable ASCII without quotes; what they mean is checked here
 * Source: doc/protocol/core-model.md, Features request from a qube.
 */
void requested_apply(struct qube *q, const struct pair *untrusted_pairs, size_t n, struct fault *f);

#endif
