/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_METHODS_H
#define SERVICES_ADMIN_METHODS_H

#include "services/admin/call.h"

/* Handlers: one file for each family of methods. */

/* list.c */
void method_vmclass_list(struct call *c);
void method_deviceclass_list(struct call *c);
void method_vm_list(struct call *c);

/* properties.c */
void method_property_list(struct call *c);
void method_property_get(struct call *c);
void method_property_get_all(struct call *c);
void method_property_table(struct call *c);
void method_property_get_default(struct call *c);
void method_property_help(struct call *c);
void method_property_set(struct call *c);
void method_property_reset(struct call *c);

/* labels.c */
bool label_name_check(const char *name, struct fault *f) MUST_CHECK;
void method_label_list(struct call *c);
void method_label_get(struct call *c);
void method_label_index(struct call *c);
void method_label_create(struct call *c);
void method_label_remove(struct call *c);

/* create.c, remove.c */
void method_create(struct call *c);
void method_create_in_pool(struct call *c);
void method_create_disposable(struct call *c);
void method_remove(struct call *c);

/* notes.c */
void method_notes_get(struct call *c);
void method_notes_set(struct call *c);

/* sysinfo.c */
void method_system_info(struct call *c);

#endif
