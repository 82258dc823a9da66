/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HYPERVISOR_XEN_ACPI_H
#define HYPERVISOR_XEN_ACPI_H

#include <stddef.h>
#include <stdint.h>

/**
 * xen_acpi_tables() - what a PVH qube's kernel must know of its processors: RSDP, XSDT, FADT
 * (reduced hardware), MADT and an empty DSDT
 * @out:  a page that will stand at @address
 * @vcpus: 1 … 64
 * Returns the bytes used.
 * Test: tests/unit/hypervisor/acpi.c
 */
size_t xen_acpi_tables(uint8_t out[4096], uint64_t address, uint32_t vcpus);

#endif
