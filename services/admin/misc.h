/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_MISC_H
#define SERVICES_ADMIN_MISC_H

#include "services/admin/call.h"

/* What qubes tell of themselves: qubes.FeaturesRequest, NotifyTools, NotifyUpdates. */

void method_features_request(struct call *c);
void method_notify_tools(struct call *c);
void method_notify_updates(struct call *c);

#endif
