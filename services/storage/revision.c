/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/storage/revision.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/storage/disk.h"

struct reading {
	struct revisions *r;
	const char *stem;
	size_t stem_len;
};

/* ".N@TIME" behind the stem; 0 if it is none. */
static uint64_t number_of(const char *rest)
{
	char *end;
	uint64_t n;

	if (rest[0] != '.' || rest[1] < '1' || rest[1] > '9')
		return 0;
	errno = 0;
	n = strtoull(rest + 1, &end, 10);
	if (errno || *end != '@' || strlen(end) != 21 || end[20] != 'Z' || n > INT64_MAX)
		return 0;
	return n;
}

static int read_entry(void *arg, int dir, const char *name)
{
	struct reading *g = arg;
	struct revision *grown;
	struct stat st;
	uint64_t number;

	if (strncmp(name, g->stem, g->stem_len) != 0)
		return 0;
	number = number_of(name + g->stem_len);
	if (number == 0)
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (g->r->n >= REVISIONS_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	grown = realloc(g->r->list, (g->r->n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	g->r->list = grown;
	grown += g->r->n++;
	*grown = (struct revision){.number = number,
	                           .ino = st.st_ino,
	                           .held = !(st.st_mode & S_IWUSR)};
	memcpy(grown->name, name, strlen(name) + 1);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct revision *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* A file that is not there, or not ours, holds nothing. */
static void read_held(struct revisions *r, int dir, const char *stem)
{
	char name[NAME_MAX + 1], text[64] = "";
	OWNED_FD int fd = -1;
	uint64_t first, last;

	if (snprintf(name, sizeof(name), "%s.held", stem) > NAME_MAX)
		return;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "%19" SCNu64 " %19" SCNu64, &first, &last) != 2)
		return;
	for (size_t i = 0; i < r->n; i++)
		r->list[i].held = r->list[i].number >= first && r->list[i].number <= last;
}

int revisions_read(struct revisions *r, int dir, const char *stem)
{
	struct reading g = {.r = r, .stem = stem, .stem_len = strlen(stem)};

	*r = (struct revisions){0};
	if (disk_each(dir, read_entry, &g))
		return -1;
	if (r->n > 0)
		qsort(r->list, r->n, sizeof(*r->list), by_number);
	read_held(r, dir, stem);
	return 0;
}

void revisions_free(struct revisions *r)
{
	free(r->list);
	*r = (struct revisions){0};
}

const struct revision *revision_find(const struct revisions *r, const char *id)
{
	char *end;
	uint64_t number = strtoull(id, &end, 10);

	if (*end != '\0' || id[0] < '1' || id[0] > '9')
		return NULL;
	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].number == number)
			return &r->list[i];
	}
	return NULL;
}

int revision_next_name(const struct revisions *r, const char *stem, const struct stat *st,
                       char out[NAME_MAX + 1])
{
	uint64_t number = r->n > 0 ? r->list[r->n - 1].number + 1 : 1;
	char when[32];
	struct tm tm;
	int n;

	if (!gmtime_r(&st->st_mtim.tv_sec, &tm) ||
	    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) != 20) {
		/* A time that no calendar has: the state is as old as it can be. */
		memcpy(when, "1970-01-01T00:00:00Z", 21);
	}
	n = snprintf(out, NAME_MAX + 1, "%s.%" PRIu64 "@%s", stem, number, when);
	if (n > 0 && n <= NAME_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int revisions_prune(struct job *job, const char *stem, int64_t keep)
{
	struct revisions r;
	size_t ordinary = 0;
	int result = revisions_read(&r, job->at.dir, stem);

	for (size_t i = 0; result == 0 && i < r.n; i++)
		ordinary += !r.list[i].held;
	for (size_t i = 0; result == 0 && i < r.n; i++) {
		if (r.list[i].held || (keep > 0 && ordinary <= (size_t)keep))
			continue;
		STEP();
		result = disk_discard(job->pool_fd, job->at.dir, r.list[i].name);
		ordinary--;
	}
	revisions_free(&r);
	return result;
}

int revisions_hold(int dir, const char *stem, uint64_t first, uint64_t last)
{
	char name[NAME_MAX + 1], temporary[NAME_MAX + 1], text[64];
	OWNED_FD int fd = -1;
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", first, last);

	if (snprintf(name, sizeof(name), "%s.held", stem) > NAME_MAX ||
	    snprintf(temporary, sizeof(temporary), "%s.held~", stem) > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0 || fd_write_all(fd, text, (size_t)n) || fsync(fd) ||
	    renameat(dir, temporary, dir, name))
		return -1;
	return disk_sync_folder(dir);
}
