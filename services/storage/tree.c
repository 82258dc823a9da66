/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of directory trees. The tree is a qube's: any name, any mode, links to anywhere, as deep and
 * as wide as it liked. So every step is one name in an open folder, links are copied and not followed,
 * and depth, open descriptors and remembered links have limits.
 */
#include "services/storage/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/storage/disk.h"

#define ATTRIBUTES_MAX                                                                             \
	65536U /* bytes of one file's names, and of one value; the kernel's own limit */
#define LINK_BUCKETS 4096U

/* A file with several names: where its first one was copied to, from the top of the copy. */
struct link_seen {
	struct link_seen *next;
	dev_t dev;
	ino_t ino;
	char path[];
};

struct copy {
	struct job *job;
	int top; /* of the copy; borrowed */
	struct link_seen *links[LINK_BUCKETS];
	size_t n_links;
	uint64_t done, skipped;
	bool no_shares; /* the file system shares no blocks */
	bool owners;    /* this process may give files away */
	uint32_t owner; /* to whom; 0: to whom the original belongs */
	char path
	        [PATH_MAX]; /* of the folder at work, from the top, with a final slash; for links */
	size_t path_len;
};

struct level {
	struct copy *c;
	int to;
	unsigned int depth;
};

static void copy_attribute(int from, int to, const char *name, char *value)
{
	ssize_t n;

	if (strncmp(name, "user.", 5) != 0 && strncmp(name, "system.posix_acl_", 17) != 0 &&
	    strcmp(name, "security.capability") != 0)
		return;
	n = fgetxattr(from, name, value, ATTRIBUTES_MAX);
	/* What a file system or a right refuses is left out, as cp does it. */
	if (n >= 0)
		(void)fsetxattr(to, name, value, (size_t)n, 0);
}

static void copy_attributes(int from, int to)
{
	static char names[ATTRIBUTES_MAX], value[ATTRIBUTES_MAX];
	ssize_t n = flistxattr(from, names, sizeof(names));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		copy_attribute(from, to, names + i, value);
}

static uint32_t owner_of(const struct copy *c, uint32_t original)
{
	return c->owner ? c->owner : original;
}

/* Owner before mode: giving a file away takes its set-user-id bit. */
static int finish_file(const struct copy *c, int from, int to, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (c->owners && fchown(to, owner_of(c, st->st_uid), owner_of(c, st->st_gid)))
		return -1;
	if (fchmod(to, st->st_mode & 07777))
		return -1;
	copy_attributes(from, to);
	return futimens(to, times);
}

static struct link_seen **link_bucket(struct copy *c, const struct stat *st)
{
	return &c->links[(st->st_ino ^ st->st_dev) % LINK_BUCKETS];
}

/* 1: linked to an earlier copy; 0: to be copied; remembers this name as the first. */
static int copy_link(struct copy *c, int to, const char *name, const struct stat *st)
{
	struct link_seen **bucket = link_bucket(c, st), *l;
	size_t len = c->path_len + strlen(name) + 1;

	for (l = *bucket; l; l = l->next) {
		if (l->ino == st->st_ino && l->dev == st->st_dev)
			return linkat(c->top, l->path, to, name, 0) == 0;
	}
	if (c->n_links >= TREE_LINKS_MAX || len > PATH_MAX)
		return 0;
	l = malloc(sizeof(*l) + len);
	if (!l)
		return 0;
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	memcpy(l->path, c->path, c->path_len);
	memcpy(l->path + c->path_len, name, len - c->path_len);
	l->next = *bucket;
	*bucket = l;
	c->n_links++;
	return 0;
}

/*
 * A file or folder whose owner took the right to read from himself is still to be copied. *ret_mode: what
 * to put back when it was read, or 0.
 */
static int open_unreadable(int dir, const char *name, int flags, const struct stat *st,
                           mode_t *ret_mode)
{
	mode_t mode = st->st_mode & 07777, wanted = S_ISDIR(st->st_mode) ? 0500 : 0400;

	*ret_mode = 0;
	if ((mode & wanted) != wanted && geteuid() != 0 &&
	    disk_chmod(dir, name, mode | wanted) == 0)
		*ret_mode = mode | S_IFREG;
	return openat(dir, name, flags);
}

static void make_unreadable(int fd, mode_t mode)
{
	if (mode && fd >= 0 && fchmod(fd, mode & 07777))
		LOG_ERRNO("a mode cannot be put back");
}

static int copy_regular(struct level *l, int dir, const char *name, const struct stat *st)
{
	mode_t mode;
	OWNED_FD int from =
	        open_unreadable(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, st,
	                        &mode);
	OWNED_FD int to = -1;
	struct stat now;

	make_unreadable(from, mode);
	if (from < 0 || fstat(from, &now))
		return -1;
	if (!S_ISREG(now.st_mode)) {
		errno = EIO;
		return -1;
	}
	to = openat(l->to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || disk_copy_data(NULL, from, to, &now, &l->c->no_shares))
		return -1;
	l->c->done += (uint64_t)now.st_size;
	if (l->c->job)
		job_progress(l->c->job, l->c->done, 0);
	return finish_file(l->c, from, to, &now);
}

static int copy_symlink(struct level *l, int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0)
		return -1;
	if ((size_t)n == sizeof(target)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	target[n] = '\0';
	if (symlinkat(target, l->to, name))
		return -1;
	if (l->c->owners && fchownat(l->to, name, owner_of(l->c, st->st_uid),
	                             owner_of(l->c, st->st_gid), AT_SYMLINK_NOFOLLOW))
		return -1;
	return utimensat(l->to, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_fifo(struct level *l, const char *name, const struct stat *st)
{
	OWNED_FD int fd = -1;

	if (mkfifoat(l->to, name, 0600))
		return -1;
	fd = openat(l->to, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : finish_file(l->c, fd, fd, st);
}

static int copy_entry(void *arg, int dir, const char *name);

/* What is in an open folder. */
static int copy_inside(struct level *l, int from, int to, const char *name)
{
	struct level below = {.c = l->c, .to = to, .depth = l->depth + 1};
	size_t len = strlen(name), kept = l->c->path_len;
	struct copy *c = l->c;
	int r;

	if (c->path_len + len + 1 < sizeof(c->path)) {
		memcpy(c->path + c->path_len, name, len);
		c->path_len += len;
		c->path[c->path_len++] = '/';
	} else {
		/* Too long a path to link by: nothing below is remembered, for no name fits any more. */
		c->path_len = sizeof(c->path);
	}
	r = disk_each(from, copy_entry, &below);
	c->path_len = kept;
	return r ? -1 : 0;
}

static int copy_folder(struct level *l, int dir, const char *name, const struct stat *st)
{
	mode_t mode;
	OWNED_FD int from =
	        open_unreadable(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, st,
	                        &mode);
	OWNED_FD int to = -1;
	int r;

	if (from < 0)
		return -1;
	if (l->depth >= TREE_DEPTH_MAX) {
		errno = ELOOP;
		r = -1;
	} else {
		r = mkdirat(l->to, name, 0700);
	}
	if (r == 0)
		to = openat(l->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = to < 0 ? -1 : copy_inside(l, from, to, name);
	make_unreadable(from, mode);
	return r ? -1 : finish_file(l->c, from, to, st);
}

static int copy_entry(void *arg, int dir, const char *name)
{
	struct level *l = arg;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (S_ISDIR(st.st_mode))
		return copy_folder(l, dir, name, &st);
	if (S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		l->c->skipped++;
		return 0;
	}
	if (st.st_nlink > 1 && l->c->path_len < sizeof(l->c->path) &&
	    copy_link(l->c, l->to, name, &st))
		return 0;
	if (S_ISLNK(st.st_mode))
		return copy_symlink(l, dir, name, &st);
	if (S_ISFIFO(st.st_mode))
		return copy_fifo(l, name, &st);
	return copy_regular(l, dir, name, &st);
}

static void forget_links(struct copy *c)
{
	for (size_t i = 0; i < LINK_BUCKETS; i++) {
		while (c->links[i]) {
			struct link_seen *l = c->links[i];

			c->links[i] = l->next;
			free(l);
		}
	}
}

int tree_copy(struct job *job, int from, int to, uint32_t owner)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct level top = {.c = c, .to = to};
	struct stat st;
	int r, kept;

	if (!c)
		return -1;
	c->job = job;
	c->top = to;
	c->owners = geteuid() == 0;
	c->owner = owner;
	r = fstat(from, &st);
	if (r == 0)
		r = disk_each(from, copy_entry, &top);
	if (r == 0)
		r = finish_file(c, from, to, &st);
	kept = errno;
	if (r == 0 && c->skipped > 0 && job)
		job_note(job, "%llu sockets and devices were left out of a copy",
		         (unsigned long long)c->skipped);
	forget_links(c);
	free(c);
	errno = kept;
	return r;
}

struct usage {
	uint64_t bytes;
	unsigned int depth;
};

static int add_usage(void *arg, int dir, const char *name)
{
	struct usage *u = arg;
	struct stat st;
	OWNED_FD int fd = -1;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	u->bytes += (uint64_t)st.st_blocks * 512 / (S_ISDIR(st.st_mode) ? 1 : MAX(st.st_nlink, 1U));
	if (!S_ISDIR(st.st_mode) || u->depth >= TREE_DEPTH_MAX)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == ENOENT ? 0 : -1;
	u->depth++;
	r = disk_each(fd, add_usage, u);
	u->depth--;
	return r;
}

int tree_usage(int dir, uint64_t *ret_bytes)
{
	struct usage u = {0};

	if (disk_each(dir, add_usage, &u))
		return -1;
	*ret_bytes = u.bytes;
	return 0;
}
