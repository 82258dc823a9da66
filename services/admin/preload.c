/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/preload.h"

bool preload_is(const struct qube *q)
{
	return false;
}
bool preload_feature_check(struct qube *q, const char *name, const char *value, struct fault *f)
{
	return true;
}
void preload_settings_changed(struct qube *q)
{
}
void preload_fill(struct qube *template)
{
}
void preload_fill_all(void)
{
}
bool preload_take(struct qube *template, struct call *c)
{
	return false;
}
void preload_drop_all(void)
{
}
void preload_stopped(struct qube *q)
{
}
void preload_unpaused(struct qube *q)
{
}
void preload_forget(struct qube *q)
{
}
void preload_settle(void)
{
}
