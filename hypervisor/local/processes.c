/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes belong to which qube: those in its PID namespace. A qube cannot make another one, so
 * each process of it is in that of its first.
 */
#include <dirent.h>
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

uint64_t local_pid_space(pid_t pid)
{
	char path[48];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &st) ? 0 : (uint64_t)st.st_ino;
}

static struct local_qube *owner_of(struct local *local, uint64_t space)
{
	unsigned int seen = 0;

	for (uint32_t domid = 1; space && domid <= MONITOR_DOMID_MAX && seen < local->n_qubes;
	     domid++) {
		struct local_qube *q = local->by_domid[domid];

		if (!q)
			continue;
		if (q->pid_space == space)
			return q;
		seen++;
	}
	return NULL;
}

int local_each_process(struct local *local, struct local_qube *only,
                       void (*fn)(void *arg, struct local_qube *q, pid_t pid), void *arg)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;

	if (!d)
		return -1;
	while ((entry = readdir(d))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		uint64_t space;
		struct local_qube *q;

		if (*end || pid <= 0)
			continue;
		space = local_pid_space((pid_t)pid);
		q = only && space ? (only->pid_space == space ? only : NULL)
		                  : owner_of(local, space);
		if (q)
			fn(arg, q, (pid_t)pid);
	}
	(void)closedir(d);
	return 0;
}

/* Use. */

static int read_proc(pid_t pid, const char *name, char *text, size_t max)
{
	char path[48];
	OWNED_FD int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, max - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return 0;
}

/* The number that stands after so many blanks; 0 if there are not as many. */
static uint64_t number_at(const char *text, unsigned int blanks)
{
	for (unsigned int i = 0; text && i < blanks; i++) {
		text = strchr(text, ' ');
		text = text ? text + 1 : NULL;
	}
	return text ? strtoull(text, NULL, 10) : 0;
}

static void add_usage(void *arg, struct local_qube *q, pid_t pid)
{
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t page_kib = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	char text[1024];
	const char *at;

	(void)arg;
	/* size resident shared …, in pages */
	if (read_proc(pid, "statm", text, sizeof(text)) == 0 &&
	    number_at(text, 1) > number_at(text, 2))
		q->usage.memory += (number_at(text, 1) - number_at(text, 2)) * page_kib;
	/* Fields 14 to 17. Those of children that it waited for are in its own; the qube's first process
	 * waits for all others. */
	if (read_proc(pid, "stat", text, sizeof(text)) == 0 && (at = strrchr(text, ')')))
		for (unsigned int field = 12; field < 16; field++)
			q->usage.cpu_ns += number_at(at, field) * tick_ns;
}

static uint64_t number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* Exact where the kernel counts by groups. */
static void group_usage(struct local_qube *q)
{
	char text[512];

	if (local_cgroup_read(q, "memory.current", text, sizeof(text)) > 0)
		q->usage.memory = strtoull(text, NULL, 10) / 1024;
	if (local_cgroup_read(q, "cpu.stat", text, sizeof(text)) > 0)
		q->usage.cpu_ns = number_after(text, "usage_usec ") * 1000;
}

void local_usage(struct local *local)
{
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		if (local->by_domid[domid])
			local->by_domid[domid]->usage =
			        (struct monitor_stat){.vcpus = local->by_domid[domid]->vcpus};
	if (local_each_process(local, NULL, add_usage, NULL))
		LOG_ERRNO("/proc");
	for (uint32_t domid = 1; domid <= MONITOR_DOMID_MAX; domid++)
		if (local->by_domid[domid])
			group_usage(local->by_domid[domid]);
}
