/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives to trees. Contract and what is refused: tar_tree.h. Fuzzed by fuzz/tar_unpack.c. */
#include "services/storage/tar_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
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

#define BUFFER (256U << 10)

struct folder {
	struct folder *next;
	uint32_t mode;
	struct timespec mtime;
	char name[];
};

struct unpack {
	int in, top;
	struct tar_fault *fault;
	void (*progress)(void *arg, uint64_t bytes);
	void *arg;
	uint64_t taken; /* bytes of the archive */
	bool owners;
	uint32_t owner; /* 0: as the archive says */
	uint8_t buffer[BUFFER];
	size_t at, len;
	struct tar_header h;
	char *pax; /* extended header of the next member; owned */
	size_t pax_len;
	struct folder *folders; /* the newest first */
	size_t folder_bytes;
};

static int bad(struct unpack *u, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int bad(struct unpack *u, const char *fmt, ...)
{
	char text[sizeof(u->fault->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)escape_text(u->fault->text, sizeof(u->fault->text), text, strlen(text));
	return -1;
}

static int bad_errno(struct unpack *u, const char *name)
{
	int kept = errno;

	(void)bad(u, "%.100s: %s", name, strerror(kept));
	errno = kept;
	return -1;
}

static int fill(struct unpack *u)
{
	ssize_t n;

	do
		n = read(u->in, u->buffer, sizeof(u->buffer));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return bad_errno(u, "the archive");
	if (n == 0)
		return bad(u, "the archive ends in the middle of a member");
	u->at = 0;
	u->len = (size_t)n;
	u->taken += (uint64_t)n;
	if (u->progress)
		u->progress(u->arg, u->taken);
	return 0;
}

/* Exactly so many bytes; data NULL: they are thrown away. */
static int take(struct unpack *u, void *data, uint64_t n)
{
	uint8_t *out = data;

	while (n > 0) {
		size_t part;

		if (u->at == u->len && fill(u))
			return -1;
		part = (size_t)MIN(n, (uint64_t)(u->len - u->at));
		if (out) {
			memcpy(out, u->buffer + u->at, part);
			out += part;
		}
		u->at += part;
		n -= part;
	}
	return 0;
}

static int skip(struct unpack *u, uint64_t size)
{
	return take(u, NULL, size) || take(u, NULL, tar_padding(size)) ? -1 : 0;
}

/* "./a//b/" becomes "a/b"; false: it leads out of the tree. "" is the top. */
static bool clean_name(char *name)
{
	char *in = name, *out = name;

	if (*in == '/')
		return false;
	while (*in) {
		size_t len = strcspn(in, "/");

		if (len == 2 && in[0] == '.' && in[1] == '.')
			return false;
		if (len > 0 && !(len == 1 && in[0] == '.')) {
			if (out != name)
				*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len;
		while (*in == '/')
			in++;
	}
	*out = '\0';
	return true;
}

/* The folder of a name, which must be there and be reached by no link; *ret_last its last part. */
static int open_parent(struct unpack *u, const char *name, const char **ret_last)
{
	char folder[TAR_NAME_MAX + 1];
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;
	int fd;

	*ret_last = slash ? slash + 1 : name;
	memcpy(folder, name, len);
	folder[len] = '\0';
	fd = disk_open_beneath(u->top, len ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		(void)bad_errno(u, name);
	return fd;
}

static void set_attributes(struct unpack *u, int fd)
{
	static const char begin[] = "SCHILY.xattr.user.";
	struct tar_pax p;
	size_t at = 0;
	char key[256];

	while (u->pax && tar_pax_next(u->pax, u->pax_len, &at, &p) == TAR_OK) {
		if (p.key_len < sizeof(begin) || p.key_len - 13 >= sizeof(key) ||
		    memcmp(p.key, begin, sizeof(begin) - 1) != 0)
			continue;
		memcpy(key, p.key + 13, p.key_len - 13);
		key[p.key_len - 13] = '\0';
		/* What the file system refuses is left out. */
		(void)fsetxattr(fd, key, p.value, p.value_len, 0);
	}
}

static struct timespec member_time(const struct tar_header *h)
{
	return (struct timespec){.tv_sec = h->mtime, .tv_nsec = h->mtime_ns};
}

static uint32_t owner_of(const struct unpack *u, uint32_t said)
{
	return u->owner ? u->owner : said;
}

static int finish(struct unpack *u, int fd)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, member_time(&u->h)};

	if (u->owners && fchown(fd, owner_of(u, u->h.uid), owner_of(u, u->h.gid)))
		return -1;
	if (fchmod(fd, u->h.mode))
		return -1;
	set_attributes(u, fd);
	return futimens(fd, times);
}

/* An earlier member of the same name goes, unless it is a folder. */
static int make_room(struct unpack *u, int dir, const char *last)
{
	if (last[0] == '\0')
		return bad(u, "the top of the tree is not a folder");
	if (unlinkat(dir, last, 0) == 0 || errno == ENOENT)
		return 0;
	return bad_errno(u, u->h.name);
}

static int write_data(struct unpack *u, int fd)
{
	uint64_t left = u->h.size;

	while (left > 0) {
		size_t part;

		if (u->at == u->len && fill(u))
			return -1;
		part = (size_t)MIN(left, (uint64_t)(u->len - u->at));
		if (fd_write_all(fd, u->buffer + u->at, part))
			return bad_errno(u, u->h.name);
		u->at += part;
		left -= part;
	}
	return take(u, NULL, tar_padding(u->h.size));
}

static int unpack_file(struct unpack *u)
{
	const char *last;
	OWNED_FD int dir = open_parent(u, u->h.name, &last);
	OWNED_FD int fd = -1;

	if (dir < 0 || make_room(u, dir, last))
		return -1;
	fd = openat(dir, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return bad_errno(u, u->h.name);
	if (write_data(u, fd))
		return -1;
	return finish(u, fd) ? bad_errno(u, u->h.name) : 0;
}

static int unpack_link(struct unpack *u)
{
	const char *last, *target_last;
	OWNED_FD int dir = -1;
	OWNED_FD int target_dir = -1;

	if (!clean_name(u->h.link) || u->h.link[0] == '\0')
		return bad(u, "%.60s is a link to %.60s", u->h.name, u->h.link);
	dir = open_parent(u, u->h.name, &last);
	target_dir = dir < 0 ? -1 : open_parent(u, u->h.link, &target_last);
	if (target_dir < 0)
		return -1;
	if (strcmp(u->h.name, u->h.link) == 0)
		return 0;
	if (make_room(u, dir, last))
		return -1;
	return linkat(target_dir, target_last, dir, last, 0) ? bad_errno(u, u->h.name) : 0;
}

static int unpack_symlink(struct unpack *u)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, member_time(&u->h)};
	const char *last;
	OWNED_FD int dir = open_parent(u, u->h.name, &last);

	if (dir < 0 || make_room(u, dir, last))
		return -1;
	if (symlinkat(u->h.link, dir, last) ||
	    (u->owners && fchownat(dir, last, owner_of(u, u->h.uid), owner_of(u, u->h.gid),
	                           AT_SYMLINK_NOFOLLOW)) ||
	    utimensat(dir, last, times, AT_SYMLINK_NOFOLLOW))
		return bad_errno(u, u->h.name);
	return 0;
}

static int unpack_fifo(struct unpack *u)
{
	const char *last;
	OWNED_FD int dir = open_parent(u, u->h.name, &last);
	OWNED_FD int fd = -1;

	if (dir < 0 || make_room(u, dir, last))
		return -1;
	if (mkfifoat(dir, last, 0600))
		return bad_errno(u, u->h.name);
	fd = openat(dir, last, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || finish(u, fd) ? bad_errno(u, u->h.name) : 0;
}

/* Mode and time are set when nothing is written into it any more. */
static int remember_folder(struct unpack *u)
{
	size_t len = strlen(u->h.name) + 1;
	struct folder *f;

	u->folder_bytes += sizeof(*f) + len;
	if (u->folder_bytes > TAR_FOLDERS_MAX)
		return bad(u, "too many folders");
	f = malloc(sizeof(*f) + len);
	if (!f)
		return bad_errno(u, u->h.name);
	f->mode = u->h.mode;
	f->mtime = member_time(&u->h);
	memcpy(f->name, u->h.name, len);
	f->next = u->folders;
	u->folders = f;
	return 0;
}

static int unpack_folder(struct unpack *u)
{
	const char *last;
	OWNED_FD int dir = open_parent(u, u->h.name, &last);
	OWNED_FD int fd = -1;

	if (dir < 0)
		return -1;
	if (last[0] == '\0')
		last = ".";
	else if (mkdirat(dir, last, 0700) && errno != EEXIST)
		return bad_errno(u, u->h.name);
	fd = openat(dir, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (u->owners && fchown(fd, owner_of(u, u->h.uid), owner_of(u, u->h.gid))))
		return bad_errno(u, u->h.name);
	set_attributes(u, fd);
	return remember_folder(u);
}

static int finish_folders(struct unpack *u)
{
	for (struct folder *f = u->folders; f; f = f->next) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, f->mtime};
		OWNED_FD int fd = disk_open_beneath(u->top, f->name[0] ? f->name : ".",
		                                    O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0 || fchmod(fd, f->mode) || futimens(fd, times))
			return bad_errno(u, f->name);
	}
	return 0;
}

static int take_text(struct unpack *u, char out[TAR_NAME_MAX + 1])
{
	uint64_t size = u->h.size;

	if (size > TAR_NAME_MAX + 1)
		return bad(u, "a name of %llu bytes", (unsigned long long)size);
	memset(out, 0, TAR_NAME_MAX + 1);
	if (take(u, out, size) || take(u, NULL, tar_padding(size)))
		return -1;
	if (out[TAR_NAME_MAX] != '\0')
		return bad(u, "a name without an end");
	return 0;
}

static int take_pax(struct unpack *u)
{
	if (u->h.size > TAR_PAX_MAX || u->pax)
		return bad(u, "an extended header of %llu bytes", (unsigned long long)u->h.size);
	u->pax_len = (size_t)u->h.size;
	u->pax = malloc(u->pax_len + 1);
	if (!u->pax)
		return bad_errno(u, "an extended header");
	return take(u, u->pax, u->pax_len) || take(u, NULL, tar_padding(u->pax_len)) ? -1 : 0;
}

static int apply_pax(struct unpack *u)
{
	enum tar_result r = TAR_OK;
	struct tar_pax p;
	size_t at = 0;

	while (u->pax && (r = tar_pax_next(u->pax, u->pax_len, &at, &p)) == TAR_OK) {
		if (tar_pax_apply(&p, &u->h) != TAR_OK)
			return bad(u, "a bad value in an extended header");
	}
	return r == TAR_BAD ? bad(u, "a bad extended header") : 0;
}

static int unpack_member(struct unpack *u)
{
	if (!clean_name(u->h.name))
		return bad(u, "the name %.100s leads out of the tree", u->h.name);
	switch (u->h.type) {
	case TAR_FILE:
		/* Before POSIX a folder was a file whose name ends in a slash: nobody writes that any more. */
		return unpack_file(u);
	case TAR_LINK:
		return unpack_link(u) ? -1 : skip(u, u->h.size);
	case TAR_SYMLINK:
		return unpack_symlink(u) ? -1 : skip(u, u->h.size);
	case TAR_FOLDER:
		return unpack_folder(u) ? -1 : skip(u, u->h.size);
	case TAR_FIFO:
		return unpack_fifo(u) ? -1 : skip(u, u->h.size);
	case TAR_CHAR:
	case TAR_BLOCK_DEVICE:
		return skip(u, u->h.size);
	default:
		return bad(u, "a member of type 0x%02x", (unsigned char)u->h.type);
	}
}

/* One header and what belongs to it; TAR_END behind the last member. */
static enum tar_result unpack_next(struct unpack *u, char *long_name, char *long_link)
{
	uint8_t block[TAR_BLOCK];
	enum tar_result r;
	int result;

	if (take(u, block, sizeof(block)))
		return TAR_BAD;
	r = tar_header_decode(block, &u->h);
	if (r == TAR_BAD)
		(void)bad(u, "this is not a tar archive, or it is damaged");
	if (r != TAR_OK)
		return r;
	switch (u->h.type) {
	case TAR_LONG_NAME:
		return take_text(u, long_name) ? TAR_BAD : TAR_OK;
	case TAR_LONG_LINK:
		return take_text(u, long_link) ? TAR_BAD : TAR_OK;
	case TAR_PAX:
		return take_pax(u) ? TAR_BAD : TAR_OK;
	case TAR_PAX_GLOBAL:
		return skip(u, u->h.size) ? TAR_BAD : TAR_OK;
	default:
		break;
	}
	if (long_name[0])
		memcpy(u->h.name, long_name, sizeof(u->h.name));
	if (long_link[0])
		memcpy(u->h.link, long_link, sizeof(u->h.link));
	long_name[0] = long_link[0] = '\0';
	result = apply_pax(u) ? -1 : unpack_member(u);
	free(u->pax);
	u->pax = NULL;
	return result ? TAR_BAD : TAR_OK;
}

int tar_unpack(int in, int top, uint32_t owner, struct tar_fault *fault,
               void (*progress)(void *arg, uint64_t bytes), void *arg)
{
	static char long_name[TAR_NAME_MAX + 1], long_link[TAR_NAME_MAX + 1];
	struct unpack *u = calloc(1, sizeof(*u));
	enum tar_result r;
	int result = -1;

	*fault = (struct tar_fault){0};
	long_name[0] = long_link[0] = '\0';
	if (!u) {
		(void)snprintf(fault->text, sizeof(fault->text), "%s", strerror(errno));
		return -1;
	}
	u->in = in;
	u->top = top;
	u->fault = fault;
	u->progress = progress;
	u->arg = arg;
	u->owners = geteuid() == 0;
	u->owner = owner;
	do
		r = unpack_next(u, long_name, long_link);
	while (r == TAR_OK);
	if (r == TAR_END)
		result = finish_folders(u);
	while (u->folders) {
		struct folder *f = u->folders;

		u->folders = f->next;
		free(f);
	}
	free(u->pax);
	free(u);
	return result;
}
