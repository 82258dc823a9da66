/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/policy_exec_call.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/limits.h"

/*
 * Makes the call that a policy answer allows, as the daemon's own child would: doc/protocol/policy.md,
 * Policy program; doc/protocol/qrexec.md, 6.9. The words of the answer come from our own policy
 * service; those of the caller went through its decision before they are put into a command.
 */

#define EXIT_FAILED 1
#define NAME_LEN    41U /* "uuid:" and 36 characters; protocol */
#define DISPVM      "@dispvm:"
#define DISPVM_LEN  (sizeof(DISPVM) - 1)

/* The reply of the admin service, given; NULL: none. */
static char *ask_admin(const char *method, const char *dest, const char *payload, size_t *ret_len)
{
	char request[256];
	int n = snprintf(request, sizeof(request), "%s+ dom0 name %s%c%s", method, dest, '\0',
	                 payload);
	char *reply = NULL;

	if (n > 0 && (size_t)n < sizeof(request))
		reply = policy_exec_exchange("/run/qubesd.sock", request, (size_t)n, true,
		                             LIMIT_QUBESD_MS, ret_len);
	if (!reply)
		LOG("%s of %s: the admin service does not answer", method, dest);
	return reply;
}

static bool begins(const char *reply, size_t len, const char *with, size_t with_len)
{
	return len >= with_len && memcmp(reply, with, with_len) == 0;
}

/* It runs now, or ran before. */
static bool has_started(const char *reply, size_t len)
{
	static const char runs_already[] = "2\0QubesVMNotHaltedError";

	return begins(reply, len, "0", 2) ||
	       begins(reply, len, runs_already, sizeof(runs_already) - 1);
}

/* "0" NUL "uuid:" and a UUID, to the byte. The rest goes into a command line. */
static bool created_name(const char *reply, size_t len, char name[NAME_LEN + 1])
{
	if (len != 2 + NAME_LEN || !begins(reply, len, "0\0uuid:", 7) ||
	    strspn(reply + 7, "0123456789abcdefABCDEF-") != NAME_LEN - 5)
		return false;
	memcpy(name, reply + 2, NAME_LEN + 1);
	return true;
}

static int start_qube(const char *name)
{
	size_t len = 0;
	char *reply = ask_admin("admin.vm.Start", name, "", &len);
	bool good = reply && has_started(reply, len);

	if (reply && !good)
		LOG("%s cannot be started", name);
	free(reply);
	return good ? 0 : -1;
}

static int make_disposable(const char *template, char name[NAME_LEN + 1])
{
	size_t len = 0;
	char *reply = ask_admin("admin.vm.CreateDisposable", template, "uuid", &len);
	bool good = reply && created_name(reply, len, name);

	if (reply && !good)
		LOG("no disposable of %s can be made", template);
	free(reply);
	return good ? 0 : -1;
}

static void kill_qube(const char *name)
{
	size_t len;

	free(ask_admin("admin.vm.Kill", name, "", &len));
}

static int client_path(char *path, size_t len)
{
	static const char *const places[] = {"qrexec-client", NULL};

	if (path_make(path, len, "/usr/bin/qrexec-client", NULL) == 0 && access(path, X_OK) == 0)
		return 0;
	return path_program(path, len, places);
}

/* "USER:QUBESRPC SERVICE SOURCE", and for dom0 what it was called as. */
static char *make_command(const struct policy_exec_caller *caller,
                          const struct policy_answer *answer)
{
	const char *service = answer->service[0] ? answer->service : caller->service;
	const char *source = answer->policy_source[0] ? answer->policy_source : caller->name;
	bool dom0 = strcmp(answer->target, "dom0") == 0 || strcmp(answer->target, "@adminvm") == 0;
	bool keyword = answer->requested_target[0] == '@';
	char *command;
	int n;

	if (dom0)
		n = asprintf(&command, "DEFAULT:QUBESRPC %s %s %s %s", service, source,
		             keyword ? "keyword" : "name", answer->requested_target + keyword);
	else
		n = asprintf(&command, "%s:QUBESRPC %s %s", answer->user, service, source);
	return n < 0 ? NULL : command;
}

/* Returns only if the program cannot be run. */
static void become_client(const struct policy_exec_caller *caller,
                          const struct policy_answer *answer, const char *target, bool disposable)
{
	char path[PATH_MAX], *command = make_command(caller, answer), *connect = NULL;
	char *name = strdup(target);
	/* -E: the status is about the call, not the program; -W: wait for it; -k: then kill. */
	char waiting[] = "-EWkd", plain[] = "-Ed", from[] = "-c";
	char *argv[] = {path, disposable ? waiting : plain, name, from, connect, command, NULL};

	if (asprintf(&connect, "%s,%s,%s", caller->ident, caller->name, caller->domid) < 0)
		connect = NULL;
	argv[4] = connect;
	if (name && command && connect && client_path(path, sizeof(path)) == 0)
		(void)execv(path, argv);
	LOG_ERRNO("qrexec-client cannot be run");
	free(connect);
	free(command);
	free(name);
}

int policy_exec_call(const struct policy_exec_caller *caller, const struct policy_answer *answer)
{
	bool disposable = strncmp(answer->target, DISPVM, DISPVM_LEN) == 0;
	char name[NAME_LEN + 1];

	/* In a connection they are separated by commas. */
	if (strchr(caller->ident, ',') || strchr(caller->name, ',')) {
		LOG("a request or a caller with a comma");
		return EXIT_FAILED;
	}
	if (!disposable) {
		if (answer->autostart && strcmp(answer->target, "dom0") != 0 &&
		    answer->target[0] != '@' && start_qube(answer->target))
			return EXIT_FAILED;
		become_client(caller, answer,
		              answer->target_uuid[0] ? answer->target_uuid : answer->target, false);
		return EXIT_FAILED;
	}
	if (make_disposable(answer->target + DISPVM_LEN, name))
		return EXIT_FAILED;
	if (start_qube(name) == 0)
		become_client(caller, answer, name, true);
	kill_qube(name);
	return EXIT_FAILED;
}
