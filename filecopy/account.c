/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

bool account_number(const char *text, unsigned long long max, unsigned long long *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0 && *ret <= max;
}

static int switch_user(const struct passwd *pw)
{
	if (setgid(pw->pw_gid) || initgroups(pw->pw_name, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid)) {
		LOG_ERRNO("become user %s", pw->pw_name);
		return -1;
	}
	return 0;
}

int account_become(uid_t uid, const char **ret_home)
{
	const char *own_home = secure_getenv("HOME");
	const struct passwd *pw;

	if (uid != getuid() && getuid() != 0) {
		LOG("only root may receive as another user (%u)", uid);
		return -1;
	}
	errno = 0;
	pw = getpwuid(uid);
	if (!pw) {
		LOG("there is no account with number %u", uid);
		return -1;
	}
	if (uid == getuid() && own_home && own_home[0] == '/')
		*ret_home = own_home;
	else
		*ret_home = pw->pw_dir;
	if ((uid != getuid() || uid != geteuid()) && switch_user(pw))
		return -1;
	if (setenv("HOME", *ret_home, 1) || setenv("USER", pw->pw_name, 1))
		return -1;
	*ret_home = getenv("HOME");
	return 0;
}
