/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/agent/user.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/check.h"

/* A file that was changed so short a time ago may change again without its time being another. */
#define SETTLED_S 2

/* Our own name, read again when the file of accounts has changed: this is asked for every call. */
static const char *own_name(void)
{
	static char name[SERVICE_USER_MAX];
	static struct stat seen;
	const struct passwd *own;
	struct stat now;
	bool there = stat("/etc/passwd", &now) == 0;

	if (there && seen.st_ino == now.st_ino && seen.st_dev == now.st_dev &&
	    seen.st_size == now.st_size && seen.st_ctim.tv_sec == now.st_ctim.tv_sec &&
	    seen.st_ctim.tv_nsec == now.st_ctim.tv_nsec)
		return name;
	seen = (struct stat){0};
	own = getpwuid(geteuid());
	if (!own || bytes_copy_text(name, sizeof(name), own->pw_name))
		return NULL;
	if (there && now.st_ctim.tv_sec + SETTLED_S < time(NULL))
		seen = now;
	return name;
}

bool user_is_own(const char *name)
{
	const char *own;

	if (geteuid() == 0)
		return true;
	own = own_name();
	return own && strcmp(own, name) == 0;
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
