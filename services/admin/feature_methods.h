/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_FEATURE_METHODS_H
#define SERVICES_ADMIN_FEATURE_METHODS_H

#include "services/admin/call.h"

/** feature_put(), feature_drop() - the service's own changes: in the open turn, with their events */
void feature_put(struct qube *q, const char *name, const char *value);
void feature_drop(struct qube *q, const char *name);

/** feature_check() - the rules of single features; @value NULL: it goes away */
bool feature_check(struct qube *q, const char *name, const char *value, struct fault *f) MUST_CHECK;

void method_feature_list(struct call *c);
void method_feature_get(struct call *c);
void method_feature_check_template(struct call *c);
void method_feature_check_netvm(struct call *c);
void method_feature_check_admin(struct call *c);
void method_feature_check_template_admin(struct call *c);
void method_feature_set(struct call *c);
void method_feature_remove(struct call *c);

#endif
