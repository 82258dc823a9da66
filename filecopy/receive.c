/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source of the order of checks: doc/protocol/filecopy.md, section 3. Files are in receive_file.c. */
#include "filecopy/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filecopy/receive_internal.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/untrusted/path.h"
#include "lib/untrusted/text.h"
#include "proto/filecopy.h"

int receive_fail(struct receiver *r, uint32_t error, const char *name)
{
	r->error = error;
	r->error_name = name;
	return -1;
}

/*
 * While we waited for the sender, the user may have moved a folder away: what he moved gets nothing
 * more. Folders stay open only for what comes with one read.
 */
static void look_again(struct receiver *r)
{
	if (r->place_reads != r->in.reads)
		place_refresh(&r->place);
	r->place_reads = r->in.reads;
}

int receive_parent(struct receiver *r, int *ret_folder, const char **ret_last)
{
	const char *slash = strrchr(r->name, '/');
	size_t len = slash ? (size_t)(slash - r->name) : 0;

	look_again(r);
	*ret_last = slash ? slash + 1 : r->name;
	if (place_enter(&r->place, r->name, len, ret_folder, r->component))
		return receive_fail(r, (uint32_t)errno, r->component);
	return 0;
}

int receive_times(struct receiver *r)
{
	if (r->header.atime_nsec <= FILECOPY_NSEC_MAX && r->header.mtime_nsec <= FILECOPY_NSEC_MAX)
		return 0;
	LOG("a time with more than 999999999 nanoseconds was sent; nothing more is received");
	r->silent = true;
	return -1;
}

int receive_metadata(struct receiver *r, int fd, bool has_mode)
{
	const struct timespec times[] = {
	        {.tv_sec = r->header.atime, .tv_nsec = r->header.atime_nsec},
	        {.tv_sec = r->header.mtime, .tv_nsec = r->header.mtime_nsec},
	};

	if ((!has_mode && fchmod(fd, r->header.mode & r->config->mode_mask & 07777)) ||
	    futimens(fd, times))
		return receive_fail(r, (uint32_t)errno, r->name);
	return 0;
}

static int existing_folder(struct receiver *r, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return receive_fail(r, (uint32_t)errno, r->name);
	r->bytes += (uint64_t)st.st_size;
	if (receive_times(r))
		return -1;
	return receive_metadata(r, fd, false);
}

static int receive_folder(struct receiver *r)
{
	OWNED_FD int fd = -1;
	const char *last;
	int folder;
	int current;
	int failed;
	int e = untrusted_path_check(r->name, r->config->path_flags);

	/* Negated, as the original sends it; senders know that number. */
	if (e)
		return receive_fail(r, (uint32_t)e, r->name);
	/* The end of the folder that we are in, mostly; what comes next is not in it. */
	look_again(r);
	current = place_current(&r->place, r->name, r->name_len);
	if (current >= 0) {
		failed = existing_folder(r, current);
		place_leave(&r->place);
		return failed;
	}
	if (receive_parent(r, &folder, &last))
		return -1;
	if (mkdirat(folder, last, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return receive_fail(r, (uint32_t)errno, r->name);
	fd = beneath_open(folder, last, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC, 0);
	return existing_folder(r, fd);
}

static int receive_link(struct receiver *r)
{
	uint64_t untrusted_len = r->header.size;
	const char *last;
	size_t len;
	int folder;
	int e;

	if (untrusted_len > FILECOPY_NAME_MAX)
		return receive_fail(r, ENAMETOOLONG, r->name);
	len = (size_t)untrusted_len;
	r->bytes += len;
	if (r->config->bytes_max && r->bytes > r->config->bytes_max)
		return receive_fail(r, EDQUOT, r->name);
	if (!input_exact(&r->in, r->target, len))
		return receive_fail(r, FILECOPY_ERROR_EOF, r->name);
	r->target[len] = '\0';
	e = untrusted_link_check(r->name, r->target, r->config->path_flags);
	if (e)
		return receive_fail(r, (uint32_t)-e, r->target);
	if (receive_parent(r, &folder, &last))
		return -1;
	if (symlinkat(r->target, folder, last))
		return receive_fail(r, (uint32_t)errno, r->name);
	return 0;
}

static void say_name(const struct receiver *r)
{
	static char line[4 * FILECOPY_NAME_MAX + 2];
	size_t len = untrusted_text_escape(line, sizeof(line) - 1, r->name, r->name_len);

	line[len++] = '\n';
	(void)!fd_write_all(STDERR_FILENO, line, len);
}

static int receive_object(struct receiver *r)
{
	uint32_t type = r->header.mode & S_IFMT;

	if (r->config->verbose && type != S_IFDIR)
		say_name(r);
	if (type == S_IFREG)
		return receive_file(r);
	if (type == S_IFLNK && !r->config->refuse_links)
		return receive_link(r);
	if (type == S_IFDIR && !r->config->refuse_folders)
		return receive_folder(r);
	return receive_fail(r, EINVAL, r->name);
}

/* After the header; the name of the object before stays until this one's is complete. */
static int receive_name(struct receiver *r)
{
	uint32_t untrusted_len = r->header.name_len;
	size_t len;

	r->files++;
	if (r->config->files_max && r->files > r->config->files_max)
		return receive_fail(r, EDQUOT, r->name);
	if (untrusted_len > FILECOPY_NAME_MAX)
		return receive_fail(r, ENAMETOOLONG, NULL);
	len = untrusted_len;
	if (!input_exact(&r->in, r->name, len))
		return receive_fail(r, FILECOPY_ERROR_EOF, NULL);
	r->name[len] = '\0';
	r->name_len = strlen(r->name);
	return 0;
}

/* Up to the end of the stream. */
static int receive_all(struct receiver *r)
{
	uint8_t untrusted_bytes[FILECOPY_HEADER_LEN];

	for (;;) {
		if (!input_exact(&r->in, untrusted_bytes, sizeof(untrusted_bytes)))
			return receive_fail(r, EREMOTEIO, r->name);
		filecopy_header_decode(untrusted_bytes, &r->header);
		if (r->header.name_len == 0)
			break;
		if (receive_name(r) || receive_object(r))
			return -1;
	}
	/* Success is what is on the disk. */
	if (syncfs(r->config->top_fd))
		return receive_fail(r, (uint32_t)errno, r->name);
	r->error_name = r->name;
	return 0;
}

static void send_reply(struct receiver *r)
{
	static uint8_t out[FILECOPY_REPLY_LEN + FILECOPY_TAIL_LEN + FILECOPY_NAME_MAX];
	const struct filecopy_reply reply = {.error = r->error, .crc = input_crc(&r->in)};
	size_t len = FILECOPY_REPLY_LEN;

	filecopy_reply_encode(&reply, out);
	if (r->error_name) {
		size_t name_len = strlen(r->error_name);

		le32_put(out + len, (uint32_t)name_len);
		len += FILECOPY_TAIL_LEN;
		memcpy(out + len, r->error_name, name_len);
		len += name_len;
	}
	if (fd_write_all(r->config->out_fd, out, len))
		LOG_ERRNO("the reply could not be sent");
}

int receive(const struct receive_config *config)
{
	static struct receiver r;
	int failed;

	r = (struct receiver){.config = config,
	                      .trusted_folder = UINT64_MAX,
	                      .no_temp = config->no_temp,
	                      .by_proc = config->by_proc};
	r.in.fd = config->in_fd;
	place_init(&r.place, config->top_fd);
	failed = receive_all(&r);
	place_fini(&r.place);
	if (r.silent)
		return RECEIVE_SILENT_STATUS;
	/* Closed first: a sender that is still writing must see that it is over. */
	if (failed)
		(void)fd_close(config->in_fd);
	send_reply(&r);
	return (int)(r.error & 0xff);
}
