/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the configuration file of a service: refused, or settings that do not contradict. */
#include "call/service.h"

#include <string.h>

#include "lib/base/check.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_settings settings;
	unsigned int line = 0;
	int r;

	log_set_fd(-1);
	r = service_settings_parse((const char *)data, len, &settings, &line);
	CHECK(line <= len + 1);
	if (r)
		return 0;
	CHECK(memchr(settings.force_user, '\0', sizeof(settings.force_user)));
	CHECK(!len || !memchr(data, '\0', len));
	CHECK(!settings.force_user[0] ||
	      (!settings.skip_descriptor && !settings.exit_on_client_eof &&
	       !settings.exit_on_service_eof));
	return 0;
}
