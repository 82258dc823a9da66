/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which volumes are in use: counted in memory, and for others and for after a crash of this service as
 * files volume-running-POOL:VID in /run/qubes, in which stands the run of the machine that they are of.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/storage/service.h"

#define BOOT_ID_LEN 36U
#define BUCKETS     256U

struct marker {
	struct marker *next;
	unsigned int users;
	char pool[STORAGE_POOL_LEN];
	char vid[STORAGE_VID_LEN];
};

struct markers {
	struct marker *buckets[BUCKETS];
	int dir; /* borrowed; -1: no files */
	char boot_id[BOOT_ID_LEN + 1];
};

struct markers *markers_new(int run_dir, const char *boot_id)
{
	struct markers *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->dir = run_dir;
	(void)snprintf(m->boot_id, sizeof(m->boot_id), "%s", boot_id);
	return m;
}

struct markers *markers_free(struct markers *m)
{
	for (size_t i = 0; m && i < BUCKETS; i++) {
		while (m->buckets[i]) {
			struct marker *k = m->buckets[i];

			m->buckets[i] = k->next;
			free(k);
		}
	}
	free(m);
	return NULL;
}

static struct marker **find(const struct markers *m, const char *pool, const char *vid)
{
	struct marker *const *at;
	uint32_t hash = 2166136261U;

	for (const char *p = vid; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619U;
	at = &m->buckets[hash % BUCKETS];
	while (*at && (strcmp((*at)->vid, vid) != 0 || strcmp((*at)->pool, pool) != 0))
		at = &(*at)->next;
	return (struct marker **)(uintptr_t)at;
}

/* In "POOL:VID" each "-" becomes "--", then each "/" a "-". */
static int file_name(char out[NAME_MAX + 1], const char *pool, const char *vid)
{
	static const char begin[] = "volume-running-";
	char text[STORAGE_POOL_LEN + STORAGE_VID_LEN + 2];
	size_t n = sizeof(begin) - 1;

	(void)snprintf(text, sizeof(text), "%s:%s", pool, vid);
	memcpy(out, begin, n);
	for (const char *p = text; *p; p++) {
		if (n + 2 > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		out[n++] = *p == '/' ? '-' : *p;
		if (*p == '-')
			out[n++] = '-';
	}
	out[n] = '\0';
	return 0;
}

bool markers_running(const struct markers *m, const char *pool, const char *vid)
{
	return *find(m, pool, vid) != NULL;
}

bool markers_this_boot(const struct markers *m, const char *pool, const char *vid)
{
	char name[NAME_MAX + 1], text[BOOT_ID_LEN + 1] = "";
	OWNED_FD int fd = -1;

	if (*find(m, pool, vid))
		return true;
	if (m->dir < 0 || file_name(name, pool, vid))
		return false;
	fd = openat(m->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && read(fd, text, BOOT_ID_LEN) == (ssize_t)BOOT_ID_LEN &&
	       strcmp(text, m->boot_id) == 0;
}

void markers_add(struct markers *m, const char *pool, const char *vid)
{
	struct marker **at = find(m, pool, vid);
	char name[NAME_MAX + 1];
	OWNED_FD int fd = -1;

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at) {
			LOG_ERRNO("%s: its use cannot be counted", vid);
			return;
		}
		(void)snprintf((*at)->pool, sizeof((*at)->pool), "%s", pool);
		(void)snprintf((*at)->vid, sizeof((*at)->vid), "%s", vid);
	}
	(*at)->users++;
	if (m->dir < 0 || file_name(name, pool, vid))
		return;
	fd = openat(m->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	/* Without it a crash of this service later looks like one of the machine: more is kept then. */
	if (fd < 0 || fd_write_all(fd, m->boot_id, strlen(m->boot_id)))
		LOG_ERRNO("%s cannot be written", name);
}

void markers_drop(struct markers *m, const char *pool, const char *vid)
{
	struct marker **at = find(m, pool, vid), *k = *at;
	char name[NAME_MAX + 1];

	if (k && --k->users > 0)
		return;
	if (k) {
		*at = k->next;
		free(k);
	}
	if (m->dir >= 0 && file_name(name, pool, vid) == 0 && unlinkat(m->dir, name, 0) &&
	    errno != ENOENT)
		LOG_ERRNO("%s cannot be removed", name);
}
