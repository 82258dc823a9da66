/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame of a domain, for another process to fill (proto/xen_build.h): numbers of the request, and nothing of its kernel. */
#include "hypervisor/xen/domain_internal.h"

#include <errno.h>
#include <string.h>
#include <xen/hvm/params.h>
#include <xenguest.h>

#include "hypervisor/xen/layout.h"

#define SLACK_KIB        1024U /* pages beside the qube's memory: rings, tables; as libxl gives */
#define EVENT_PORT_MAX   1023U
#define CONSOLE_DOMAIN   0

#define STEP(what, call) XEN_STEP(ground, spec->name, what, call)

static int create(struct xen_ground *ground, const struct xen_domain_spec *spec,
                  uint32_t *ret_domid)
{
	struct xen_domctl_createdomain config = {
	        .max_vcpus = spec->vcpus,
	        .max_evtchn_port = EVENT_PORT_MAX,
	        .max_grant_frames = XEN_DOMAIN_GRANT_FRAMES,
	        .max_maptrack_frames = 1024,
	        .grant_opts = XEN_DOMCTL_GRANT_version(1),
	};

	if (spec->kind == XEN_DOMAIN_PVH) {
		config.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
		config.arch.emulation_flags = XEN_X86_EMU_LAPIC;
	}
	memcpy(config.handle, spec->uuid, sizeof(config.handle));
	*ret_domid = spec->domid;
	STEP("creating the domain", xc_domain_create(ground->hypervisor, ret_domid, &config));
	return 0;
}

static int set_limits(struct xen_ground *ground, const struct xen_domain_spec *spec, uint32_t domid)
{
	xc_interface *h = ground->hypervisor;
	/* Tables of the second level of paging: a page a processor, and 8 bytes and some for each page. */
	uint64_t paging = (4ULL * (256 * spec->vcpus + 2 * (spec->max_kib / 1024)) + 1023) / 1024;

	STEP("its processors", xc_domain_max_vcpus(h, domid, spec->vcpus));
	STEP("its limit of memory", xc_domain_setmaxmem(h, domid, spec->max_kib + SLACK_KIB));
	if (spec->kind == XEN_DOMAIN_PV)
		STEP("its memory map",
		     xc_domain_set_memmap_limit(h, domid, spec->max_kib + SLACK_KIB));
	else
		STEP("memory for its page tables",
		     xc_set_paging_mempool_size(h, domid, paging << 20));
	STEP("what its processors can",
	     xc_cpuid_apply_policy(h, domid, false, NULL, 0, true, false, false, NULL, NULL));
	return 0;
}

static int two_ports(struct xen_ground *ground, const struct xen_domain_spec *spec,
                     struct xen_built *built)
{
	int store = xc_evtchn_alloc_unbound(ground->hypervisor, (uint32_t)built->domid, 0);
	int console =
	        xc_evtchn_alloc_unbound(ground->hypervisor, (uint32_t)built->domid, CONSOLE_DOMAIN);

	STEP("its event channels", store < 0 || console < 0);
	built->store_port = (uint32_t)store;
	built->console_port = (uint32_t)console;
	return 0;
}

/* The hypervisor says where a PVH kernel finds them. */
static int take_frames(struct xen_ground *ground, const struct xen_domain_spec *spec,
                       struct xen_built *built)
{
	xc_interface *h = ground->hypervisor;
	uint32_t domid = (uint32_t)built->domid;

	STEP("its event channels",
	     xc_hvm_param_set(h, domid, HVM_PARAM_STORE_EVTCHN, built->store_port) ||
	             xc_hvm_param_set(h, domid, HVM_PARAM_CONSOLE_EVTCHN, built->console_port));
	STEP("its shared pages",
	     xc_hvm_param_get(h, domid, HVM_PARAM_STORE_PFN, &built->store_frame) ||
	             xc_hvm_param_get(h, domid, HVM_PARAM_CONSOLE_PFN, &built->console_frame));
	return 0;
}

/* PVH: what stands where, for the hypervisor. */
static int tell_layout(struct xen_ground *ground, const struct xen_domain_spec *spec,
                       uint32_t domid)
{
	struct xen_layout layout;

	xen_lay_out(&layout, spec->memory_kib << 10);
	STEP("its memory map",
	     xc_domain_set_memory_map(ground->hypervisor, domid, layout.entries, layout.n));
	return 0;
}

int xen_build(struct xen_ground *ground, const struct xen_domain_spec *spec,
              struct xen_built *built)
{
	bool pvh = spec->kind == XEN_DOMAIN_PVH;
	uint32_t domid;

	if (create(ground, spec, &domid))
		return -1;
	built->domid = (int)domid;
	if (set_limits(ground, spec, domid) || two_ports(ground, spec, built) ||
	    (pvh && tell_layout(ground, spec, domid)) || xen_build_image(ground, spec, built))
		return -1;
	return pvh ? take_frames(ground, spec, built) : 0;
}
