/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's part of xenstore, with the access that Xen's own tools give. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/log.h"

#define DOMID_MAX 0x7FEFU /* Xen */

struct writer {
	struct xen_ground *ground;
	int domid;
	bool failed;
	char failed_path[XEN_PATH_MAX];
};

static void fail(struct writer *w, const char *path)
{
	if (!w->failed)
		(void)snprintf(w->failed_path, sizeof(w->failed_path), "%s", path);
	w->failed = true;
}

static void write_node(struct writer *w, bool own, const char *name, const char *value)
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/%s", w->domid, name);
	if (store_write(w->ground->store, path, value) ||
	    (own && store_set_access(w->ground->store, path, w->domid, -1, false)))
		fail(w, path);
}

static void write_number(struct writer *w, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	write_node(w, false, name, text);
}

/*
 * A domain's number can be read and watched by all: it goes when the domain does, so that the other end of a
 * channel learns of it (lib/vchan/grant_meet.c). Whether a domain exists is no secret: anybody can try to
 * bind an event channel to it.
 */
static void share_life(struct writer *w)
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/domid", w->domid);
	if (store_set_access(w->ground->store, path, 0, STORE_EVERYBODY, false))
		fail(w, path);
}

static void uuid_text(const uint8_t uuid[16], char text[40])
{
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		(void)snprintf(text + at, 3, "%02x", uuid[i]);
		at += 2;
	}
}

static void write_all(struct writer *w, const struct xen_domain_spec *spec,
                      const struct xen_built *built)
{
	/* The qube writes these itself: nothing of ours is read from them. */
	static const char *const own[] = {"control/shutdown",
	                                  "control/feature-poweroff",
	                                  "control/feature-reboot",
	                                  "control/feature-suspend",
	                                  "control/feature-s3",
	                                  "control/feature-s4",
	                                  "control/sysrq",
	                                  "device/suspend/event-channel",
	                                  "data",
	                                  "drivers",
	                                  "feature",
	                                  "attr",
	                                  "error"};
	char text[40] = "", path[XEN_PATH_MAX], vm[64];

	uuid_text(spec->uuid, text);
	(void)snprintf(vm, sizeof(vm), "/vm/%s", text);
	(void)snprintf(path, sizeof(path), "/local/domain/%d", w->domid);
	/* First, so that what is made below it is dom0's, and readable by the qube. */
	if (store_make_folder(w->ground->store, path) ||
	    store_set_access(w->ground->store, path, 0, w->domid, false))
		fail(w, path);
	write_node(w, false, "name", spec->name);
	write_number(w, "domid", (uint64_t)w->domid);
	share_life(w);
	write_node(w, false, "vm", vm);
	for (uint32_t i = 0; i < spec->vcpus; i++) {
		(void)snprintf(path, sizeof(path), "cpu/%u/availability", i);
		write_node(w, false, path, "online");
	}
	write_number(w, "memory/static-max", spec->max_kib);
	write_number(w, "memory/target", spec->memory_kib);
	write_number(w, "store/port", built->store_port);
	write_number(w, "store/ring-ref", built->store_frame);
	write_number(w, "console/port", built->console_port);
	write_number(w, "console/ring-ref", built->console_frame);
	write_node(w, false, "console/type", "skerry");
	write_node(w, false, "control/platform-feature-multiprocessor-suspend", "1");
	write_node(w, false, "device", "");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		write_node(w, true, own[i], "");
	(void)snprintf(path, sizeof(path), "%s/uuid", vm);
	if (store_write(w->ground->store, path, text))
		fail(w, path);
	(void)snprintf(path, sizeof(path), "%s/name", vm);
	if (store_write(w->ground->store, path, spec->name))
		fail(w, path);
}

int xen_store_add(struct xen_ground *ground, const struct xen_domain_spec *spec,
                  const struct xen_built *built)
{
	struct writer w = {.ground = ground, .domid = built->domid};

	write_all(&w, spec, built);
	if (w.failed) {
		LOG("%s: xenstore refuses %s", spec->name, w.failed_path);
		return xen_failed(ground, spec->name, "writing its part of xenstore");
	}
	if (store_introduce(ground->store, built->domid, built->store_frame, built->store_port))
		return xen_failed(ground, spec->name, "telling xenstore of it");
	return 0;
}

/* Its devices' other ends, whichever domains have them. */
static void drop_backends(struct xen_ground *ground, int domid)
{
	static const char *const kinds[] = {"vbd", "vif"};
	char path[XEN_PATH_MAX], names[STORE_PAYLOAD_MAX];
	uint32_t backend;
	size_t len = 0;

	if (store_list(ground->store, "/local/domain", names, &len))
		LOG_ERRNO("xenstore: the list of domains");
	for (size_t at = 0; at < len; at += strlen(names + at) + 1) {
		if (!store_decimal(names + at, 0, DOMID_MAX, &backend))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			(void)snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%d",
			               backend, kinds[i], domid);
			if (store_remove(ground->store, path))
				LOG_ERRNO("xenstore: removing %s", path);
		}
	}
}

void xen_store_drop(struct xen_ground *ground, int domid)
{
	char path[XEN_PATH_MAX], vm[64];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/vm", domid);
	if (store_read(ground->store, path, vm, sizeof(vm)) == 0 && strncmp(vm, "/vm/", 4) == 0 &&
	    strlen(vm) > 4 && store_remove(ground->store, vm))
		LOG_ERRNO("xenstore: removing %s", vm);
	drop_backends(ground, domid);
	(void)snprintf(path, sizeof(path), "/local/domain/%d", domid);
	if (store_remove(ground->store, path))
		LOG_ERRNO("xenstore: removing %s", path);
}
