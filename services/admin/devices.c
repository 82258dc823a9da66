/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/admin/devices.h"

bool devices_denied_rewrite(struct text *value, struct fault *f)
{
	return true;
}
bool devices_required(struct qube *q, struct fault *f)
{
	return true;
}
void devices_started(struct qube *q)
{
}
void devices_stopped(struct qube *q)
{
}
