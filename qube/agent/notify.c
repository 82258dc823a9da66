/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qube/agent/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"

#define MEMINFO_PID_FILE "/var/run/meminfo-writer.pid"
#define MEMINFO_PID_MAX  65535 /* protocol */

void notify_ready(void)
{
	static const char text[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	OWNED_FD
	int sock = -1;
	size_t len = path ? strlen(path) : 0;
	socklen_t addr_len;

	if (len == 0)
		return;
	if (len >= sizeof(addr.sun_path)) {
		LOG("NOTIFY_SOCKET is too long");
		return;
	}
	memcpy(addr.sun_path, path, len);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || sendto(sock, text, sizeof(text) - 1, MSG_NOSIGNAL,
	                       (const struct sockaddr *)&addr, addr_len) < 0)
		LOG_ERRNO("telling systemd that we are ready");
	(void)unsetenv("NOTIFY_SOCKET");
}

void notify_meminfo(struct agent *agent)
{
	char path[PATH_MAX];
	char text[16] = "";
	OWNED_FD
	int fd = -1;
	char *end;
	long pid;

	if (agent->woke_meminfo)
		return;
	agent->woke_meminfo = true;
	if (path_make(path, sizeof(path), MEMINFO_PID_FILE, NULL))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return;
	pid = strtol(text, &end, 10);
	if (end == text || pid < 2 || pid > MEMINFO_PID_MAX) {
		LOG("%s holds no process number", path);
		return;
	}
	if (kill((pid_t)pid, SIGUSR1) < 0)
		LOG_ERRNO("waking the meminfo writer");
}
