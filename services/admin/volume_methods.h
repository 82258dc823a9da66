/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_VOLUME_METHODS_H
#define SERVICES_ADMIN_VOLUME_METHODS_H

#include "services/admin/call.h"

/* admin.vm.volume.* and internal.vm.volume.*. */

void method_volume_clear(struct call *c);
void method_volume_clone_from(struct call *c);
void method_volume_clone_to(struct call *c);
void method_volume_info(struct call *c);
void method_volume_list(struct call *c);
void method_volume_list_snapshots(struct call *c);
void method_volume_resize(struct call *c);
void method_volume_revert(struct call *c);
void method_volume_set_ephemeral(struct call *c);
void method_volume_set_revisions(struct call *c);
void method_volume_set_rw(struct call *c);
void method_import_begin(struct call *c);
void method_import_end(struct call *c);
void method_export_begin(struct call *c);
void method_export_end(struct call *c);

#endif
