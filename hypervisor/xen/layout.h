/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_LAYOUT_H
#define HYPERVISOR_XEN_LAYOUT_H

#include <stdint.h>
#include <xenctrl.h>

#include <xen/hvm/e820.h>

/* Where a PVH domain's memory lies, and what else its kernel must not take for free: the builder fills it, the maker tells
 * the hypervisor of it. */

#define XEN_MMIO_SIZE    0x10000000ULL /* below 4 GiB, free of memory; Xen's layout for HVM */
#define XEN_ACPI_ADDRESS 0xFC000000ULL
#define XEN_PAGE         4096ULL

struct xen_layout {
	struct e820entry entries[4];
	uint32_t n;
	uint64_t low_end, high_end; /* bytes; high_end 0: nothing above 4 GiB */
};

/** xen_lay_out() - @size: bytes of memory, whole MiB */
void xen_lay_out(struct xen_layout *layout, uint64_t size);

#endif
