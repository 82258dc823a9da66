/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fewest ACPI tables that a PVH kernel starts with: without MADT it finds no processor but the
 * first. Hardware is "reduced": no legacy timers, no power management registers.
 * Source: ACPI 5.0, 5.2.
 */
#include "hypervisor/xen/acpi.h"

#include <string.h>

#include "lib/base/bytes.h"

#define HEADER_LEN            36U
#define RSDP_LEN              36U
#define FADT_LEN              268U
#define LAPIC_ADDRESS         0xFEE00000U

#define FADT_FLAG_WBINVD      (1U << 0)
#define FADT_FLAG_HW_REDUCED  (1U << 20)
#define FADT_BOOT_NO_VGA      (1U << 2)
#define FADT_BOOT_NO_MSI      (1U << 3)
#define FADT_BOOT_NO_CMOS_RTC (1U << 5)

static void sum_to_zero(uint8_t *table, size_t len, size_t at)
{
	uint8_t sum = 0;

	table[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + table[i]);
	table[at] = (uint8_t)(0x100 - sum);
}

static void finish(uint8_t *table, const char signature[5], size_t len, uint8_t revision)
{
	memcpy(table, signature, 4);
	le32_put(table + 4, (uint32_t)len);
	table[8] = revision;
	memcpy(table + 10, "SKERRY", 6);
	memcpy(table + 16, "QUBE    ", 8);
	le32_put(table + 24, 1);
	memcpy(table + 28, "SKRY", 4);
	le32_put(table + 32, 1);
	sum_to_zero(table, len, 9);
}

/* Offsets of the tables, each at a multiple of 16. */
enum {
	AT_RSDP = 0,
	AT_XSDT = 48,
	AT_DSDT = 112,
	AT_FADT = 160,
	AT_MADT = 432,
};

static size_t madt(uint8_t *table, uint32_t vcpus)
{
	size_t len = HEADER_LEN + 8;

	le32_put(table + HEADER_LEN, LAPIC_ADDRESS);
	for (uint32_t i = 0; i < vcpus; i++, len += 8) {
		/* Processor local APIC: type, length, processor, APIC (Xen gives even ones), enabled. */
		table[len] = 0;
		table[len + 1] = 8;
		table[len + 2] = (uint8_t)i;
		table[len + 3] = (uint8_t)(i * 2);
		le32_put(table + len + 4, 1);
	}
	finish(table, "APIC", len, 3);
	return len;
}

size_t xen_acpi_tables(uint8_t out[4096], uint64_t address, uint32_t vcpus)
{
	uint8_t *rsdp = out + AT_RSDP, *xsdt = out + AT_XSDT, *fadt = out + AT_FADT;
	size_t end;

	memset(out, 0, 4096);
	finish(out + AT_DSDT, "DSDT", HEADER_LEN, 2);
	le32_put(fadt + 40, (uint32_t)(address + AT_DSDT));
	le16_put(fadt + 109, FADT_BOOT_NO_VGA | FADT_BOOT_NO_MSI | FADT_BOOT_NO_CMOS_RTC);
	le32_put(fadt + 112, FADT_FLAG_WBINVD | FADT_FLAG_HW_REDUCED);
	le64_put(fadt + 140, address + AT_DSDT);
	finish(fadt, "FACP", FADT_LEN, 5);
	end = AT_MADT + madt(out + AT_MADT, vcpus);
	le64_put(xsdt + HEADER_LEN, address + AT_FADT);
	le64_put(xsdt + HEADER_LEN + 8, address + AT_MADT);
	finish(xsdt, "XSDT", HEADER_LEN + 16, 1);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "SKERRY", 6);
	rsdp[15] = 2;
	le32_put(rsdp + 20, RSDP_LEN);
	le64_put(rsdp + 24, address + AT_XSDT);
	sum_to_zero(rsdp, 20, 8);
	sum_to_zero(rsdp, RSDP_LEN, 32);
	return end;
}
