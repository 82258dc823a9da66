/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tar2qfile: files of a tar archive as a stream of files, for dom0, which restores a backup that lies in
 * this qube. Regular files only, each folder on their way once; manual: tar2qfile(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filecopy/account.h"
#include "filecopy/output.h"
#include "filecopy/reply.h"
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/tar/header.h"
#include "proto/filecopy.h"

static const char help[] =
        "usage: tar2qfile FILE|- [PREFIX...]\n"
        "Sends the regular files of a tar archive whose names begin with one of the prefixes, or "
        "all\n"
        "of them, as qfile-agent does: the stream goes to the output, the answer is read from the\n"
        "input, or from the descriptor that RESTORE_REPLY_FD names.\n";

struct converter {
	int tar;
	int reply; /* -1: nobody answers */
	char *const *prefixes;
	struct output out;
	bool refused;                /* the channel takes no more, or an answer is there */
	char last[TAR_NAME_MAX + 1]; /* the folder that was announced last */
};

static int skip(const struct converter *c, uint64_t len)
{
	uint8_t untrusted_waste[8192];

	while (len > 0) {
		size_t n = (size_t)MIN(len, (uint64_t)sizeof(untrusted_waste));

		if (fd_read_all(c->tar, untrusted_waste, n)) {
			LOG_ERRNO("the archive");
			return -1;
		}
		len -= n;
	}
	return 0;
}

static int put(struct converter *c, const void *bytes, size_t len)
{
	if (output_put(&c->out, bytes, len) == 0)
		return 0;
	c->refused = true;
	return -1;
}

static int put_header(struct converter *c, const char *name, size_t len, const struct tar_header *h,
                      uint32_t mode)
{
	const struct filecopy_header header = {
	        .name_len = (uint32_t)len + 1,
	        .mode = mode,
	        .size = S_ISREG(mode) ? h->size : 0,
	        .atime = (uint32_t)h->mtime,
	        .atime_nsec = h->mtime_ns,
	        .mtime = (uint32_t)h->mtime,
	        .mtime_nsec = h->mtime_ns,
	};
	uint8_t bytes[FILECOPY_HEADER_LEN];

	filecopy_header_encode(&header, bytes);
	return put(c, bytes, sizeof(bytes)) || put(c, name, len) || put(c, "", 1) ? -1 : 0;
}

/* Each folder above the file that was not above the one before. One that is announced again later, for an
 * archive in no order, is there already, and gets the same mode again. */
static int put_folders(struct converter *c, const struct tar_header *h)
{
	const char *slash = h->name;

	while ((slash = strchr(slash, '/'))) {
		size_t len = (size_t)(slash - h->name);

		slash++;
		if (strncmp(c->last, h->name, len) == 0 &&
		    (c->last[len] == '/' || c->last[len] == '\0'))
			continue;
		if (put_header(c, h->name, len, h, S_IFDIR | 0700))
			return -1;
	}
	slash = strrchr(h->name, '/');
	if (slash) {
		memcpy(c->last, h->name, (size_t)(slash - h->name));
		c->last[slash - h->name] = '\0';
	}
	return 0;
}

static int put_data(struct converter *c, uint64_t left)
{
	while (left > 0) {
		uint8_t *room;
		size_t len;

		if (output_room(&c->out, &room, &len) ||
		    (c->reply >= 0 && reply_is_there(c->reply))) {
			c->refused = true;
			return -1;
		}
		len = (size_t)MIN((uint64_t)len, left);
		if (fd_read_all(c->tar, room, len)) {
			LOG_ERRNO("the archive");
			return -1;
		}
		output_fill(&c->out, len);
		left -= len;
	}
	return 0;
}

static bool is_wanted(const struct converter *c, const char *name)
{
	for (char *const *p = c->prefixes; *p; p++) {
		if (strncmp(name, *p, strlen(*p)) == 0)
			return true;
	}
	return !c->prefixes[0];
}

/* A member that is no file, nor part of one's name, is nothing here. */
static int convert_member(struct converter *c, struct tar_header *h)
{
	size_t padding = tar_padding(h->size);

	/* "./a" is what tar makes of "."; a stream has one spelling. */
	while (h->name[0] == '.' && h->name[1] == '/')
		memmove(h->name, h->name + 2, strlen(h->name + 2) + 1);
	if (h->type != TAR_FILE || !is_wanted(c, h->name))
		return skip(c, h->size + padding);
	if (put_folders(c, h) ||
	    put_header(c, h->name, strlen(h->name), h, S_IFREG | (h->mode & 0777)) ||
	    put_data(c, h->size))
		return -1;
	return skip(c, padding);
}

/* What a member tells of the next one: its long name, or a pax header. */
struct extension {
	char *data; /* owned */
	size_t len;
	char type;
};

static int read_extension(const struct converter *c, const struct tar_header *h,
                          struct extension *e)
{
	free(e->data);
	*e = (struct extension){.type = h->type, .len = (size_t)h->size};
	if (h->size > TAR_PAX_MAX || !(e->data = malloc(e->len + 1)) ||
	    fd_read_all(c->tar, e->data, e->len)) {
		LOG("the archive: an extended header is too long, or cut off");
		return -1;
	}
	e->data[e->len] = '\0';
	return skip(c, tar_padding(h->size));
}

static int apply_extension(struct extension *e, struct tar_header *h)
{
	enum tar_result r = TAR_OK;
	struct tar_pax record;
	size_t at = 0;

	if (e->data && e->type == TAR_LONG_NAME) {
		if (bytes_copy_text(h->name, sizeof(h->name), e->data))
			r = TAR_BAD;
	} else if (e->data) {
		while (r == TAR_OK && (r = tar_pax_next(e->data, e->len, &at, &record)) == TAR_OK)
			r = tar_pax_apply(&record, h);
	}
	free(e->data);
	e->data = NULL;
	if (r == TAR_BAD)
		LOG("the archive: an extended header that is none");
	return r == TAR_BAD ? -1 : 0;
}

static int convert_all(struct converter *c)
{
	static const uint8_t end_marker[FILECOPY_HEADER_LEN];
	static struct tar_header h;
	struct extension e = {0};
	uint8_t untrusted_block[TAR_BLOCK];
	enum tar_result r = TAR_OK;
	int failed = 0;

	while (!failed && r == TAR_OK) {
		if (fd_read_all(c->tar, untrusted_block, sizeof(untrusted_block))) {
			LOG_ERRNO("the archive");
			failed = -1;
			break;
		}
		r = tar_header_decode(untrusted_block, &h);
		if (r != TAR_OK)
			break;
		if (h.type == TAR_PAX || h.type == TAR_LONG_NAME)
			failed = read_extension(c, &h, &e);
		else
			failed = apply_extension(&e, &h) || convert_member(c, &h);
	}
	free(e.data);
	if (r == TAR_BAD)
		LOG("not a tar archive");
	if (failed || r == TAR_BAD)
		return -1;
	if (put(c, end_marker, sizeof(end_marker)) == 0 && output_flush(&c->out) == 0)
		return 0;
	c->refused = true;
	return -1;
}

/* A limit that was reached ends it well: dom0 has what it wanted, and takes no more. */
static int read_answer(const struct converter *c, bool finished)
{
	uint8_t untrusted_bytes[FILECOPY_REPLY_LEN];
	uint32_t untrusted_error;
	uint64_t untrusted_crc;

	if (c->reply < 0)
		return finished ? 0 : 1;
	if (fd_read_all(c->reply, untrusted_bytes, sizeof(untrusted_bytes))) {
		LOG("no answer of who receives");
		return 1;
	}
	filecopy_reply_decode(untrusted_bytes, &untrusted_error, &untrusted_crc);
	if (untrusted_error == EDQUOT)
		return 0;
	if (untrusted_error != 0)
		LOG("who receives answers: error %u", untrusted_error);
	else if (!finished || untrusted_crc != c->out.crc)
		LOG("the transfer failed: checksum mismatch");
	else
		return 0;
	return 1;
}

static int reply_descriptor(bool from_input)
{
	const char *text = getenv("RESTORE_REPLY_FD");
	unsigned long long fd;

	if (text && account_number(text, INT_MAX, &fd))
		return (int)fd;
	return from_input ? -1 : STDIN_FILENO;
}

int main(int argc, char **argv)
{
	static struct converter c = {.out = {.fd = STDOUT_FILENO}};
	bool from_input = argc > 1 && strcmp(argv[1], "-") == 0;
	bool finished;

	log_init("tar2qfile");
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		(void)fputs(help, argc < 2 ? stderr : stdout);
		return argc < 2 ? 1 : 0;
	}
	if (fd_open_stdio())
		return 1;
	c.tar = from_input ? STDIN_FILENO : open(argv[1], O_RDONLY | O_CLOEXEC);
	if (c.tar < 0) {
		LOG_ERRNO("%s", argv[1]);
		return 1;
	}
	c.reply = reply_descriptor(from_input);
	c.prefixes = argv + 2;
	finished = convert_all(&c) == 0;
	if (!finished && !c.refused) {
		/* Told already. Without an end mark it is no success there either. */
		(void)!output_flush(&c.out);
		return 1;
	}
	return read_answer(&c, finished);
}
