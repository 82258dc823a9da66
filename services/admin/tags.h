/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_TAGS_H
#define SERVICES_ADMIN_TAGS_H

#include "services/admin/call.h"

/** tag_put(), tag_drop() - in the open turn, with their events; nothing if it is so already */
void tag_put(struct qube *q, const char *tag);
void tag_drop(struct qube *q, const char *tag);

/** tag_follow() - exactly one tag PREFIX + name of the qube; none for NULL */
void tag_follow(struct qube *q, const char *prefix, const struct qube *is);

/** tag_created_by() - the tag of who made it, and what follows from it */
void tag_created_by(struct qube *q, struct qube *creator);

void method_tag_list(struct call *c);
void method_tag_get(struct call *c);
void method_tag_set(struct call *c);
void method_tag_remove(struct call *c);

#endif
