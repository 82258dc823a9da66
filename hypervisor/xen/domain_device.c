/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: the nodes with which the two ends of a device find each other. The backend's are written
 * first, so that a frontend that is told of its device finds the other end; each end may read, and
 * write only its own part.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/log.h"

#define XVD_MAJOR     202U
#define NET_SCRIPT    "/etc/xen/scripts/vif-route-qubes" /* what a netvm of Qubes runs for it */
#define STATE_INITIAL "1"

struct pair {
	struct xen_ground *ground;
	int domid, backend;
	char front[XEN_PATH_MAX], back[XEN_PATH_MAX];
	bool failed;
};

struct node {
	const char *name;
	const char *value;
};

static struct pair make_pair(struct xen_ground *ground, int domid, int backend, const char *kind,
                             uint32_t number)
{
	struct pair p = {.ground = ground, .domid = domid, .backend = backend};

	(void)snprintf(p.front, sizeof(p.front), "/local/domain/%d/device/%s/%u", domid, kind,
	               number);
	(void)snprintf(p.back, sizeof(p.back), "/local/domain/%d/backend/%s/%d/%u", backend, kind,
	               domid, number);
	return p;
}

/* A folder that its owner may write and the other end read; what is made in it is alike. */
static void folder(struct pair *p, const char *path, int owner, int reader)
{
	if (store_make_folder(p->ground->store, path) ||
	    store_set_access(p->ground->store, path, owner, reader, false))
		p->failed = true;
}

static void fill(struct pair *p, const char *path, int owner, int reader, const struct node *nodes,
                 size_t n)
{
	char at[XEN_PATH_MAX + 32];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(at, sizeof(at), "%s/%s", path, nodes[i].name);
		if (store_write(p->ground->store, at, nodes[i].value) ||
		    store_set_access(p->ground->store, at, owner, reader, false))
			p->failed = true;
	}
}

static int write_pair(struct pair *p, const struct node *back, size_t n_back,
                      const struct node *front, size_t n_front)
{
	char domid[16], backend[16];
	const struct node common_back[] = {{"frontend", p->front}, {"frontend-id", domid}};
	const struct node common_front[] = {{"backend", p->back}, {"backend-id", backend}};
	const struct node state = {"state", STATE_INITIAL};

	(void)snprintf(domid, sizeof(domid), "%d", p->domid);
	(void)snprintf(backend, sizeof(backend), "%d", p->backend);
	folder(p, p->back, p->backend, p->domid);
	folder(p, p->front, p->domid, p->backend);
	fill(p, p->front, p->domid, p->backend, common_front, ARRAY_LEN(common_front));
	fill(p, p->front, p->domid, p->backend, front, n_front);
	fill(p, p->back, p->backend, p->domid, common_back, ARRAY_LEN(common_back));
	fill(p, p->back, p->backend, p->domid, back, n_back);
	fill(p, p->front, p->domid, p->backend, &state, 1);
	fill(p, p->back, p->backend, p->domid, &state, 1);
	if (p->failed)
		LOG("xenstore refuses the device %s", p->back);
	return p->failed ? -1 : 0;
}

int xen_domain_put_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk)
{
	uint32_t number = XVD_MAJOR << 8 | disk->number << 4;
	struct pair p = make_pair(ground, domid, disk->backend, "vbd", number);
	char name[8], device[24], text[16];
	const struct node back[] = {{"params", disk->path},
	                            {"dev", name},
	                            {"type", "phy"},
	                            {"mode", disk->writable ? "w" : "r"},
	                            {"device-type", "disk"},
	                            {"online", "1"},
	                            {"removable", "0"},
	                            {"discard-enable", "1"},
	                            {"physical-device", device}};
	const struct node front[] = {{"virtual-device", text}, {"device-type", "disk"}};

	(void)snprintf(name, sizeof(name), "xvd%c", (char)('a' + (int)disk->number));
	(void)snprintf(device, sizeof(device), "%x:%x", disk->major, disk->minor);
	(void)snprintf(text, sizeof(text), "%u", number);
	/* Another domain's backend finds the device by its path. */
	return write_pair(&p, back, ARRAY_LEN(back) - (disk->backend == 0 ? 0 : 1), front,
	                  ARRAY_LEN(front));
}

int xen_domain_add_disk(struct xen_ground *ground, int domid, const struct xen_disk *disk)
{
	return xen_check_disk(ground, domid, disk) ? -1 : xen_domain_put_disk(ground, domid, disk);
}

/* The device opens when the netvm has set its side up, and written hotplug-status there. */
int xen_domain_add_net(struct xen_ground *ground, int domid, const struct xen_net *net)
{
	struct pair p = make_pair(ground, domid, net->backend, "vif", net->number);
	char handle[16];
	const struct node back[] = {{"mac", net->mac}, {"ip", net->ip}, {"handle", handle},
	                            {"online", "1"},   {"type", "vif"}, {"script", NET_SCRIPT}};
	const struct node front[] = {{"mac", net->mac}, {"handle", handle}};

	(void)snprintf(handle, sizeof(handle), "%u", net->number);
	return write_pair(&p, back, ARRAY_LEN(back), front, ARRAY_LEN(front));
}

int xen_domain_drop_net(struct xen_ground *ground, int domid, int backend, uint32_t number)
{
	struct pair p = make_pair(ground, domid, backend, "vif", number);

	/* Both ends first hear of it from the node that goes. */
	return store_remove(ground->store, p.front) || store_remove(ground->store, p.back) ? -1 : 0;
}

int xen_domain_drop_disks(struct xen_ground *ground, int domid)
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/local/domain/0/backend/vbd/%d", domid);
	return store_remove(ground->store, path);
}

/* The kernel's devices are named vbd-DOMID-NUMBER. */
bool xen_domain_has_disks(int domid)
{
	DIR *dir = opendir("/sys/bus/xen-backend/devices");
	struct dirent *entry;
	char prefix[24];
	bool found = false;

	(void)snprintf(prefix, sizeof(prefix), "vbd-%d-", domid);
	while (dir && !found && (entry = readdir(dir)))
		found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	if (dir)
		(void)closedir(dir);
	return found;
}
