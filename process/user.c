/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See user.h. */
#include "process/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;

	if (!f)
		return -1;
	while ((pw = fgetpwent(f)) && strcmp(pw->pw_name, name) != 0)
		;
	if (pw) {
		*ret_uid = pw->pw_uid;
		*ret_gid = pw->pw_gid;
	}
	(void)fclose(f);
	if (pw)
		return 0;
	errno = ENOENT;
	return -1;
}

int user_become(uid_t uid, gid_t gid)
{
	return setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ? -1 : 0;
}

/* Whether root is to become that user. */
static bool find_wanted(const char *name, uid_t *uid, gid_t *gid)
{
	if (geteuid() != 0)
		return false;
	if (user_find(name, uid, gid) == 0)
		return true;
	LOG("there is no user %s: running as root, confined", name);
	return false;
}

int user_enter(const char *name)
{
	uid_t uid;
	gid_t gid;

	return find_wanted(name, &uid, &gid) ? user_become(uid, gid) : 0;
}

int user_enter_alone(const char *name)
{
	uid_t uid;
	gid_t gid;

	return find_wanted(name, &uid, &gid) ? setresuid(uid, uid, uid) : 0;
}
