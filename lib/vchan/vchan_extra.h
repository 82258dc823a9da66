/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_VCHAN_EXTRA_H
#define LIB_VCHAN_VCHAN_EXTRA_H

#include "lib/vchan/vchan.h"

/* What only the libvchan.h interface needs of a channel. */

/** vchan_refresh() - look at the state without taking an event from the descriptor */
void vchan_refresh(struct vchan *vchan);

/** vchan_poke() - make the descriptor readable once more, for who did not see the last event */
void vchan_poke(struct vchan *vchan);

/** vchan_listener() - the descriptor that a waiting server accepts on, borrowed; -1: not waiting */
int vchan_listener(const struct vchan *vchan);

/** vchan_connected() - whether there is or was a peer */
bool vchan_connected(const struct vchan *vchan);

/** vchan_ring_size() - bytes of the ring in shared memory; 0: the transport has none */
size_t vchan_ring_size(const struct vchan *vchan, bool rx);

#endif
