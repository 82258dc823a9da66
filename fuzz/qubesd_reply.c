/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any answer of qubesd: a name that comes out may stand in a path and in a command. */
#include "slices/qrexec/qubesd_reply.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *reply = (const char *)data;
	char name[QREXEC_TARGET_LEN];

	for (int with_uuid = 0; with_uuid < 2; with_uuid++) {
		memset(name, 'x', sizeof(name));
		if (qubesd_created_name(reply, len, with_uuid, name))
			continue;
		CHECK(memchr(name, '\0', sizeof(name)) != NULL);
		CHECK(name[0] != '\0' && name[0] != '.' && name[0] != '@');
		CHECK(!strpbrk(name, "/ \n\t\\$`'\""));
		CHECK(strlen(name) + 2 == len && memcmp(reply + 2, name, len - 2) == 0);
		CHECK(!with_uuid || strncmp(name, "uuid:", 5) == 0);
	}
	(void)qubesd_has_started(reply, len);
	return 0;
}
