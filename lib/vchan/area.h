/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_AREA_H
#define LIB_VCHAN_AREA_H

#include <stddef.h>

#include "lib/base/compat.h"

/* The memory of the memfd transport: a memfd whose size can never change, whoever made it. */

/** area_make() - len bytes of zeroes, sealed; the descriptor (given), or -1 with errno */
int area_make(size_t len) MUST_CHECK;

/** area_check() - whether an access inside the first len bytes of it can never fault: the size is
 *  right and stays so. Trust: memfd is any descriptor. Errors: 0, or -1 with errno EPROTO. */
int area_check(int untrusted_memfd, size_t len) MUST_CHECK;

#endif
