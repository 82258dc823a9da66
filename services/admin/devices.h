/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICES_H
#define SERVICES_ADMIN_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "services/admin/call.h"
#include "services/admin/model.h"

/** devices_denied_rewrite() - a list of 7-character codes: checked, sorted, each once */
bool devices_denied_rewrite(struct text *value, struct fault *f) MUST_CHECK;

/** devices_required() - is everything there that a qube must have at its start */
bool devices_required(struct qube *q, struct fault *f) MUST_CHECK;
/** devices_started(), devices_stopped() - of a qube: attach what it is to have; what it had and what it
 *  exposed is gone */
void devices_started(struct qube *q);
void devices_stopped(struct qube *q);

#endif
