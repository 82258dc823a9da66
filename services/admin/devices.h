/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICES_H
#define SERVICES_ADMIN_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "services/admin/call.h"
#include "services/admin/model.h"

/*
 * Devices that qubes expose, and which qube has which. A port of a backend holds a device with an
 * identity; an assignment (stored) is a wish, an attachment (run.attached) a connection. What a qube says
 * of its devices is checked in device_parse.c and kept here: no listing asks a qube.
 */

enum device_class { DEVICE_BLOCK, DEVICE_MIC, DEVICE_PCI, DEVICE_USB, DEVICE_CLASSES };

#define DEVICES_MAX     256U /* that one qube exposes, of each class; chosen */
#define INTERFACES_MAX  64U
#define INTERFACE_LEN   7U
#define DEVICE_PORT_LEN 64U

/* Texts hold only what may stand in a value: letters, digits, punctuation, space. "" is unknown. */
struct device {
	enum device_class klass;
	char port[DEVICE_PORT_LEN];
	char *identity;
	char *vendor, *product, *manufacturer, *name, *serial;
	char *interfaces;             /* codes, joined */
	char parent[DEVICE_PORT_LEN]; /* port of the same backend; "" for none */
	enum device_class parent_class;
	struct pair *data; /* of the class: sbdf */
	size_t n_data;
	bool read_only;
};

const char *device_class_name(enum device_class klass);
/** device_class_by_name() - DEVICE_CLASSES: unknown */
enum device_class device_class_by_name(const char *name);
struct device *device_free(struct device *d);

/** device_by_port() - of a backend; NULL: there is none */
struct device *device_by_port(const struct qube *backend, enum device_class klass,
                              const char *port);

/** device_matches() - is this device what the assignment means? */
bool device_matches(const struct assignment *a, const struct qube *backend, const struct device *d);

/** device_frontend() - the qube that a device is attached to; NULL: none. *ret: its attachment */
struct qube *device_frontend(const struct qube *backend, const struct device *d,
                             struct assignment **ret);
struct assignment *device_attached(const struct qube *q, enum device_class klass,
                                   const char *backend, const char *port);

/** device_text() - BACKEND:PORT:IDENTITY */
void device_text(const char *backend, const char *port, const char *identity, struct text *out);
/** device_options() - as events show them: {'key': 'value', …} */
void device_options(const struct assignment *a, struct text *out);

/** devices_denied_rewrite() - a list of 7-character codes: checked, sorted, each once */
bool devices_denied_rewrite(struct text *value, struct fault *f) MUST_CHECK;
/** device_banned() - the first interface that the list forbids, in words; NULL: none */
const char *device_banned(const struct device *d, const char *denied);

/** devices_pci_add() - a PCI device of the machine, from the command line: key='value' pairs port, sbdf,
 *  class, vendor, product, vendor_name, product_name; false: not of that form */
bool devices_pci_add(const char *text) MUST_CHECK;
/** devices_can_add() - a class that the ground can connect: without it block and pci are refused */
bool devices_can_add(const char *devclass) MUST_CHECK;
bool devices_ground_can(enum device_class klass);
/** devices_settle() - at our start: the microphone; attachments of qubes that still run */
void devices_settle(void);

/** devices_watch_fired() - a key of devices in the qube's QubesDB was written; path is untrusted */
void devices_watch_fired(struct qube *q, const char *untrusted_path);
/** devices_read() - look at what the qube exposes, with events if @tell */
void devices_read(struct qube *q, bool tell);

/** devices_watch() - follow what the qube exposes from now on */
void devices_watch(struct qube *q);

/** devices_attach_wanted() - give a device to a qube that is to have it; @fn in any case */
typedef void (*device_done)(void *arg, const struct fault *fault);
void devices_attach_wanted(struct qube *q, struct qube *backend, const struct device *d,
                           device_done fn, void *arg);
void devices_log_failure(const struct qube *q, const struct fault *fault);
/** devices_tell_attached() - record and event of an attachment that was made */
void devices_tell_attached(struct qube *q, const struct assignment *a);

/** devices_required() - is everything there that a qube must have at its start */
bool devices_required(struct qube *q, struct fault *f) MUST_CHECK;
/** devices_started(), devices_stopped() - of a qube: attach what it is to have; what it had and what it
 *  exposed is gone */
void devices_started(struct qube *q);
void devices_stopped(struct qube *q);

/** device_attach() - connect; in an open turn, before the event; @fn as for a job, perhaps at once */
bool device_attach_check(struct qube *q, struct qube *backend, const struct device *d,
                         struct assignment *a, struct fault *f) MUST_CHECK;
void device_attach(struct qube *q, struct qube *backend, const struct device *d,
                   const struct assignment *a, device_done fn, void *arg);
void device_detach(struct qube *q, struct assignment *a, device_done fn, void *arg);

/** device_attached_manual() - the wish behind an attachment is gone, the attachment is not */
void device_attached_manual(struct qube *q, const struct assignment *like);

/** device_attached_add(), device_attached_drop() - the records of attachments; in an open turn */
void device_attached_add(struct qube *q, const struct assignment *a);
void device_attached_drop(struct qube *q, struct assignment *a);

#endif
