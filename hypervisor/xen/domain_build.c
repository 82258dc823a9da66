/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a kernel, an initrd and a number of pages to a domain that could run. The order of the calls
 * is libxenguest's; each failure names its step.
 */
#include "hypervisor/xen/domain_internal.h"

#include <errno.h>
#include <string.h>
#include <xen/hvm/e820.h>
#include <xen/hvm/params.h>
#include <xenguest.h>

#include "hypervisor/xen/acpi.h"
#include "lib/base/log.h"

#define SLACK_KIB      1024U /* pages beside the qube's memory: rings, tables; as libxl gives */
#define EVENT_PORT_MAX 1023U
#define MMIO_SIZE      0x10000000ULL /* below 4 GiB, free of memory; Xen's layout for HVM */
#define ACPI_ADDRESS   0xFC000000ULL
#define PAGE           4096ULL
#define E820_MAX       4U
#define CONSOLE_DOMAIN 0

#define STEP(what, call)                                                                           \
	do {                                                                                       \
		errno = 0; /* libxenguest does not always say why */                               \
		ground->messages.first[0] = '\0';                                                  \
		if (call)                                                                          \
			return xen_failed(ground, spec->name, what);                               \
	} while (0)

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

struct map {
	struct e820entry entries[E820_MAX];
	uint32_t n;
	uint8_t acpi[4096];
};

static void add_range(struct map *map, uint64_t from, uint64_t to, uint32_t type)
{
	if (to > from)
		map->entries[map->n++] =
		        (struct e820entry){.addr = from, .size = to - from, .type = type};
}

/* Where a PVH qube's memory lies, and what else the kernel must not take for free. */
static void lay_out(struct xc_dom_image *dom, const struct xen_domain_spec *spec, struct map *map)
{
	uint64_t size = spec->memory_kib << 10, mmio = (1ULL << 32) - MMIO_SIZE;
	uint64_t special_end = (uint64_t)X86_HVM_END_SPECIAL_REGION * PAGE;

	dom->container_type = XC_DOM_HVM_CONTAINER;
	dom->device_model = false;
	dom->target_pages = size / PAGE;
	dom->mmio_size = MMIO_SIZE;
	dom->mmio_start = mmio;
	dom->lowmem_end = MIN(size, mmio);
	dom->highmem_end = size > mmio ? (1ULL << 32) + size - mmio : 0;
	add_range(map, 0, dom->lowmem_end, E820_RAM);
	add_range(map, ACPI_ADDRESS, ACPI_ADDRESS + PAGE, E820_ACPI);
	add_range(map, special_end - X86_HVM_NR_SPECIAL_PAGES * PAGE, special_end, E820_RESERVED);
	add_range(map, 1ULL << 32, dom->highmem_end, E820_RAM);
	dom->e820 = map->entries;
	dom->e820_entries = map->n;
	dom->acpi_modules[0] = (struct xc_hvm_firmware_module){
	        .data = map->acpi,
	        .length = (uint32_t)xen_acpi_tables(map->acpi, ACPI_ADDRESS, spec->vcpus),
	        .guest_addr_out = ACPI_ADDRESS,
	};
}

static int take_frames(struct xen_ground *ground, const struct xen_domain_spec *spec,
                       struct xc_dom_image *dom, struct xen_built *built)
{
	xc_interface *h = ground->hypervisor;
	uint32_t domid = (uint32_t)built->domid;

	if (spec->kind == XEN_DOMAIN_PV) {
		built->store_frame = xc_dom_p2m(dom, dom->xenstore_pfn);
		built->console_frame = xc_dom_p2m(dom, dom->console_pfn);
		return 0;
	}
	STEP("its event channels",
	     xc_hvm_param_set(h, domid, HVM_PARAM_STORE_EVTCHN, built->store_port) ||
	             xc_hvm_param_set(h, domid, HVM_PARAM_CONSOLE_EVTCHN, built->console_port));
	STEP("its shared pages",
	     xc_hvm_param_get(h, domid, HVM_PARAM_STORE_PFN, &built->store_frame) ||
	             xc_hvm_param_get(h, domid, HVM_PARAM_CONSOLE_PFN, &built->console_frame));
	return 0;
}

static int read_images(struct xen_ground *ground, const struct xen_domain_spec *spec,
                       struct xc_dom_image *dom, const char *kernel)
{
	STEP("the limits of its images",
	     xc_dom_kernel_max_size(dom, XEN_DOMAIN_KERNEL_MAX) ||
	             xc_dom_module_max_size(dom, XEN_DOMAIN_INITRD_MAX));
	STEP("reading its kernel", xc_dom_kernel_file(dom, kernel));
	if (spec->initrd)
		STEP("reading its initrd", xc_dom_module_file(dom, spec->initrd, NULL));
	return 0;
}

static int load(struct xen_ground *ground, const struct xen_domain_spec *spec,
                struct xc_dom_image *dom, struct xen_built *built)
{
	/* Too large for a stack; the toolstack builds one domain after the other. */
	static struct map map;
	bool pvh = spec->kind == XEN_DOMAIN_PVH;
	char path[XEN_KERNEL_PATH];
	const char *kernel = xen_kernel_find(ground, spec->kernel, path);

	map.n = 0;
	dom->container_type = XC_DOM_PV_CONTAINER;
	dom->console_evtchn = built->console_port;
	dom->console_domid = CONSOLE_DOMAIN;
	dom->xenstore_evtchn = built->store_port;
	dom->xenstore_domid = 0;
	dom->max_vcpus = spec->vcpus;
	if (read_images(ground, spec, dom, kernel))
		return -1;
	if (pvh)
		lay_out(dom, spec, &map);
	STEP("asking the hypervisor",
	     xc_dom_boot_xen_init(dom, ground->hypervisor, (uint32_t)built->domid));
	STEP("unpacking its kernel", xc_dom_parse_image(dom));
	if (kernel == spec->kernel)
		xen_kernel_keep(ground, kernel, dom->kernel_blob, dom->kernel_size);
	STEP("its memory", xc_dom_mem_init(dom, (unsigned int)(spec->memory_kib / 1024)));
	STEP("giving it memory", xc_dom_boot_mem_init(dom));
	if (pvh)
		STEP("its memory map",
		     xc_domain_set_memory_map(ground->hypervisor, (uint32_t)built->domid,
		                              map.entries, map.n));
	STEP("placing its kernel", xc_dom_build_image(dom));
	STEP("its first processor", xc_dom_boot_image(dom));
	STEP("its first grants", xc_dom_gnttab_init(dom));
	return take_frames(ground, spec, dom, built);
}

int xen_build(struct xen_ground *ground, const struct xen_domain_spec *spec,
              struct xen_built *built)
{
	struct xc_dom_image *dom;
	uint32_t domid;
	int r;

	if (create(ground, spec, &domid))
		return -1;
	built->domid = (int)domid;
	if (set_limits(ground, spec, domid) || two_ports(ground, spec, built))
		return -1;
	dom = xc_dom_allocate(ground->hypervisor, spec->cmdline, NULL);
	STEP("memory of the builder", !dom);
	r = load(ground, spec, dom, built);
	xc_dom_release(dom);
	return r;
}
