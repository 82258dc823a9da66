/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filecopy/send.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filecopy/complain.h"
#include "filecopy/reply.h"
#include "filecopy/send_internal.h"
#include "lib/base/fd.h"

#define STATUS_FAILED 1
#define PIPE_BYTES    (1 << 20)

int send_check(struct sender *s)
{
	if (!progress_show(&s->progress, s->out.accepted, false, false)) {
		s->closed = true;
		return -1;
	}
	if (!reply_is_there(s->config->in_fd))
		return 0;
	s->refused = true;
	return -1;
}

static int put(struct sender *s, const void *bytes, size_t len)
{
	bool flushes = len > sizeof(s->out.buffer) - s->out.len;

	if (output_put(&s->out, bytes, len)) {
		s->refused = true;
		return -1;
	}
	return flushes ? send_check(s) : 0;
}

int send_header_again(struct sender *s, const struct filecopy_header *header)
{
	uint8_t bytes[FILECOPY_HEADER_LEN];

	filecopy_header_encode(header, bytes);
	if (put(s, bytes, sizeof(bytes)))
		return -1;
	return put(s, s->path, s->path_len + 1);
}

int send_header(struct sender *s, const struct stat *st, struct filecopy_header *ret)
{
	*ret = (struct filecopy_header){
	        .name_len = (uint32_t)s->path_len + 1,
	        .mode = st->st_mode,
	        .size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
	        .atime = (uint32_t)st->st_atim.tv_sec,
	        .atime_nsec = (uint32_t)st->st_atim.tv_nsec,
	        .mtime = (uint32_t)st->st_mtim.tv_sec,
	        .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
	};
	return send_header_again(s, ret);
}

/* Where the data at an offset of a sparse file ends, or the hole; *ret_hole tells which it is. */
static off_t next_edge(int fd, off_t at, off_t size, bool *ret_hole)
{
	off_t data = lseek(fd, at, SEEK_DATA);
	struct stat now;
	off_t edge;

	*ret_hole = data > at || (data < 0 && errno == ENXIO);
	/* Behind the end of a file that shrank is no hole: the read will tell. */
	if (data < 0 && (fstat(fd, &now) || now.st_size < size))
		*ret_hole = false;
	edge = *ret_hole ? data : lseek(fd, at, SEEK_HOLE);
	/* A file system that cannot tell: all of it is data. */
	if (edge < at || edge > size)
		edge = size;
	(void)lseek(fd, at, SEEK_SET);
	return edge;
}

int send_data(struct sender *s, int fd, const struct stat *st)
{
	bool sparse = st->st_blocks < st->st_size / 512;
	bool hole = false;
	off_t edge = sparse ? 0 : st->st_size;
	off_t at = 0;

	while (at < st->st_size) {
		uint8_t *room;
		size_t len;
		ssize_t n;

		if (output_room(&s->out, &room, &len)) {
			s->refused = true;
			return -1;
		}
		if (at == edge)
			edge = next_edge(fd, at, st->st_size, &hole);
		n = (ssize_t)MIN((uint64_t)len, (uint64_t)(edge - at));
		if (hole) {
			memset(room, 0, (size_t)n);
			(void)lseek(fd, n, SEEK_CUR);
		} else {
			n = read(fd, room, (size_t)n);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : 0;
			complain(s->config->program, "Unexpected end of data while reading %s",
			         s->path);
			return -1;
		}
		output_fill(&s->out, (size_t)n);
		at += n;
		if (at < st->st_size && send_check(s))
			return -1;
	}
	return 0;
}

/* One argument: the stream begins at its last component. */
static int send_argument(struct sender *s, const char *given, int number)
{
	OWNED_FD int folder = -1;
	char *path;
	char *slash;
	int r = -1;

	if (given[0] == '\0') {
		errno = 0;
		complain(s->config->program, "Invalid empty argument %d", number);
		return -1;
	}
	path = strdup(given);
	if (!path) {
		complain(s->config->program, "%s", given);
		return -1;
	}
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
	slash = strrchr(path, '/');
	if (slash && slash[1]) {
		*slash = '\0';
		folder = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else {
		folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (folder < 0)
		complain(s->config->program, "chdir to %s", path);
	else
		r = send_tree(s, folder, slash && slash[1] ? slash + 1 : path);
	free(path);
	return r;
}

static int send_all(struct sender *s)
{
	static const uint8_t end_marker[FILECOPY_HEADER_LEN];

	for (int i = 0; s->config->paths[i]; i++) {
		if (send_argument(s, s->config->paths[i], s->config->first_number + i))
			return -1;
	}
	if (put(s, end_marker, sizeof(end_marker)))
		return -1;
	if (output_flush(&s->out)) {
		s->refused = true;
		return -1;
	}
	return 0;
}

int send_files(const struct send_config *config)
{
	static struct sender s;
	bool finished;

	s = (struct sender){.config = config};
	s.out.fd = config->out_fd;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return STATUS_FAILED;
	(void)fcntl(config->out_fd, F_SETPIPE_SZ, PIPE_BYTES);
	progress_init(&s.progress);
	if (!progress_show(&s.progress, 0, true, false))
		return PROGRESS_CLOSED_STATUS;
	finished = send_all(&s) == 0;
	send_tree_end(&s);
	if (s.closed)
		return PROGRESS_CLOSED_STATUS;
	if (!finished && !s.refused) {
		/* Told already. What is complete may arrive; without an end mark it is no success. */
		(void)!output_flush(&s.out);
		return STATUS_FAILED;
	}
	if (finished && !progress_show(&s.progress, s.out.accepted, false, true))
		return PROGRESS_CLOSED_STATUS;
	return reply_read(config->in_fd, config->program, finished, s.out.crc) ? 0 : STATUS_FAILED;
}
