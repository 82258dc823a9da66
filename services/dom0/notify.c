/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.FeaturesRequest, qubes.NotifyTools and qubes.NotifyUpdates in dom0: what a qube says of itself
 * goes to the admin service's socket for that, under the caller's name, which dom0 set. Nothing is
 * answered but the exit status. Source: doc/protocol/services.md.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/services/updates.h"
#include "services/dom0/qubesd_ask.h"

/* The number is checked here already, so that the admin service reads no byte of a qube as it came. */
static int read_count(char *text, size_t max, size_t *ret_len)
{
	char untrusted_data[UPDATES_COUNT_MAX + 1];
	size_t len = 0;
	bool any;

	while (len < sizeof(untrusted_data)) {
		ssize_t n = read(STDIN_FILENO, untrusted_data + len, sizeof(untrusted_data) - len);

		if (n < 0) {
			LOG_ERRNO("read");
			return -1;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (updates_count_parse(untrusted_data, len, &any)) {
		LOG("Update count is not a digit");
		return -1;
	}
	*ret_len = (size_t)snprintf(text, max, "%d", any);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const char *source = getenv("QREXEC_REMOTE_DOMAIN");
	struct qubesd_question question = {.socket = QUBESD_MISC, .dest = "dom0"};
	char count[8];
	char *data;
	size_t len;

	(void)argc;
	name = name ? name + 1 : argv[0];
	log_init(name);
	if (!source) {
		LOG("QREXEC_REMOTE_DOMAIN is not set: this is a service");
		return 2;
	}
	question.method = name;
	question.source = source;
	if (strcmp(name, "qubes.NotifyUpdates") == 0) {
		if (read_count(count, sizeof(count), &question.payload_len))
			return 1;
		question.payload = count;
	} else if (strcmp(name, "qubes.FeaturesRequest") != 0 &&
	           strcmp(name, "qubes.NotifyTools") != 0) {
		LOG("no service of this name");
		return 2;
	}
	if (qubesd_ask(&question, &data, &len))
		return 1;
	free(data);
	return 0;
}
