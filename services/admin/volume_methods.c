/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/volume_methods.h"

void method_volume_clear(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_clone_from(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_clone_to(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_info(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_list(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_list_snapshots(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_resize(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_revert(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_set_ephemeral(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_set_revisions(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_volume_set_rw(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_import_begin(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}

void method_import_end(struct call *c)
{
	call_refuse(c, E_NOT_IMPLEMENTED, "This feature is not available");
}
