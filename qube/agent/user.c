/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/agent/user.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/check.h"

bool user_is_own(const char *name)
{
	const struct passwd *own;

	if (geteuid() == 0)
		return true;
	own = getpwuid(geteuid());
	return own && strcmp(own->pw_name, name) == 0;
}

bool user_prepare(struct user *user, const char *name, const struct service_command *command)
{
	int n;

	*user = (struct user){0};
	if (geteuid() != 0 || !*name)
		return false;
	/* Never the call without its user: a name that did not fit would be run as root. */
	CHECK(bytes_copy_text(user->name, sizeof(user->name), name) == 0);
	if (command->is_rpc && command->full_name && command->source) {
		n = snprintf(user->tag, sizeof(user->tag), "%s-%s", command->full_name,
		             command->source);
		if (n < 0)
			user->tag[0] = '\0';
	}
	return true;
}
