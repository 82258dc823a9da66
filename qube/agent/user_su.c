/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User switching of an agent that was built without PAM: su does it. It clears the environment, so
 * the variables of the call are named to it. Source: doc/protocol/qrexec.md, 10.8.
 */
#include "qube/agent/user.h"

#include <errno.h>
#include <pwd.h>

#include "lib/base/log.h"

#define SU "/bin/su"
#define KEPT                                                                                       \
	"QREXEC_SERVICE_FULL_NAME,QREXEC_SERVICE_ARGUMENT,QREXEC_REMOTE_DOMAIN,"                   \
	"QREXEC_REQUESTED_TARGET_TYPE,QREXEC_AGENT_PID,QREXEC_SERVICE_PATH"
#define RUN_ARGUMENTS "exec \"$0\" \"$@\""

int user_start(void *arg, const struct spawn_config *config, struct spawned *out)
{
	struct user *user = arg;
	char su[] = "su";
	char login[] = "-l";
	char keep[] = "-w";
	char kept[] = KEPT;
	char command[] = "-c";
	/* su takes options after names too, and the argument is another qube's. */
	char end[] = "--";
	char run[] = RUN_ARGUMENTS;
	char *program = config->argv[0];
	char *argument = config->argv[0] ? config->argv[1] : NULL;
	char *for_rpc[] = {su,  login,      keep,    kept,     command, run,
	                   end, user->name, program, argument, NULL};
	char *for_shell[] = {su,  login,      command, config->is_shell ? config->argv[2] : run,
	                     end, user->name, NULL};
	struct spawn_config with_su = *config;
	const struct passwd *pw = getpwnam(user->name);

	/* su would say so by a status that a program may have as well. */
	if (!pw) {
		LOG("there is no user %s", user->name);
		return EPERM;
	}
	with_su.err_uid = pw->pw_uid;
	with_su.err_gid = pw->pw_gid;
	with_su.path = SU;
	with_su.argv = config->is_shell ? for_shell : for_rpc;
	return spawn_start(&with_su, out);
}
