/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t child_fork(void)
{
	pid_t pid = fork();

	if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(CHILD_E_RIGHTS);
	return pid;
}

int child_wait(pid_t pid)
{
	int status;

	if (pid < 0)
		return CHILD_LOST;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return CHILD_LOST;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_LOST;
}
