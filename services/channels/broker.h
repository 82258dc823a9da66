/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_CHANNELS_BROKER_H
#define SERVICES_CHANNELS_BROKER_H

#include <stdint.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"

/*
 * Brings the two sides of a memfd channel together. Each domain has one socket, DOMID/broker.sock
 * below the working directory; who speaks there is that domain. A connection carries one wish
 * (lib/vchan/broker.h); when its counterpart is there, both get an end of a new socket pair.
 *
 * A domain can only listen and connect in its own name. It can hold LIMIT_CHANNEL_WISHES connections;
 * one more is closed at once, which its library takes for "try again later".
 */
struct broker;

/** broker_new() - loop is borrowed; NULL with errno */
struct broker *broker_new(struct loop *loop) MUST_CHECK;
struct broker *broker_free(struct broker *broker);

/** broker_add() - Errors: 0, or -1 with errno (EINVAL: no such domain can be). */
int broker_add(struct broker *broker, uint32_t domid) MUST_CHECK;

/** broker_remove() - does nothing if the domain is not there */
void broker_remove(struct broker *broker, uint32_t domid);

#endif
