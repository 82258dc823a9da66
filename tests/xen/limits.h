/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_XEN_LIMITS_H
#define TESTS_XEN_LIMITS_H

#include "tests/xen/pipe.h"
#include "tests/xen/qube.h"
#include "tests/xen/talk.h"

/* The parts of limits_test.c. Each starts with no qube and leaves none. */

#define INITRD_NODE    "/qubes/node.gz"
#define INITRD_NET     "/qubes/net.gz"
#define INITRD_HOSTILE "/qubes/hostile.gz"

/** limits_starts() - what cannot be started is refused, with the qube and the cause, and nothing is left of it */
void limits_starts(const char *kernel);
/** limits_channels() - names and rights of channels in xenstore, and the death of the other end */
void limits_channels(void);
/** limits_life() - memory, network between two qubes, and their end */
void limits_life(void);
/** limits_harm() - qubes that do what they can against dom0, beside one that goes on working */
void limits_harm(void);
/** limits_many() - as many qubes as the figures of the project promise */
void limits_many(void);

/** limits_reach() - the channel on which a qube of node.recipe takes requests */
bool limits_reach(const struct qube *q, struct pipe_end *ret_end);
/** limits_ask() - one request and its answer; UINT32_MAX: the qube is gone */
uint32_t limits_ask(struct pipe_end *end, enum talk_what what, uint32_t argument);

#endif
