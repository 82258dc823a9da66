/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control groups (version 2) of qubes, where this user may make them: root, or a user whose session
 * manager delegates. A group gives pause, exact accounts, and limits of memory and processes for each
 * controller that there is; what is missing is said once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor/local/local.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define GROUP         "skerry-qubes"
#define PROCESSES_MAX "4096" /* chosen; as sandbox.c says to init */

static int write_at(int dir, const char *file, const char *text)
{
	OWNED_FD int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text));
}

static ssize_t read_at(int dir, const char *file, char *text, size_t max)
{
	OWNED_FD int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, max - 1);

	if (n >= 0)
		text[n] = '\0';
	return n;
}

int local_cgroup_set(const struct local_qube *q, const char *file, const char *text)
{
	errno = ENOENT;
	return q->cgroup < 0 ? -1 : write_at(q->cgroup, file, text);
}

ssize_t local_cgroup_read(const struct local_qube *q, const char *file, char *text, size_t max)
{
	errno = ENOENT;
	return q->cgroup < 0 ? -1 : read_at(q->cgroup, file, text, max);
}

/* This process's own group, in the one hierarchy of version 2, wherever that is mounted. */
static int open_own(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char text[4096], path[4200];
	char *line, *end;

	if (read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return -1;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line) {
		errno = ENOENT;
		return -1;
	}
	line += line == text ? 3 : 4;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", mounts[i]);
		if (access(path, F_OK))
			continue;
		(void)snprintf(path, sizeof(path), "%s%s", mounts[i], line);
		return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	errno = ENOENT;
	return -1;
}

/* Each by itself: one that is not there must not keep the others away. */
static void enable(int dir)
{
	static const char *const controllers[] = {"+memory", "+pids", "+cpu"};

	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		(void)!write_at(dir, "cgroup.subtree_control", controllers[i]);
}

void local_cgroups_open(struct local *local)
{
	OWNED_FD int own = open_own();
	OWNED_FD int group = -1;
	char text[256], link[48];
	ssize_t n;

	if (own < 0 || (mkdirat(own, GROUP, 0755) && errno != EEXIST)) {
		LOG_ERRNO("no control groups for qubes: memory is limited for each process only, "
		          "pause stops process by process");
		return;
	}
	enable(own);
	group = openat(own, GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group < 0 || faccessat(group, "cgroup.procs", W_OK, AT_EACCESS) ||
	    read_at(group, "cgroup.controllers", text, sizeof(text)) < 0) {
		LOG_ERRNO("no control groups for qubes");
		return;
	}
	enable(group);
	if (!strstr(text, "memory"))
		LOG("control groups without the memory controller: a qube's memory is limited for "
		    "each process only");
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", group);
	n = readlink(link, local->groups, sizeof(local->groups) - 1);
	local->groups[n > 0 ? n : 0] = '\0';
	local->cgroups = fd_take(&group);
}

static int open_group(const struct local_qube *q, bool make)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", q->domid);
	if (q->local->cgroups < 0)
		return -1;
	if (make && mkdirat(q->local->cgroups, name, 0755) && errno != EEXIST)
		return -1;
	return openat(q->local->cgroups, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void local_cgroup_make(struct local_qube *q)
{
	char text[32];

	if (q->local->cgroups < 0)
		return;
	q->cgroup = open_group(q, true);
	(void)snprintf(text, sizeof(text), "%d", (int)q->init.pid);
	if (q->cgroup < 0 || local_cgroup_set(q, "cgroup.procs", text)) {
		LOG_ERRNO("no control group for %s", q->name);
		local_cgroup_remove(q);
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)q->memory_max * 1024);
	if (q->memory_max > 0 && local_cgroup_set(q, "memory.max", text) && errno != ENOENT)
		LOG_ERRNO("%s: memory.max", q->name);
	if (local_cgroup_set(q, "pids.max", PROCESSES_MAX) && errno != ENOENT)
		LOG_ERRNO("%s: pids.max", q->name);
}

void local_cgroup_adopt(struct local_qube *q)
{
	q->cgroup = open_group(q, false);
}

void local_cgroup_remove(struct local_qube *q)
{
	char name[16];

	if (q->local->cgroups < 0)
		return;
	q->cgroup = fd_close(q->cgroup);
	(void)snprintf(name, sizeof(name), "%u", q->domid);
	if (unlinkat(q->local->cgroups, name, AT_REMOVEDIR) && errno != ENOENT)
		LOG_ERRNO("the control group of %s", q->name);
}
