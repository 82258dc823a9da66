/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a kernel, an initrd and a number of pages to a domain that could run. The order of the calls is libxenguest's; each
 * failure names its step. */
#include "hypervisor/xen/builder.h"

#include <errno.h>
#include <xenguest.h>

#include "hypervisor/xen/acpi.h"
#include "hypervisor/xen/layout.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define CONSOLE_DOMAIN 0

/* Too large for a stack; the process builds one domain. */
static struct xen_layout layout;
static uint8_t acpi[4096];

static void lay_out(struct xc_dom_image *dom, const struct build_order *order)
{
	uint64_t size = (uint64_t)order->memory_mib << 20;

	xen_lay_out(&layout, size);
	dom->container_type = XC_DOM_HVM_CONTAINER;
	dom->device_model = false;
	dom->target_pages = size / XEN_PAGE;
	dom->mmio_size = XEN_MMIO_SIZE;
	dom->mmio_start = (1ULL << 32) - XEN_MMIO_SIZE;
	dom->lowmem_end = layout.low_end;
	dom->highmem_end = layout.high_end;
	dom->e820 = layout.entries;
	dom->e820_entries = layout.n;
	dom->acpi_modules[0] = (struct xc_hvm_firmware_module){
	        .data = acpi,
	        .length = (uint32_t)xen_acpi_tables(acpi, XEN_ACPI_ADDRESS, order->vcpus),
	        .guest_addr_out = XEN_ACPI_ADDRESS,
	};
}

/* A kernel that was not packed needs no second place; one that does not fit is unpacked again next time. */
static uint64_t keep(const struct build_order *order, const struct builder_files *files,
                     const struct xc_dom_image *dom)
{
	if (files->keep < 0 || dom->kernel_size == files->kernel_len ||
	    dom->kernel_size > order->keep_max)
		return 0;
	if (fd_write_all(files->keep, dom->kernel_blob, dom->kernel_size) == 0)
		return dom->kernel_size;
	LOG_ERRNO("%s: its unpacked kernel is not kept", order->name);
	return 0;
}

#define STEP(what, call) XEN_STEP(ground, order->name, what, call)

static int read_images(struct xen_ground *ground, const struct build_order *order,
                       const struct builder_files *files, struct xc_dom_image *dom)
{
	STEP("the limits of its images",
	     xc_dom_kernel_max_size(dom, XEN_DOMAIN_KERNEL_MAX) ||
	             xc_dom_module_max_size(dom, XEN_DOMAIN_INITRD_MAX));
	STEP("reading its kernel", xc_dom_kernel_mem(dom, files->kernel, files->kernel_len));
	if (files->initrd)
		STEP("reading its initrd",
		     xc_dom_module_mem(dom, files->initrd, files->initrd_len, NULL));
	return 0;
}

static int load(struct xen_ground *ground, const struct build_order *order,
                const struct builder_files *files, struct xc_dom_image *dom,
                struct builder_result *result)
{
	dom->container_type = XC_DOM_PV_CONTAINER;
	dom->console_evtchn = order->console_port;
	dom->console_domid = CONSOLE_DOMAIN;
	dom->xenstore_evtchn = order->store_port;
	dom->xenstore_domid = 0;
	dom->max_vcpus = order->vcpus;
	if (read_images(ground, order, files, dom))
		return -1;
	if (order->pvh)
		lay_out(dom, order);
	STEP("asking the hypervisor", xc_dom_boot_xen_init(dom, ground->hypervisor, order->domid));
	STEP("unpacking its kernel", xc_dom_parse_image(dom));
	result->kept = keep(order, files, dom);
	STEP("its memory", xc_dom_mem_init(dom, order->memory_mib));
	STEP("giving it memory", xc_dom_boot_mem_init(dom));
	STEP("placing its kernel", xc_dom_build_image(dom));
	STEP("its first processor", xc_dom_boot_image(dom));
	STEP("its first grants", xc_dom_gnttab_init(dom));
	if (!order->pvh) {
		result->store_frame = xc_dom_p2m(dom, dom->xenstore_pfn);
		result->console_frame = xc_dom_p2m(dom, dom->console_pfn);
	}
	return 0;
}

int builder_load(struct xen_ground *ground, const struct build_order *order,
                 const struct builder_files *files, struct builder_result *result)
{
	struct xc_dom_image *dom = xc_dom_allocate(ground->hypervisor, order->cmdline, NULL);

	STEP("memory of the builder", !dom);
	return load(ground, order, files, dom, result);
}
