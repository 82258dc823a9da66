/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handles, the making and ending of domains, and what can be asked of them meanwhile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/xen/domain_internal.h"
#include "lib/base/log.h"

#define SHUTDOWN_SHIFT 16U /* where getdomaininfo has the reason; Xen */
#define SHUTDOWN_MASK  255U

int xen_ground_open(struct xen_ground **ret_ground)
{
	struct xen_ground *ground = calloc(1, sizeof(*ground));

	if (!ground)
		return -1;
	xen_messages_init(&ground->messages);
	ground->hypervisor =
	        xc_interface_open(&ground->messages.logger, &ground->messages.logger, 0);
	if (!ground->hypervisor) {
		LOG_ERRNO("the hypervisor cannot be reached");
		free(ground);
		return -1;
	}
	if (store_open(&ground->store) || store_watch(ground->store, "@introduceDomain", "come") ||
	    store_watch(ground->store, "@releaseDomain", "gone")) {
		LOG_ERRNO("xenstore cannot be reached");
		(void)xen_ground_close(ground);
		return -1;
	}
	*ret_ground = ground;
	return 0;
}

struct xen_ground *xen_ground_close(struct xen_ground *ground)
{
	if (ground && ground->hypervisor)
		(void)xc_interface_close(ground->hypervisor);
	if (ground)
		(void)store_free(ground->store);
	free(ground);
	return NULL;
}

void xen_ground_guard(struct xen_ground *ground, int (*guard)(const char *kernels))
{
	ground->guard = guard;
}

int xen_ground_fd(const struct xen_ground *ground)
{
	return store_fd(ground->store);
}

int xen_ground_step(struct xen_ground *ground)
{
	struct store_event event;
	int r, n = 0;

	while ((r = store_next(ground->store, &event)) > 0)
		n++;
	return r < 0 ? -1 : n > 0;
}

int xen_ground_machine(struct xen_ground *ground, uint64_t *ret_free_kib, bool *ret_pvh)
{
	xc_physinfo_t info = {0};

	if (xc_physinfo(ground->hypervisor, &info))
		return -1;
	*ret_free_kib = info.free_pages * 4;
	*ret_pvh = (info.capabilities & XEN_SYSCTL_PHYSCAP_hvm) != 0;
	return 0;
}

int xen_domain_create(struct xen_ground *ground, const struct xen_domain_spec *spec, int *ret_domid)
{
	struct xen_built built = {.domid = -1};

	if (xen_check(ground, spec))
		return -1;
	if (xen_build(ground, spec, &built) || xen_store_add(ground, spec, &built)) {
		int error = errno;

		if (built.domid > 0 && xen_domain_destroy(ground, built.domid))
			LOG_ERRNO("%s: what was begun is still there", spec->name);
		errno = error;
		return -1;
	}
	*ret_domid = built.domid;
	return 0;
}

static enum xen_domain_cause cause_of(uint32_t flags)
{
	static const enum xen_domain_cause causes[] = {[0] = XEN_CAUSE_OFF,
	                                               [1] = XEN_CAUSE_REBOOT,
	                                               [2] = XEN_CAUSE_SUSPEND,
	                                               [3] = XEN_CAUSE_CRASH};
	uint32_t reason = flags >> SHUTDOWN_SHIFT & SHUTDOWN_MASK;

	return reason < ARRAY_LEN(causes) ? causes[reason] : XEN_CAUSE_OTHER;
}

static void take_info(const xc_domaininfo_t *in, struct xen_domain_info *out)
{
	*out = (struct xen_domain_info){
	        .domid = in->domain,
	        .state = in->flags & XEN_DOMINF_dying      ? XEN_DOMAIN_DYING
	                 : in->flags & XEN_DOMINF_shutdown ? XEN_DOMAIN_STOPPED
	                 : in->flags & XEN_DOMINF_paused   ? XEN_DOMAIN_PAUSED
	                                                   : XEN_DOMAIN_RUNNING,
	        .cause = cause_of(in->flags),
	        .memory_kib = in->tot_pages * 4,
	        .cpu_ns = in->cpu_time,
	        .vcpus = in->nr_online_vcpus,
	};
	memcpy(out->uuid, in->handle, sizeof(out->uuid));
}

int xen_domain_list(struct xen_ground *ground, struct xen_domain_info *ret_infos, size_t max)
{
	static xc_domaininfo_t found[XEN_DOMAINS_MAX];
	int n = xc_domain_getinfolist(ground->hypervisor, 1,
	                              (unsigned int)MIN(max, ARRAY_LEN(found)), found);

	for (int i = 0; i < n; i++)
		take_info(&found[i], &ret_infos[i]);
	return n;
}

int xen_domain_info(struct xen_ground *ground, int domid, struct xen_domain_info *ret_info)
{
	xc_domaininfo_t found;
	int n = xc_domain_getinfolist(ground->hypervisor, (uint32_t)domid, 1, &found);

	if (n < 0)
		return -1;
	if (n == 0 || found.domain != domid) {
		errno = ESRCH;
		return -1;
	}
	take_info(&found, ret_info);
	return 0;
}

int xen_domain_name(struct xen_ground *ground, int domid, char name[XEN_DOMAIN_NAME_MAX])
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/name", domid);
	return store_read(ground->store, path, name, XEN_DOMAIN_NAME_MAX);
}

int xen_domain_pause(struct xen_ground *ground, int domid)
{
	return xc_domain_pause(ground->hypervisor, (uint32_t)domid) ? -1 : 0;
}

int xen_domain_unpause(struct xen_ground *ground, int domid)
{
	return xc_domain_unpause(ground->hypervisor, (uint32_t)domid) ? -1 : 0;
}

int xen_domain_ask(struct xen_ground *ground, int domid, const char *what)
{
	char path[XEN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/control/shutdown", domid);
	return store_write(ground->store, path, what);
}

int xen_domain_set_memory(struct xen_ground *ground, int domid, uint64_t kib)
{
	char path[XEN_PATH_MAX], text[24];

	(void)snprintf(path, sizeof(path), "/local/domain/%d/memory/target", domid);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)kib);
	return store_write(ground->store, path, text);
}

int xen_domain_destroy(struct xen_ground *ground, int domid)
{
	int r = xc_domain_destroy(ground->hypervisor, (uint32_t)domid);

	if (r && errno != ESRCH) {
		LOG_ERRNO("destroying domain %d", domid);
		return -1;
	}
	/* xenstored lets go of the ring by itself when it is told that a domain died. */
	xen_store_drop(ground, domid);
	return 0;
}
