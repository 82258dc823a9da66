/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See layout.h. */
#include "hypervisor/xen/layout.h"

#include <xenguest.h>

#include "lib/base/compat.h"

static void add_range(struct xen_layout *l, uint64_t from, uint64_t to, uint32_t type)
{
	if (to > from)
		l->entries[l->n++] =
		        (struct e820entry){.addr = from, .size = to - from, .type = type};
}

void xen_lay_out(struct xen_layout *layout, uint64_t size)
{
	uint64_t mmio = (1ULL << 32) - XEN_MMIO_SIZE;
	uint64_t special_end = (uint64_t)X86_HVM_END_SPECIAL_REGION * XEN_PAGE;

	layout->n = 0;
	layout->low_end = MIN(size, mmio);
	layout->high_end = size > mmio ? (1ULL << 32) + size - mmio : 0;
	add_range(layout, 0, layout->low_end, E820_RAM);
	add_range(layout, XEN_ACPI_ADDRESS, XEN_ACPI_ADDRESS + XEN_PAGE, E820_ACPI);
	add_range(layout, special_end - X86_HVM_NR_SPECIAL_PAGES * XEN_PAGE, special_end,
	          E820_RESERVED);
	add_range(layout, 1ULL << 32, layout->high_end, E820_RAM);
}
