/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/firewall.h"

void method_firewall_get(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_firewall_reload(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_firewall_set(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
