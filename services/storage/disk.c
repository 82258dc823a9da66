/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/storage/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define COPY_STEP (64UL << 20) /* bytes between two reports of progress; chosen */

/* Bytes up to which a read and a write cost less than copy_file_range(), which makes a pipe. Measured. */
#define COPY_SMALL (64L << 10)

int disk_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
	        .flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC | O_NOFOLLOW),
	        .mode = flags & O_CREAT ? mode : 0,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

int disk_make_folders(int dir, const char *path, mode_t mode)
{
	char part[STORAGE_VID_LEN];
	size_t len = strlen(path);

	if (len >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		OWNED_FD int parent = -1;
		char *slash;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		slash = strrchr(part, '/');
		if (slash)
			*slash = '\0';
		parent = disk_open_beneath(dir, slash ? part : ".", O_RDONLY | O_DIRECTORY, 0);
		if (parent < 0)
			return -1;
		if (mkdirat(parent, slash ? slash + 1 : part, mode) == 0) {
			/* The caller's mask is not the user's: a folder of a pool has the mode that is documented. */
			if (fchmodat(parent, slash ? slash + 1 : part, mode, 0) || fsync(parent))
				return -1;
		} else if (errno != EEXIST) {
			return -1;
		}
		if (slash)
			*slash = '/';
		part[i] = path[i];
	}
	return 0;
}

int disk_sync_folder(int dir)
{
	OWNED_FD int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

/* A piece at this place, by way of our memory. Bytes, 0 at the end of the file, -1 with errno. */
static ssize_t copy_piece(int from, int to, off_t at, size_t len)
{
	static char buffer[COPY_SMALL];
	ssize_t n = pread(from, buffer, MIN(len, sizeof(buffer)), at);

	return n > 0 ? pwrite(to, buffer, (size_t)n, at) : n;
}

/* One run of data, from what the kernel says is not a hole. */
static int copy_range(struct job *job, int from, int to, off_t begin, off_t end, off_t total)
{
	bool small = end - begin <= COPY_SMALL;

	while (begin < end) {
		off_t at = begin, put = begin;
		size_t n = (size_t)MIN(end - begin, (off_t)COPY_STEP);
		ssize_t r = small ? copy_piece(from, to, begin, n)
		                  : copy_file_range(from, &at, to, &put, n, 0);

		if (r < 0 && !small &&
		    (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
			r = copy_piece(from, to, begin, n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		/* Became shorter meanwhile. */
		if (r == 0)
			return 0;
		begin += r;
		if (job)
			job_progress(job, (uint64_t)begin, (uint64_t)total);
	}
	return 0;
}

static int copy_around_holes(struct job *job, int from, int to, off_t size)
{
	off_t at = 0;

	if (ftruncate(to, size))
		return -1;
	while (at < size) {
		off_t begin = lseek(from, at, SEEK_DATA), end;

		if (begin < 0)
			return errno == ENXIO ? 0 : -1;
		end = lseek(from, begin, SEEK_HOLE);
		if (end < 0 || copy_range(job, from, to, begin, MIN(end, size), size))
			return -1;
		at = end;
	}
	return 0;
}

/* 1: shared; 0: to be copied; -1 with errno. */
static int share(int from, int to, bool *no_shares)
{
	if (no_shares && *no_shares)
		return 0;
	if (ioctl(to, FICLONE, from) == 0)
		return 1;
	if (errno != EOPNOTSUPP && errno != EXDEV && errno != ENOTTY && errno != EINVAL &&
	    errno != ENOSYS)
		return -1;
	/* EINVAL is said of one file, the others of the file system. */
	if (no_shares && errno != EINVAL)
		*no_shares = true;
	return 0;
}

int disk_copy_data(struct job *job, int from, int to, const struct stat *st, bool *no_shares)
{
	int r = share(from, to, no_shares);

	if (r != 0)
		return r < 0 ? -1 : 0;
	/* As many blocks as its bytes take: holes need not be looked for, and writing makes the size. */
	if ((uint64_t)st->st_blocks * 512 >= (uint64_t)st->st_size)
		return copy_range(job, from, to, 0, st->st_size, st->st_size);
	return copy_around_holes(job, from, to, st->st_size);
}

int disk_reflinks(int dir)
{
	OWNED_FD int from = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	OWNED_FD int to = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (from < 0 || to < 0)
		return errno == EOPNOTSUPP ? 0 : -1;
	if (fd_write_all(from, "reflink", 7))
		return -1;
	return ioctl(to, FICLONE, from) == 0;
}

int disk_name(char out[NAME_MAX + 1], const struct place *at, const char *suffix)
{
	int n = snprintf(out, NAME_MAX + 1, "%s%s", at->base, suffix);

	if (n > 0 && n <= NAME_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int disk_exists(int dir, const char *name, struct stat *ret_st)
{
	struct stat st;

	if (fstatat(dir, name, ret_st ? ret_st : &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

int disk_each(int dir, int (*fn)(void *arg, int dir, const char *name), void *arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!list) {
		fd_close(fd);
		return -1;
	}
	while (r == 0) {
		struct dirent *e;

		errno = 0;
		e = readdir(list);
		if (!e) {
			r = errno ? -1 : 0;
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = fn(arg, dirfd(list), e->d_name);
	}
	{
		int kept = errno;

		(void)closedir(list);
		errno = kept;
	}
	return r;
}

int disk_chmod(int dir, const char *name, mode_t mode)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -1;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	/* Nothing that a running qube can still change comes here: what was seen is what is there. */
	return fchmodat(dir, name, mode, 0);
}

static int random_name(char out[24])
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return -1;
	(void)snprintf(out, 24, "%016llx", (unsigned long long)n);
	return 0;
}

static int open_trash(int pool)
{
	if (mkdirat(pool, DISK_TRASH, 0700) && errno != EEXIST)
		return -1;
	return disk_open_beneath(pool, DISK_TRASH, O_RDONLY | O_DIRECTORY, 0);
}

int disk_discard(int pool, int dir, const char *name)
{
	OWNED_FD int trash = open_trash(pool);
	char unique[24];

	if (trash < 0 || random_name(unique))
		return -1;
	if (renameat2(dir, name, trash, unique, RENAME_NOREPLACE) == 0 || errno == ENOENT)
		return 0;
	/* A folder that its owner made unwritable cannot be moved before it is changed. */
	if (errno == EACCES && disk_chmod(dir, name, 0700) == 0)
		return renameat2(dir, name, trash, unique, RENAME_NOREPLACE);
	return -1;
}

struct sweep {
	int top;    /* everything is brought up to here and removed from here */
	bool again; /* something was brought up or removed */
	int kept_errno;
};

static int remove_or_lift(void *arg, int dir, const char *name)
{
	struct sweep *s = arg;
	char unique[24];

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM) {
		s->kept_errno = errno;
		return errno == ENOENT ? 0 : -1;
	}
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	/* Not empty: a folder of its own at the top, so that no depth needs a deep stack. */
	if (disk_chmod(dir, name, 0700) || random_name(unique) ||
	    renameat(dir, name, s->top, unique))
		return -1;
	s->again = true;
	return 0;
}

static int sweep_entry(void *arg, int dir, const char *name)
{
	struct sweep *s = arg;
	OWNED_FD int fd = -1;

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	(void)disk_chmod(dir, name, 0700);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (disk_each(fd, remove_or_lift, s))
		return -1;
	s->again = true;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTEMPTY)
		return 0;
	return -1;
}

/* Removes what is in a folder, not the folder. */
static int empty_folder(int top)
{
	struct sweep s = {.top = top};

	do {
		s.again = false;
		if (disk_each(top, sweep_entry, &s))
			return -1;
	} while (s.again);
	return 0;
}

int disk_remove_all(int dir, const char *name)
{
	OWNED_FD int fd = -1;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	(void)disk_chmod(dir, name, 0700);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (empty_folder(fd))
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR);
}

int disk_sweep(int pool)
{
	OWNED_FD int trash = open_trash(pool);

	return trash < 0 ? -1 : empty_folder(trash);
}

int disk_read_link(int dir, const char *name, char *text, size_t max)
{
	ssize_t n = readlinkat(dir, name, text, max - 1);

	if (n < 0)
		return -1;
	if ((size_t)n == max - 1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	text[n] = '\0';
	return 0;
}

int disk_put_link(int dir, const char *name, const char *text, bool sync)
{
	char temporary[NAME_MAX + 1];

	if (snprintf(temporary, sizeof(temporary), "%s~", name) > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((unlinkat(dir, temporary, 0) && errno != ENOENT) || symlinkat(text, dir, temporary))
		return -1;
	if (renameat(dir, temporary, dir, name))
		return -1;
	return sync ? disk_sync_folder(dir) : 0;
}

/* A volume's identifier as one name: no legal one has a "%". */

int disk_vid_name(char out[NAME_MAX + 1], const char *vid)
{
	size_t len = strlen(vid);

	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (size_t i = 0; i <= len; i++)
		out[i] = vid[i] == '/' ? '%' : vid[i];
	return 0;
}

int disk_intent_put(int pool, const char *vid)
{
	char name[NAME_MAX + 1];
	OWNED_FD int dir = -1;

	if (disk_vid_name(name, vid) || (mkdirat(pool, DISK_INTENT, 0700) && errno != EEXIST))
		return -1;
	dir = disk_open_beneath(pool, DISK_INTENT, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0 || (symlinkat(vid, dir, name) && errno != EEXIST))
		return -1;
	return fsync(dir) ? -1 : disk_sync_folder(pool);
}

int disk_intent_drop(int pool, const char *vid)
{
	OWNED_FD int dir = disk_open_beneath(pool, DISK_INTENT, O_RDONLY | O_DIRECTORY, 0);
	char name[NAME_MAX + 1];

	if (dir < 0 || disk_vid_name(name, vid))
		return -1;
	return unlinkat(dir, name, 0) && errno != ENOENT ? -1 : fsync(dir);
}

int disk_intent_read(int dir, const char *name, char vid[STORAGE_VID_LEN])
{
	memset(vid, 0, STORAGE_VID_LEN);
	if (disk_read_link(dir, name, vid, STORAGE_VID_LEN) == 0 && storage_vid_legal(vid))
		return 0;
	errno = EINVAL;
	return -1;
}
