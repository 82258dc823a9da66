/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as a command line, byte 0 says for dom0 or for a qube: refused, or parts that are whole. */
#include "call/service.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/base/log.h"
#include "proto/qrexec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_rpc(const struct service_command *command)
{
	size_t name_len = strlen(command->service);

	CHECK(name_len > 0 && name_len <= QREXEC_SERVICE_NAME_MAX);
	CHECK(!strpbrk(command->service, "+/ ") && !strchr(command->source, ' '));
	CHECK(*command->source);
	CHECK(strncmp(command->descriptor, command->full_name, strlen(command->full_name)) == 0);
	CHECK(command->descriptor_len == strlen(command->descriptor) + 1);
	CHECK((command->argument == NULL) == (strchr(command->full_name, '+') == NULL));
	CHECK((command->target_type == NULL) == (command->target == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_command command;
	char *line;

	if (len == 0)
		return 0;
	log_set_fd(-1);
	line = strndup((const char *)data + 1, len - 1);
	CHECK(line);
	if (service_parse(line, data[0] & 1, &command) == 0) {
		CHECK(command.dom0 || command.user[0]);
		if (command.is_rpc)
			check_rpc(&command);
	}
	service_command_fini(&command);
	free(line);
	return 0;
}
