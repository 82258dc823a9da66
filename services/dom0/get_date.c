/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.GetRandomizedTime in dom0, and qubes.GetDate[+nanoseconds]: the time of the qube that keeps it (property clockvm), or dom0's
 * own where dom0 keeps it or that qube does not run. Without a clockvm nothing is said.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call/answer_time.h"
#include "lib/base/log.h"
#include "services/dom0/qubesd_ask.h"

/* Errors: 0 with the name, "" if there is none; -1. To be freed. */
static int clock_qube(char **ret_name)
{
	const struct qubesd_question question = {.socket = QUBESD_SOCKET,
	                                         .method = "admin.property.Get+clockvm",
	                                         .source = "dom0",
	                                         .dest = "dom0"};
	const char *name;
	char *data;
	size_t len;

	if (qubesd_ask(&question, &data, &len))
		return -1;
	/* default=True type=vm NAME */
	name = strstr(data, " type=vm");
	name = name ? strchr(name + 1, ' ') : NULL;
	*ret_name = strdup(name ? name + 1 : "");
	free(data);
	return *ret_name ? 0 : -1;
}

static int is_running(const char *name, bool *ret_running)
{
	const struct qubesd_question question = {.socket = QUBESD_SOCKET,
	                                         .method = "admin.vm.CurrentState",
	                                         .source = "dom0",
	                                         .dest = name};
	char *data;
	size_t len;

	if (qubesd_ask(&question, &data, &len))
		return -1;
	*ret_running = strstr(data, "power_state=Running") != NULL;
	free(data);
	return 0;
}

static int ask_qube(const char *name, bool ns)
{
	execlp("qrexec-client", "qrexec-client", "-d", name,
	       ns ? "DEFAULT:QUBESRPC qubes.GetDate+nanoseconds dom0"
	          : "DEFAULT:QUBESRPC qubes.GetDate dom0",
	       (char *)NULL);
	LOG_ERRNO("qrexec-client");
	return 1;
}

int main(int argc, char **argv)
{
	const char *service = strrchr(argv[0], '/');
	bool ns = argc > 1 && *argv[1];
	bool running = false;
	char *name;
	int r;

	service = service ? service + 1 : argv[0];
	log_init(service);
	if (strcmp(service, "qubes.GetRandomizedTime") == 0)
		return answer_randomized_time();
	if (clock_qube(&name))
		return 1;
	if (!*name)
		r = 0;
	else if (strcmp(name, "dom0") == 0)
		r = answer_time(ns);
	else if (is_running(name, &running))
		r = 1;
	else
		r = running ? ask_qube(name, ns) : answer_time(ns);
	free(name);
	return r;
}
