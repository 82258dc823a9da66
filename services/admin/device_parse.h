/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_DEVICE_PARSE_H
#define SERVICES_ADMIN_DEVICE_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "services/admin/devices.h"

/*
 * What a qube wrote into its QubesDB about its devices, to checked devices. Pure but for memory.
 * Trust: every byte is the qube's. Ports and modes that do not have the right form make the device
 * disappear; other texts are shown with '_' for what may not be shown.
 * Source: doc/protocol/core-model.md, Devices. Test: fuzz/admin_devices.c
 */

/**
 * device_parse_block(), device_parse_usb() - all keys below /qubes-block-devices/, /qubes-usb-devices/
 * @ret:  room for DEVICES_MAX; given, by port
 * Returns how many.
 */
size_t device_parse_block(const struct pair *untrusted_pairs, size_t n, struct device **ret);
size_t device_parse_usb(const struct pair *untrusted_pairs, size_t n, struct device **ret);

/** device_parse_parents() - identities and names of block devices that lie on others */
void device_parse_parents(const char *backend, struct device *const *blocks, size_t n_blocks,
                          struct device *const *usbs, size_t n_usbs);

/* Names of usb devices and interfaces: ids.c. "" if unknown. */
const char *ids_usb_vendor(const char *vendor);
const char *ids_usb_product(const char *vendor, const char *product);
const char *ids_usb_interface(const char *code);
/** ids_open() - the machine's list of names, before files are out of reach; best effort */
void ids_open(void);

#endif
