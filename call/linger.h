/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CALL_LINGER_H
#define CALL_LINGER_H

#include "lib/loop/loop.h"
#include "lib/vchan/vchan.h"

/*
 * The end of a channel whose peer may still be sending. A service can be over before its caller has
 * said what it came to say; a caller whose first message meets a closed channel takes the call for
 * failed. So our direction ends at once, and the other is read and thrown away until the peer closes
 * it, for LINGER_MS at most.
 */

#define LINGER_MS 1000 /* chosen */

/** linger() - takes the channel; without memory, or where a transport has no half, it is closed now */
void linger(struct loop *loop, struct vchan *vchan);

#endif
