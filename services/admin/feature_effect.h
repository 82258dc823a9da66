/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FEATURE_EFFECT_H
#define SERVICES_ADMIN_FEATURE_EFFECT_H

#include <stdbool.h>

#include "services/admin/fault.h"
#include "services/admin/model.h"

/** feature_effect() - what follows from a value that is set (NULL: removed), before it is announced */
bool feature_effect(struct qube *q, const char *name, const char *value, struct fault *f)
        MUST_CHECK;

/** feature_settled() - after the announcement, for what a client asked: the pool of disposables */
void feature_settled(struct qube *q, const char *name);

#endif
