/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_TEMPLATE_INSTALL_H
#define TOOLS_TEMPLATE_INSTALL_H

#include "tools/template/payload.h"
#include "tools/template/template.h"

/* One package into one qube. */
struct install {
	const struct template_options *options;
	const struct fetched *package;
	const char *qube;
	const char *pool; /* of a new one; NULL: the default */
	bool existing;    /* its root volume is replaced, and its private one emptied */
	bool allow_pv, skip_start;
};

/** settings_apply() - what template.conf and the lists of applications say */
struct admin_reply settings_apply(const struct install *job, const struct payload_info *info);

/** settings_describe() - the features template-…, template-name as the last of them */
struct admin_reply settings_describe(const struct install *job);

/** install_make() - does it; 0, or -1 after a message. What it made before it failed is taken away */
int install_make(const struct install *job) MUST_CHECK;

#endif
