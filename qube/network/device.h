/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_NETWORK_DEVICE_H
#define QUBE_NETWORK_DEVICE_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * What the kernel is told of one network interface: addresses and routes of a link with two ends, each of
 * which knows the other's address beforehand. IPv4.
 */

/** device_address() - up, with this address alone and no network around it; 0, or -1 with errno */
int device_address(const char *name, struct in_addr own) MUST_CHECK;

/** device_is() - whether it is up with this address */
bool device_is(const char *name, struct in_addr own);

/** device_route() - the one address @to is behind this interface; 0, or -1 with errno */
int device_route(const char *name, struct in_addr to) MUST_CHECK;

/** device_default() - and everything else is, by way of @gateway; 0, or -1 with errno */
int device_default(const char *name, struct in_addr gateway) MUST_CHECK;

/** device_neighbour() - the address has this hardware address for good, whatever the other end says;
 *  0, or -1 with errno (EINVAL: the text is none) */
int device_neighbour(const char *name, struct in_addr ip, const char *mac) MUST_CHECK;

/** device_set() - /proc/sys/net/ipv4/conf/NAME/KEY; 0, or -1 with errno */
int device_set(const char *name, const char *key, const char *value) MUST_CHECK;

#endif
