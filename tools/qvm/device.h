/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_DEVICE_H
#define TOOLS_QVM_DEVICE_H

#include "tools/qvm/qvm.h"

/*
 * Devices as the Admin API writes them: "PORT:ID key='value' …", or "BACKEND+PORT:ID …" of an assignment
 * (doc/protocol/admin.md). Their texts come from qubes.
 */

struct device {
	const char *class, *backend, *port, *id;
	const char *vendor, *product, *manufacturer, *name, *serial; /* NULL: not known */
	const char *interfaces;                                      /* codes of 7 characters; "" */
	const char *sbdf;                                            /* of PCI; NULL */
	const char *mode, *frontend;                                 /* of an assignment; NULL */
	struct text_list options; /* "key=value", in their order */
};

struct devices {
	struct device *items;
	size_t n;
	struct admin_reply reply;
};

/** devices_decode() - the lines of such a reply; what a line does not say is empty */
struct devices devices_decode(const char *class, const char *backend, const char *text);

/** devices_load() - admin.vm.device.CLASS.WHAT of a qube, in the server's order */
struct devices devices_load(const char *class, const char *what, const char *qube,
                            const char *argument);

/** device_find() - one by its port; NULL: there is none */
const struct device *device_find(const struct devices *devices, const char *port);

/** device_argument() - "BACKEND+PORT+ID" with the characters that an argument may not have replaced */
const char *device_argument(const struct device *device);

/** device_payload() - the pairs of an assignment; options are "key=value" */
const char *device_payload(const struct device *device, const char *mode, const char *frontend,
                           const struct text_list *options);

/** device_description() - "Keyboard: Logitech, Inc. Unifying Receiver" */
const char *device_description(const struct device *device);

/** device_is_denied() - whether one of its interfaces is on a list of denied codes */
bool device_is_denied(const struct device *device, const char *denied);

/** device_list() - qvm-device CLASS list */
struct device_list_options {
	const char *class;
	bool assignments, sbdf;
	const struct qube_list *only; /* NULL: all qubes */
};
int device_list(const struct args_program *program, const struct qubes *qubes,
                const struct device_list_options *options);

#endif
