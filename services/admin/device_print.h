/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICE_PRINT_H
#define SERVICES_ADMIN_DEVICE_PRINT_H

#include "services/admin/devices.h"

/** device_print(), device_print_assignment() - one line, with its end */
void device_print(struct text *out, const struct qube *backend, const struct device *d);
void device_print_assignment(struct text *out, const struct qube *q, const struct assignment *a);

#endif
