/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_LIBVCHAN_INTERNAL_H
#define LIB_VCHAN_LIBVCHAN_INTERNAL_H

/* Both interfaces call a state VCHAN_WAITING, with the same value; the enumerations differ. */
#define VCHAN_WAITING VCHAN_CORE_WAITING
#include "lib/vchan/vchan_extra.h"
#undef VCHAN_WAITING

#endif
