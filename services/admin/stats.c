/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/stats.h"

void method_stats(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
