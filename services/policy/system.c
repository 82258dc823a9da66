/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/policy.h"
#include "services/policy/table.h"

/* Texts are copied into one arena; names and "uuid:" names share one table, for neither can look
 * like the other. */

struct system {
	uint32_t refs;
	bool sealed;
	struct arena arena;
	struct names names; /* name or uuid:UUID ... */
	uint32_t *qube_of;  /* ... to its qube */
	uint32_t qube_of_room;
	struct system_qube *qubes;
	uint32_t n_qubes;
	uint32_t qubes_room;
};

struct system *system_new(void)
{
	struct system *system = calloc(1, sizeof(*system));

	if (system)
		system->refs = 1;
	return system;
}

struct system *system_ref(struct system *system)
{
	system->refs++;
	return system;
}

struct system *system_unref(struct system *system)
{
	if (!system || --system->refs > 0)
		return NULL;
	arena_fini(&system->arena);
	names_fini(&system->names);
	free(system->qube_of);
	for (uint32_t i = 0; i < system->n_qubes; i++)
		free((void *)(uintptr_t)system->qubes[i].tags);
	free(system->qubes);
	free(system);
	return NULL;
}

/* A text that stays; NULL stays NULL. */
static int keep_text(struct system *system, const char **text)
{
	size_t len;

	if (!*text)
		return 0;
	len = strlen(*text);
	if (len > SYSTEM_TEXT_MAX) {
		errno = E2BIG;
		return -1;
	}
	*text = arena_string(&system->arena, *text, len);
	return *text ? 0 : -1;
}

static int keep_tags(struct system *system, struct system_qube *qube)
{
	const char **tags;

	if (qube->n_tags > SYSTEM_TAGS_MAX) {
		errno = E2BIG;
		return -1;
	}
	tags = calloc(MAX(qube->n_tags, 1U), sizeof(*tags));
	if (!tags)
		return -1;
	for (size_t i = 0; i < qube->n_tags; i++) {
		tags[i] = qube->tags[i];
		if (keep_text(system, &tags[i])) {
			free((void *)tags);
			return -1;
		}
	}
	qube->tags = tags;
	return 0;
}

static int add_name(struct system *system, const char *name, size_t len, uint32_t qube)
{
	uint32_t before = system->names.n;
	uint32_t id = names_add(&system->names, name, len);

	if (id == NO_ID)
		return -1;
	if (id < before) {
		errno = EEXIST;
		return -1;
	}
	if (grow((void **)&system->qube_of, &system->qube_of_room, id, sizeof(*system->qube_of)))
		return -1;
	system->qube_of[id] = qube;
	return 0;
}

static int add_uuid(struct system *system, struct system_qube *qube)
{
	char name[SYSTEM_TEXT_MAX + 8] = "uuid:";
	bool zero = qube->uuid && strcmp(qube->uuid, SYSTEM_ZERO_UUID) == 0;

	/* The zero uuid is dom0's alone, whatever the facts say. */
	if (zero && strcmp(qube->name, "dom0") != 0)
		qube->uuid = NULL;
	if (!qube->uuid || qube->uuid[0] == '\0')
		return 0;
	memcpy(name + 5, qube->uuid, strlen(qube->uuid) + 1);
	return add_name(system, name, strlen(name), system->n_qubes);
}

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= SYSTEM_TEXT_MAX && name[0] != '@' && !strchr(name, ':') &&
	       strcmp(name, "*") != 0;
}

int system_add(struct system *system, const struct system_qube *given)
{
	struct system_qube qube = *given;
	const char **texts[] = {&qube.name,           &qube.uuid,    &qube.type,
	                        &qube.default_dispvm, &qube.icon,    &qube.label,
	                        &qube.guivm,          &qube.relayvm, &qube.transport_rpc};

	CHECK(!system->sealed);
	if (!name_ok(qube.name)) {
		errno = EINVAL;
		return -1;
	}
	if (system->n_qubes >= SYSTEM_QUBES_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (grow((void **)&system->qubes, &system->qubes_room, system->n_qubes, sizeof(qube)))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (keep_text(system, texts[i]))
			return -1;
	}
	if (add_name(system, qube.name, strlen(qube.name), system->n_qubes) ||
	    add_uuid(system, &qube) || keep_tags(system, &qube))
		return -1;
	qube.type = qube.type ? qube.type : "";
	qube.icon = qube.icon ? qube.icon : "";
	qube.label = qube.label ? qube.label : "";
	system->qubes[system->n_qubes++] = qube;
	return 0;
}

int system_seal(struct system *system)
{
	system->sealed = true;
	return 0;
}

uint32_t system_n_qubes(const struct system *system)
{
	return system->n_qubes;
}

const struct system_qube *system_qube(const struct system *system, uint32_t index)
{
	CHECK(index < system->n_qubes);
	return &system->qubes[index];
}

uint32_t system_find(const struct system *system, const char *name, size_t len)
{
	uint32_t id = names_find(&system->names, name, len);

	return id == NO_ID ? NO_ID : system->qube_of[id];
}

bool system_has_tag(const struct system *system, uint32_t index, const char *tag, size_t len)
{
	const struct system_qube *qube = system_qube(system, index);

	for (size_t i = 0; i < qube->n_tags; i++) {
		if (strlen(qube->tags[i]) == len && memcmp(qube->tags[i], tag, len) == 0)
			return true;
	}
	return false;
}
