/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_PROPERTY_H
#define SERVICES_ADMIN_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/admin/fault.h"
#include "services/admin/model.h"

/*
 * Properties of qubes and of the system: one table (property_table.c), a row for each. A value is kept
 * and stored as the text that the Admin API shows; NULL is "the default". References are names: a
 * qube's name never changes, and a qube that is named by a property cannot be removed.
 *
 * Life of a new value: its type is parsed, check() refuses or rewrites it, "property-pre-set" is sent,
 * allow() may still refuse, it is stored, effect() does what follows from it, "property-set" is sent.
 */

enum property_type { TYPE_STR, TYPE_INT, TYPE_BOOL, TYPE_LABEL, TYPE_VM };

enum property_flag {
	PROP_READ_ONLY = 1 << 0, /* computed */
	PROP_ONCE = 1 << 1,      /* never changes after creation */
	PROP_INHERITED =
	        1 << 2,      /* a template's change reaches those that use its value by default */
	PROP_KEEP = 1 << 3,  /* cannot be reset */
	PROP_FIXED = 1 << 4, /* name, uuid, qid: kept in the qube itself, not in values */
};

enum property_id {
	PROP_AUTO_CLEANUP,
	PROP_AUTOSTART,
	PROP_BACKUP_TIMESTAMP,
	PROP_DEBUG,
	PROP_DEFAULT_USER,
	PROP_DEVICES_DENIED,
	PROP_DISPID,
	PROP_DNS,
	PROP_GATEWAY,
	PROP_GATEWAY6,
	PROP_ICON,
	PROP_INCLUDE_IN_BACKUPS,
	PROP_INSTALLED_BY_RPM,
	PROP_IP,
	PROP_IP6,
	PROP_IS_PRELOAD,
	PROP_KERNEL,
	PROP_KEYBOARD_LAYOUT,
	PROP_KLASS,
	PROP_LABEL,
	PROP_MAC,
	PROP_MAXMEM,
	PROP_MEMORY,
	PROP_NAME,
	PROP_PROVIDES_NETWORK,
	PROP_QID,
	PROP_QREXEC_TIMEOUT,
	PROP_REMOTE_NAME,
	PROP_SHUTDOWN_TIMEOUT,
	PROP_START_TIME,
	PROP_STUBDOM_MEM,
	PROP_STUBDOM_UUID,
	PROP_STUBDOM_XID,
	PROP_TEMPLATE_FOR_DISPVMS,
	PROP_TRANSPORT_RPC,
	PROP_UPDATEABLE,
	PROP_UUID,
	PROP_VCPUS,
	PROP_VIRT_MODE,
	PROP_VISIBLE_GATEWAY,
	PROP_VISIBLE_GATEWAY6,
	PROP_VISIBLE_IP,
	PROP_VISIBLE_IP6,
	PROP_VISIBLE_NETMASK,
	PROP_XID,
	PROP_APPVM_DEFAULT_BOOTMODE,
	PROP_AUDIOVM,
	PROP_BOOTMODE,
	PROP_DEFAULT_DISPVM,
	PROP_GUIVM,
	PROP_KERNELOPTS,
	PROP_MANAGEMENT_DISPVM,
	PROP_NETVM,
	PROP_RELAYVM,
	PROP_TEMPLATE,
	/* The system's. */
	SYS_CHECK_UPDATES_VM,
	SYS_CLOCKVM,
	SYS_DEFAULT_AUDIOVM,
	SYS_DEFAULT_DISPVM,
	SYS_DEFAULT_GUIVM,
	SYS_DEFAULT_KERNEL,
	SYS_DEFAULT_NETVM,
	SYS_DEFAULT_POOL,
	SYS_DEFAULT_POOL_KERNEL,
	SYS_DEFAULT_POOL_PRIVATE,
	SYS_DEFAULT_POOL_ROOT,
	SYS_DEFAULT_POOL_VOLATILE,
	SYS_DEFAULT_QREXEC_TIMEOUT,
	SYS_DEFAULT_SHUTDOWN_TIMEOUT,
	SYS_DEFAULT_TEMPLATE,
	SYS_MANAGEMENT_DISPVM,
	SYS_MAXMEM,
	SYS_NO_CPUS,
	SYS_STATS_INTERVAL,
	SYS_UPDATEVM,
	PROPERTY_COUNT
};

struct property;

/* A value on its way in. */
struct property_change {
	struct qube *q;
	const struct property *p;
	struct text *value; /* of the right type; check() may rewrite it */
	struct qube *ref;   /* TYPE_VM: the qube it names; NULL: none */
	long long number;   /* TYPE_INT; saturated */
	bool truth;         /* TYPE_BOOL */
	bool reset;         /* allow(), effect(): the value becomes the default */
	const char *old;    /* text before; NULL: there was no value */
	struct fault *fault;
};

struct property {
	const char *name;
	enum property_id id;
	enum property_type type;
	uint32_t classes; /* CLASS_BIT() of those that have it */
	uint8_t stage;    /* 2 or 4: the order of lists */
	uint32_t flags;
	/* The default, added to out; false: there is none. NULL: none ever. */
	bool (*fallback)(const struct qube *q, struct text *out);
	bool (*check)(struct property_change *c);
	bool (*allow)(struct property_change *c);
	void (*effect)(struct property_change *c);
	const char *help;
};

/** property_table() - all rows, in the order of lists */
const struct property *property_table(size_t *ret_n);
const struct property *property_of(enum property_id id);
/** property_by_name() - NULL: qubes of this class have none of that name */
const struct property *property_by_name(const struct qube *q, const char *name);
bool property_has(const struct qube *q, enum property_id id);

/** property_read() - the value's text added to out; false: no value and no default */
bool property_read(const struct qube *q, enum property_id id, struct text *out);
/** property_default() - the default's text; false: none */
bool property_default(const struct qube *q, enum property_id id, struct text *out);
static inline bool property_is_default(const struct qube *q, enum property_id id)
{
	return !q->values[id];
}

/* Typed reads; what a class does not have reads as 0, false, NULL. */
long long property_int(const struct qube *q, enum property_id id);
bool property_bool(const struct qube *q, enum property_id id);
struct qube *property_qube(const struct qube *q, enum property_id id);

/** property_set() - a new value, as from the Admin API; in an open turn */
bool property_set(struct qube *q, const struct property *p, const char *untrusted_value, size_t len,
                  struct fault *f) MUST_CHECK;
bool property_reset(struct qube *q, const struct property *p, struct fault *f) MUST_CHECK;

/** property_store() - a checked value of a qube that is being made: no events, no effects */
void property_store(struct qube *q, enum property_id id, const char *value);

/** property_changed() - "property-reset:NAME" of a value that is computed from others */
void property_changed(struct qube *q, enum property_id id);

/** property_users() - properties that name a qube: fn for each (the system included) */
void property_users(const struct qube *q,
                    void (*fn)(void *arg, struct qube *user, const struct property *p), void *arg);

/* Defaults: property_default.c. Rules: property_check.c. Consequences: property_effect.c. */
#define FALLBACK(name) bool fallback_##name(const struct qube *q, struct text *out)
#define CHECKER(name)  bool check_##name(struct property_change *c)
#define ALLOWER(name)  bool allow_##name(struct property_change *c)
#define EFFECT(name)   void effect_##name(struct property_change *c)

bool pci_assigned(const struct qube *q);

#endif
