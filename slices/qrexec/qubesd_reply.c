/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/qubesd_reply.h"

#include <string.h>

#define UUID_NAME_LEN 41U /* "uuid:" and 36 characters; protocol */

static const char good[] = "0"; /* with its NUL */
static const char runs_already[] = "2\0QubesVMNotHaltedError";

/* The NUL that ends a literal is a byte of what is compared only if len says so. */
static bool begins(const char *reply, size_t reply_len, const char *with, size_t len)
{
	return reply_len >= len && memcmp(reply, with, len) == 0;
}

bool qubesd_name_legal(const char *name)
{
	size_t len = 0;

	if (name[0] == '\0' || name[0] == '.')
		return false;
	while (qrexec_target_char(name[len])) {
		if (++len >= QREXEC_TARGET_LEN)
			return false;
	}
	return name[len] == '\0';
}

int qubesd_created_name(const char *reply, size_t len, bool with_uuid, char name[QREXEC_TARGET_LEN])
{
	size_t name_len = len - sizeof(good);

	if (!begins(reply, len, good, sizeof(good)) || name_len == 0 ||
	    name_len >= QREXEC_TARGET_LEN || memchr(reply + sizeof(good), '\0', name_len))
		return -1;
	memcpy(name, reply + sizeof(good), name_len);
	name[name_len] = '\0';
	if (!qubesd_name_legal(name) || name[0] == '@')
		return -1;
	if (with_uuid && (name_len != UUID_NAME_LEN || strncmp(name, "uuid:", 5) != 0))
		return -1;
	return 0;
}

bool qubesd_has_started(const char *reply, size_t len)
{
	return begins(reply, len, good, sizeof(good)) ||
	       begins(reply, len, runs_already, sizeof(runs_already) - 1);
}
