/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_SYSTEM_H
#define SERVICES_POLICY_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * What policy knows about the qubes: a table filled once, then read only. A qube is an index;
 * names and uuids are found by hash. It comes from the admin service, which is trusted; bounds are
 * checked all the same. Source: doc/protocol/policy.md, 7.
 */

#define SYSTEM_QUBES_MAX 4096U /* qubes; chosen */
#define SYSTEM_TAGS_MAX  256U  /* tags of one qube; chosen */
#define SYSTEM_TEXT_MAX  63U /* bytes of a name, type, uuid, tag, icon ... ; chosen, names have 31 */
#define SYSTEM_ZERO_UUID "00000000-0000-0000-0000-000000000000"

struct system_qube {
	const char *name; /* 1 ... 63 bytes, no '@' in front, no ':' */
	const char *uuid; /* lower case; NULL: none */
	const char *type; /* "AppVM", "RemoteVM", ... */
	const char *const *tags;
	size_t n_tags;
	bool template_for_dispvms;
	bool internal;              /* the feature is a text that is not empty */
	bool running;               /* power_state is exactly "Running" */
	const char *default_dispvm; /* name or NULL; may name no qube */
	const char *icon;           /* NULL: "" */
	const char *label;          /* 0xRRGGBB; NULL: "" */
	const char *guivm;          /* name or NULL */
	const char *relayvm;        /* name or NULL */
	const char *transport_rpc;  /* service or NULL */
};

struct system;

/** system_new() - an empty table; NULL: no memory. system_add() until system_seal(). */
struct system *system_new(void) MUST_CHECK;

/**
 * system_add() - one more qube; texts are copied
 * Errors: 0; -1 with errno EINVAL (name), EEXIST (name twice), E2BIG (a bound above), ENOMEM.
 */
int system_add(struct system *system, const struct system_qube *qube) MUST_CHECK;

/** system_seal() - ready for use; nothing may be added any more. 0, or -1 with errno ENOMEM. */
int system_seal(struct system *system) MUST_CHECK;

/** counted, one thread; unref(NULL) is fine and returns NULL */
struct system *system_ref(struct system *system);
struct system *system_unref(struct system *system);

uint32_t system_n_qubes(const struct system *system);
/** the qube at an index; borrowed; an index beyond the count aborts */
const struct system_qube *system_qube(const struct system *system, uint32_t index);
/** by name, or by "uuid:UUID"; NO_ID: not known */
uint32_t system_find(const struct system *system, const char *name, size_t len);
bool system_has_tag(const struct system *system, uint32_t index, const char *tag, size_t len);

/**
 * system_from_json() - the "domains" object of internal.GetSystemInfo, or the answer that holds it
 * @ret_why:  on failure a constant text
 *
 * Built into the library policy_json_dep, apart from the engine, for it needs json-c.
 * Errors: a sealed table (given), or NULL.
 */
struct system *system_from_json(const char *text, size_t len, const char **ret_why) MUST_CHECK;

#endif
