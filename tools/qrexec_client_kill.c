/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One call to qubesd over its own socket, at the end of the program: doc/protocol/qrexec.md, 6.9. */
#include "tools/qrexec_client_kill.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/limits.h"

/* "0\0" is yes, "2\0TYPE\0…" is no. */
static void read_answer(int sock, const char *name)
{
	char answer[256];
	size_t len = 0;
	ssize_t n;

	do {
		n = read(sock, answer + len, sizeof(answer) - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < sizeof(answer) - 1);
	answer[len] = '\0';
	if (n < 0)
		LOG_ERRNO("qubesd did not answer to the kill of %s", name);
	else if (len < 2 || answer[0] != '0' || answer[1] != '\0')
		LOG("qubesd did not kill %s: %s", name, len > 2 ? answer + 2 : "no answer");
}

void qubesd_kill(const char *name)
{
	const struct timeval limit = {.tv_sec = LIMIT_QUBESD_MS / 1000};
	OWNED_FD int sock = -1;
	char path[PATH_MAX];
	char question[512];
	int len;

	len = snprintf(question, sizeof(question), "admin.vm.Kill+ dom0 name %s", name);
	if (len < 0 || (size_t)len >= sizeof(question) ||
	    path_make(path, sizeof(path), "/run/qubesd.sock", NULL)) {
		LOG("name of the qube to kill is too long");
		return;
	}
	sock = fd_connect_unix(path, SOCK_STREAM);
	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    fd_write_all(sock, question, (size_t)len + 1) || shutdown(sock, SHUT_WR)) {
		LOG_ERRNO("ask qubesd at %s to kill %s", path, name);
		return;
	}
	read_answer(sock, name);
}
