/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the chunks of one file hold, decrypted, decompressed and put together: a tar with one member
 * that is called as the file is. Images are old GNU sparse members.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/tar/header.h"
#include "services/backup/archive.h"
#include "services/storage/tar_tree.h"

#define BUFFER      (1U << 20)
#define REGIONS_MAX 1000000U /* of one image; chosen: 16 MB */

struct regions {
	struct tar_region *list; /* owned */
	size_t n, room;
	uint64_t bytes; /* of data in all of them */
};

static int add_region(struct regions *r, uint64_t offset, uint64_t len)
{
	if (r->n == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		struct tar_region *grown;

		if (room > REGIONS_MAX) {
			errno = EOVERFLOW;
			return -1;
		}
		grown = realloc(r->list, room * sizeof(*grown));
		if (!grown)
			return -1;
		r->list = grown;
		r->room = room;
	}
	r->list[r->n++] = (struct tar_region){offset, len};
	r->bytes += len;
	return 0;
}

static int find_regions(int data, off_t size, struct regions *r)
{
	off_t at = 0;

	while (at < size) {
		off_t begin = lseek(data, at, SEEK_DATA), end;

		if (begin < 0 && errno == ENXIO)
			break;
		end = begin < 0 ? -1 : lseek(data, begin, SEEK_HOLE);
		if (end < 0)
			return -1;
		end = MIN(end, size);
		if (add_region(r, (uint64_t)begin, (uint64_t)(end - begin)))
			return -1;
		at = end;
	}
	/* Ends with the size, as tar has it when the file ends in a hole. */
	return add_region(r, (uint64_t)size, 0);
}

static int put_regions(int out, const struct tar_header *h, const struct regions *r)
{
	size_t first = MIN(r->n, (size_t)TAR_REGIONS_FIRST);
	uint8_t block[TAR_BLOCK];

	if (tar_sparse_encode(block, h, r->list, first, r->n > first)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (fd_write_all(out, block, sizeof(block)))
		return -1;
	for (size_t i = first; i < r->n; i += TAR_REGIONS_NEXT) {
		size_t n = MIN(r->n - i, (size_t)TAR_REGIONS_NEXT);

		tar_regions_encode(block, r->list + i, n, i + n < r->n);
		if (fd_write_all(out, block, sizeof(block)))
			return -1;
	}
	return 0;
}

static int put_data(int out, int data, const struct tar_region *r, char *buffer)
{
	uint64_t at = r->offset, end = r->offset + r->len;

	while (at < end) {
		ssize_t n = pread(data, buffer, (size_t)MIN(end - at, (uint64_t)BUFFER), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		/* It became shorter: it is not at rest. */
		if (n == 0)
			errno = EIO;
		if (n <= 0 || fd_write_all(out, buffer, (size_t)n))
			return -1;
		at += (uint64_t)n;
	}
	return 0;
}

int inner_write(int out, const char *path, int data)
{
	static struct tar_header h;
	static const uint8_t zeros[2 * TAR_BLOCK];
	struct regions r = {0};
	char *buffer = malloc(BUFFER);
	uint8_t block[TAR_BLOCK];
	struct stat st;
	bool sparse;
	int result = -1;

	if (!buffer || fstat(data, &st) || find_regions(data, st.st_size, &r))
		goto out;
	sparse = r.bytes < (uint64_t)st.st_size;
	h = (struct tar_header){.type = TAR_FILE, .mode = 0660, .mtime = st.st_mtim.tv_sec};
	memcpy(h.name, path, strlen(path));
	h.size = sparse ? r.bytes : (uint64_t)st.st_size;
	h.real_size = (uint64_t)st.st_size;
	if (sparse || h.size >> 33) {
		if (put_regions(out, &h, &r))
			goto out;
	} else if (tar_header_encode(block, &h) || fd_write_all(out, block, sizeof(block))) {
		goto out;
	}
	for (size_t i = 0; i < r.n; i++) {
		if (put_data(out, data, &r.list[i], buffer))
			goto out;
	}
	if (fd_write_all(out, zeros, tar_padding(r.bytes)) ||
	    fd_write_all(out, zeros, sizeof(zeros)))
		goto out;
	result = 0;
out:
	free(r.list);
	free(buffer);
	return result;
}

static void count(void *arg, uint64_t bytes)
{
	*(uint64_t *)arg = bytes;
}

/* Its length stands before it: the folder is gone through twice, the first time without its data. */
int inner_write_tree(int out, const char *path, int top, char why[160])
{
	static const uint8_t zeros[2 * TAR_BLOCK];
	static struct tar_header h;
	struct regions r = {0};
	struct tar_fault fault;
	uint64_t size = 0, written = 0;
	int result = -1;

	if (tar_pack(top, -1, "./", &fault, count, &size))
		goto out;
	h = (struct tar_header){.type = TAR_FILE, .mode = 0660, .size = size, .real_size = size};
	memcpy(h.name, path, strlen(path));
	if (add_region(&r, 0, size) == 0 && add_region(&r, size, 0) == 0 &&
	    put_regions(out, &h, &r) == 0)
		result = tar_pack(top, out, "./", &fault, count, &written);
	if (result == 0 && written != size) {
		(void)snprintf(fault.text, sizeof(fault.text), "changed while it was read");
		result = -1;
	}
	/* A tar is a number of blocks: no padding. */
	if (result == 0)
		result = fd_write_all(out, zeros, sizeof(zeros));
out:
	free(r.list);
	memcpy(why, fault.text, sizeof(fault.text));
	return result;
}

int inner_write_home(int out, const char *path, int top, char why[160])
{
	char prefix[BACKUP_PATH_LEN + 1];
	struct tar_fault fault;
	int r;

	(void)snprintf(prefix, sizeof(prefix), "%s/", path);
	r = tar_pack(top, out, prefix, &fault, NULL, NULL);
	memcpy(why, fault.text, sizeof(fault.text));
	return r;
}

int inner_read_home(int in, int top)
{
	struct tar_fault fault;
	char buffer[4096];
	int r = top < 0 ? 0 : tar_unpack(in, top, 0, &fault, NULL, NULL);
	ssize_t n;

	if (r)
		LOG("%s", fault.text);
	/* Whoever writes to us is not to fail for what stands behind the end. */
	while ((n = read(in, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno != EINTR)
			return -1;
	}
	return r;
}

/* The regions must be in order, within the file, and as much as the header says. */
static int check_regions(const struct regions *r, uint64_t size, uint64_t real_size)
{
	uint64_t end = 0, bytes = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct tar_region *one = &r->list[i];

		if (one->offset < end || one->offset > real_size ||
		    one->len > real_size - one->offset)
			return -2;
		end = one->offset + one->len;
		bytes += one->len;
	}
	return bytes == size ? 0 : -2;
}

static int read_regions(int in, const uint8_t header[TAR_BLOCK], struct regions *r)
{
	struct tar_region some[TAR_REGIONS_NEXT];
	uint8_t block[TAR_BLOCK];
	bool more, next = false;

	memcpy(block, header, sizeof(block));
	do {
		int n = tar_regions_decode(block, next, some, &more);

		if (n < 0)
			return -2;
		for (int i = 0; i < n; i++) {
			if (add_region(r, some[i].offset, some[i].len))
				return -1;
		}
		if (more && fd_read_all(in, block, sizeof(block)))
			return -1;
		next = true;
	} while (more);
	return 0;
}

static int take_data(int in, int out, const struct tar_region *r, char *buffer)
{
	uint64_t at = r->offset, end = r->offset + r->len;

	while (at < end) {
		size_t n = (size_t)MIN(end - at, (uint64_t)BUFFER), done = 0;

		if (fd_read_all(in, buffer, n))
			return -1;
		while (out >= 0 && done < n) {
			ssize_t w = pwrite(out, buffer + done, n - done, (off_t)(at + done));

			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0)
				return -1;
			done += (size_t)w;
		}
		at += n;
	}
	return 0;
}

/* Nothing but zeros behind the member: no second one. */
static int take_end(int in, uint64_t bytes, char *buffer)
{
	size_t padding = tar_padding(bytes), total = 0;
	ssize_t n;

	while ((n = read(in, buffer, BUFFER)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] != '\0')
				return -2;
		}
		total += (size_t)n;
	}
	return total >= padding + TAR_BLOCK ? 0 : -2;
}

static int read_member(int in, const char *path, int out, uint64_t size_max, uint64_t *ret_size,
                       struct regions *r, char *buffer)
{
	static struct tar_header h;
	uint8_t block[TAR_BLOCK];
	uint64_t size;
	int result = 0;

	if (fd_read_all(in, block, sizeof(block)))
		return -1;
	if (tar_header_decode(block, &h) != TAR_OK || strcmp(h.name, path) != 0 ||
	    (h.type != TAR_FILE && h.type != TAR_SPARSE))
		return -2;
	size = h.type == TAR_SPARSE ? h.real_size : h.size;
	if (size > size_max)
		return -2;
	result = h.type == TAR_SPARSE ? read_regions(in, block, r) : add_region(r, 0, h.size);
	if (result == 0)
		result = check_regions(r, h.size, size);
	if (result == 0 && out >= 0 && ftruncate(out, (off_t)size))
		result = -1;
	for (size_t i = 0; result == 0 && i < r->n; i++)
		result = take_data(in, out, &r->list[i], buffer);
	*ret_size = size;
	return result ? result : take_end(in, h.size, buffer);
}

int inner_read(int in, const char *path, int out, uint64_t size_max, uint64_t *ret_size)
{
	struct regions r = {0};
	char *buffer = malloc(BUFFER);
	int result = buffer ? read_member(in, path, out, size_max, ret_size, &r, buffer) : -1;

	free(r.list);
	free(buffer);
	return result;
}
