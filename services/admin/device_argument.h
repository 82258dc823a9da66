/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICE_ARGUMENT_H
#define SERVICES_ADMIN_DEVICE_ARGUMENT_H

#include <stdbool.h>

#include "lib/base/compat.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * How a request names a device: argument BACKEND+PORT[+IDENTITY], payload key='value' pairs that must
 * agree with it. Source: doc/protocol/admin-api.md, Devices. Test: fuzz/admin_device_argument.c
 */

/** device_argument() - devclass set, mode manual; NULL with a fault. @ret_full: the identity was given */
struct assignment *device_argument(const char *devclass, const char *untrusted_arg, bool *ret_full,
                                   struct fault *f) MUST_CHECK;

/** device_payload() - the pairs into the assignment: mode and options; false with a fault */
bool device_payload(struct assignment *a, const char *untrusted_payload, size_t len,
                    const char *frontend, bool *full, struct fault *f) MUST_CHECK;

#endif
