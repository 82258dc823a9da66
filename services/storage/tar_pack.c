/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trees to archives. Contract: tar_tree.h. */
#include "services/storage/tar_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/tar/header.h"
#include "services/storage/disk.h"
#include "services/storage/tree.h"

#define ATTRIBUTES_MAX 65536U
#define LINK_BUCKETS   4096U

struct seen {
	struct seen *next;
	dev_t dev;
	ino_t ino;
	char name[];
};

struct pack {
	int out;
	struct tar_fault *fault;
	const char *prefix; /* of every name; ends with a slash */
	size_t prefix_len;
	void (*progress)(void *arg, uint64_t bytes);
	void *arg;
	uint64_t written;
	struct tar_header h;
	char pax[TAR_PAX_MAX];
	size_t pax_len;
	char name[TAR_NAME_MAX + 1]; /* of the folder at work, with a final slash; "" at the top */
	size_t name_len;
	unsigned int depth;
	struct seen *links[LINK_BUCKETS];
	size_t n_links;
	char names[ATTRIBUTES_MAX], value[ATTRIBUTES_MAX];
	uint8_t buffer[256U << 10];
};

static int failed(struct pack *p, const char *name)
{
	char text[300];

	(void)snprintf(text, sizeof(text), "%.100s: %s", name, strerror(errno));
	(void)escape_text(p->fault->text, sizeof(p->fault->text), text, strlen(text));
	return -1;
}

static int put(struct pack *p, const void *data, size_t n)
{
	if (p->out >= 0 && fd_write_all(p->out, data, n))
		return failed(p, "the archive");
	p->written += n;
	if (p->progress)
		p->progress(p->arg, p->written);
	return 0;
}

static int put_padding(struct pack *p, uint64_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	return put(p, zeros, tar_padding(size));
}

static int add_pax(struct pack *p, const char *key, const void *value, size_t len)
{
	int n = tar_pax_put(p->pax + p->pax_len, sizeof(p->pax) - p->pax_len, key, value, len);

	if (n < 0) {
		errno = E2BIG;
		return failed(p, p->h.name);
	}
	p->pax_len += (size_t)n;
	return 0;
}

/* User attributes; others are the system's, or need rights that the reader does not have. */
static int add_attributes(struct pack *p, int fd)
{
	ssize_t n = fd < 0 ? 0 : flistxattr(fd, p->names, sizeof(p->names));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(p->names + i) + 1) {
		char key[300];
		ssize_t len;

		if (strncmp(p->names + i, "user.", 5) != 0)
			continue;
		len = fgetxattr(fd, p->names + i, p->value, sizeof(p->value));
		(void)snprintf(key, sizeof(key), "SCHILY.xattr.%s", p->names + i);
		if (len >= 0 && add_pax(p, key, p->value, (size_t)len))
			return -1;
	}
	return 0;
}

static int add_time(struct pack *p)
{
	char text[48];
	int n;

	if (p->h.mtime_ns == 0)
		return 0;
	n = snprintf(text, sizeof(text), "%" PRId64 ".%09" PRIu32, p->h.mtime, p->h.mtime_ns);
	return add_pax(p, "mtime", text, (size_t)n);
}

static int add_long(struct pack *p)
{
	char text[32];
	int n;

	if (strlen(p->h.name) > 99 && add_pax(p, "path", p->h.name, strlen(p->h.name)))
		return -1;
	if (strlen(p->h.link) > 99 && add_pax(p, "linkpath", p->h.link, strlen(p->h.link)))
		return -1;
	n = snprintf(text, sizeof(text), "%" PRIu64, p->h.size);
	if (p->h.size >> 33 && add_pax(p, "size", text, (size_t)n))
		return -1;
	n = snprintf(text, sizeof(text), "%" PRIu32, p->h.uid);
	if (p->h.uid >> 21 && add_pax(p, "uid", text, (size_t)n))
		return -1;
	n = snprintf(text, sizeof(text), "%" PRIu32, p->h.gid);
	return p->h.gid >> 21 ? add_pax(p, "gid", text, (size_t)n) : 0;
}

/* The header, and before it an extended one if there is anything for it. @fd: -1 without attributes. */
static int put_header(struct pack *p, int fd)
{
	uint8_t block[TAR_BLOCK];

	p->pax_len = 0;
	if (add_time(p) || add_long(p) || add_attributes(p, fd))
		return -1;
	if (p->pax_len > 0) {
		static struct tar_header x;

		x = (struct tar_header){.type = TAR_PAX, .mode = 0600, .size = p->pax_len};
		memcpy(x.name, "pax-header", 11);
		if (tar_header_encode(block, &x) || put(p, block, sizeof(block)) ||
		    put(p, p->pax, p->pax_len) || put_padding(p, p->pax_len))
			return -1;
	}
	/* What does not fit is in the extended header. */
	if (tar_header_encode(block, &p->h) && p->pax_len == 0) {
		errno = EOVERFLOW;
		return failed(p, p->h.name);
	}
	return put(p, block, sizeof(block));
}

static void start_header(struct pack *p, const char *name, const struct stat *st, char type)
{
	size_t len = strlen(name);

	/* Room for all three: see pack_folder(). */
	memset(&p->h, 0, sizeof(p->h));
	memcpy(p->h.name, p->prefix, p->prefix_len);
	memcpy(p->h.name + p->prefix_len, p->name, p->name_len);
	memcpy(p->h.name + p->prefix_len + p->name_len, name, len);
	p->h.type = type;
	p->h.mode = st->st_mode & 07777;
	p->h.uid = st->st_uid;
	p->h.gid = st->st_gid;
	p->h.mtime = MAX(st->st_mtim.tv_sec, 0);
	p->h.mtime_ns = st->st_mtim.tv_sec < 0 ? 0 : (uint32_t)st->st_mtim.tv_nsec;
}

/* 1: an earlier name of the same file is in the archive, and this one refers to it. */
static int put_link(struct pack *p, const char *name, const struct stat *st)
{
	struct seen **bucket = &p->links[(st->st_ino ^ st->st_dev) % LINK_BUCKETS], *s;
	size_t len;

	start_header(p, name, st, TAR_LINK);
	for (s = *bucket; s; s = s->next) {
		if (s->ino != st->st_ino || s->dev != st->st_dev)
			continue;
		memcpy(p->h.link, s->name, strlen(s->name) + 1);
		return put_header(p, -1) ? -1 : 1;
	}
	len = strlen(p->h.name) + 1;
	s = p->n_links < TREE_LINKS_MAX ? malloc(sizeof(*s) + len) : NULL;
	/* Without room it becomes a file of its own. */
	if (!s)
		return 0;
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	memcpy(s->name, p->h.name, len);
	s->next = *bucket;
	*bucket = s;
	p->n_links++;
	return 0;
}

/* As many bytes as the header says: a file that became shorter is filled up, a longer one is cut. */
static int put_data(struct pack *p, int fd, uint64_t size)
{
	uint64_t left = size;

	if (p->out < 0) {
		p->written += size;
		return put_padding(p, size);
	}
	while (left > 0) {
		size_t want = (size_t)MIN(left, (uint64_t)sizeof(p->buffer));
		ssize_t n = read(fd, p->buffer, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(p, p->h.name);
		if (n == 0) {
			memset(p->buffer, 0, want);
			n = (ssize_t)want;
		}
		if (put(p, p->buffer, (size_t)n))
			return -1;
		left -= (uint64_t)n;
	}
	return put_padding(p, size);
}

static int pack_file(struct pack *p, int dir, const char *name)
{
	OWNED_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return errno == ENOENT ? 0 : failed(p, name);
	if (!S_ISREG(st.st_mode))
		return 0;
	start_header(p, name, &st, TAR_FILE);
	p->h.size = (uint64_t)st.st_size;
	return put_header(p, fd) || put_data(p, fd, p->h.size) ? -1 : 0;
}

static int pack_symlink(struct pack *p, int dir, const char *name, const struct stat *st)
{
	start_header(p, name, st, TAR_SYMLINK);
	if (disk_read_link(dir, name, p->h.link, sizeof(p->h.link)))
		return failed(p, name);
	return put_header(p, -1);
}

static int pack_entry(void *arg, int dir, const char *name);

static int pack_folder(struct pack *p, int dir, const char *name)
{
	OWNED_FD int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = strlen(name), kept = p->name_len;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return failed(p, name);
	/* The prefix, this name, and one more of the longest. */
	if (p->depth >= TREE_DEPTH_MAX ||
	    p->prefix_len + p->name_len + len + NAME_MAX + 2 > TAR_NAME_MAX) {
		errno = ELOOP;
		return failed(p, p->name);
	}
	if (strcmp(name, ".") != 0) {
		memcpy(p->name + p->name_len, name, len);
		p->name[p->name_len + len] = '/';
		p->name_len += len + 1;
		p->name[p->name_len] = '\0';
	}
	start_header(p, "", &st, TAR_FOLDER);
	p->depth++;
	r = put_header(p, fd) || disk_each(fd, pack_entry, p);
	p->depth--;
	p->name_len = kept;
	p->name[kept] = '\0';
	return r ? -1 : 0;
}

static int pack_entry(void *arg, int dir, const char *name)
{
	struct pack *p = arg;
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : failed(p, name);
	if (S_ISDIR(st.st_mode))
		return pack_folder(p, dir, name);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISFIFO(st.st_mode))
		return 0;
	r = st.st_nlink > 1 ? put_link(p, name, &st) : 0;
	if (r)
		return r < 0 ? -1 : 0;
	if (S_ISREG(st.st_mode))
		return pack_file(p, dir, name);
	if (S_ISLNK(st.st_mode))
		return pack_symlink(p, dir, name, &st);
	start_header(p, name, &st, TAR_FIFO);
	return put_header(p, -1);
}

int tar_pack(int top, int out, const char *prefix, struct tar_fault *fault,
             void (*progress)(void *arg, uint64_t bytes), void *arg)
{
	static const uint8_t end[2 * TAR_BLOCK];
	struct pack *p = calloc(1, sizeof(*p));
	int r;

	*fault = (struct tar_fault){0};
	if (!p) {
		(void)snprintf(fault->text, sizeof(fault->text), "%s", strerror(errno));
		return -1;
	}
	p->out = out;
	p->prefix = prefix;
	p->prefix_len = strlen(prefix);
	p->fault = fault;
	p->progress = progress;
	p->arg = arg;
	r = pack_folder(p, top, ".");
	if (r == 0)
		r = put(p, end, sizeof(end));
	for (size_t i = 0; i < LINK_BUCKETS; i++) {
		while (p->links[i]) {
			struct seen *s = p->links[i];

			p->links[i] = s->next;
			free(s);
		}
	}
	free(p);
	return r;
}
