/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/pools.h"

void method_pool_add(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_info(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_list(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_list_drivers(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_remove(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_set_ephemeral(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_set_revisions(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_usage_details(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_pool_volume_list(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
