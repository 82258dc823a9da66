/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a template's payload, from an archive (cpio) that has the pieces of an archive (tar). Hostile bytes:
 * everything is bounded, and nothing is taken but what payload.h names.
 */
#include "tools/template/payload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/tar/header.h"
#include "proto/image/newc.h"

#define FOLDER     "var/lib/qubes/vm-templates/"
#define PART       "root.img.part."
#define IMAGE      "root.img"
#define CHUNK      65536U
#define PAX_MAX    16U           /* extended headers before the image */
#define OTHERS_MAX (64ULL << 30) /* bytes of files that are not wanted; chosen */

struct reader {
	const struct payload_io *io;
	const char *name;
	struct payload_info *info;
	struct newc_head entry;
	char path[NEWC_NAME_MAX]; /* of the entry, without what is before its first component */
	const char *file;         /* in path: its name in the template's folder; NULL: elsewhere */
	uint32_t left;            /* bytes of the entry that are not read yet */
	unsigned int n_entries;
	unsigned int next_part;
	uint64_t others;
	uint64_t written; /* of the image */
	bool held;        /* its last byte came, and waits */
	uint8_t last;
	uint8_t chunk[CHUNK];
};

static bool is_part(const struct reader *r)
{
	return r->file && strncmp(r->file, PART, strlen(PART)) == 0;
}

/* Bytes of the entry, up to its end; nothing is kept. */
static enum payload_result skip_entry(struct reader *r)
{
	size_t padding = (size_t)(newc_align(r->entry.size) - r->entry.size);

	while (r->left > 0) {
		size_t n = MIN(r->left, CHUNK);

		if (r->io->read(r->io->ctx, r->chunk, n))
			return PAYLOAD_E_READ;
		r->left -= (uint32_t)n;
	}
	return r->io->read(r->io->ctx, r->chunk, padding) ? PAYLOAD_E_READ : PAYLOAD_OK;
}

static bool has_dots(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/') {
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return false;
}

/* Which of our files a path is. */
static const char *in_folder(const char *path, const char *name)
{
	size_t len = strlen(name);

	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path += *path == '/' ? 1 : 2;
	if (strncmp(path, FOLDER, strlen(FOLDER)) != 0)
		return NULL;
	path += strlen(FOLDER);
	if (strncmp(path, name, len) != 0 || path[len] != '/' || strchr(path + len + 1, '/'))
		return NULL;
	return path + len + 1;
}

/* The next entry of the archive: its header and name. */
static enum payload_result next_entry(struct reader *r)
{
	uint8_t untrusted_header[NEWC_HEAD_LEN];
	size_t len;

	if (r->io->read(r->io->ctx, untrusted_header, sizeof(untrusted_header)))
		return PAYLOAD_E_READ;
	if (newc_decode(untrusted_header, &r->entry) || ++r->n_entries > PAYLOAD_ENTRIES_MAX)
		return PAYLOAD_E_CPIO;
	len = NEWC_HEAD_LEN + r->entry.name_len;
	if (r->io->read(r->io->ctx, r->path, r->entry.name_len) ||
	    r->io->read(r->io->ctx, r->chunk, (size_t)newc_align(len) - len))
		return PAYLOAD_E_READ;
	if (memchr(r->path, '\0', r->entry.name_len) != r->path + r->entry.name_len - 1)
		return PAYLOAD_E_CPIO;
	if (has_dots(r->path))
		return PAYLOAD_E_PATH;
	r->left = r->entry.size;
	r->file = in_folder(r->path, r->name);
	return PAYLOAD_OK;
}

static bool is_end(const struct reader *r)
{
	return strcmp(r->path, NEWC_END) == 0;
}

/* The number of the part that is wanted now, and a file. */
static enum payload_result check_part(struct reader *r)
{
	const char *digits = r->file + strlen(PART);
	unsigned int number = 0;

	if (!S_ISREG(r->entry.mode) || strlen(digits) < 2 || strlen(digits) > 4 ||
	    strspn(digits, "0123456789") != strlen(digits))
		return PAYLOAD_E_PARTS;
	for (; *digits; digits++)
		number = number * 10 + (unsigned int)(*digits - '0');
	return number == r->next_part++ ? PAYLOAD_OK : PAYLOAD_E_PARTS;
}

/* Bytes of all parts, one behind the other. */
static enum payload_result read_parts(struct reader *r, void *data, size_t len)
{
	uint8_t *to = data;

	while (len > 0) {
		enum payload_result result = PAYLOAD_OK;
		size_t n = MIN(len, (size_t)r->left);

		if (n > 0 && r->io->read(r->io->ctx, to, n))
			return PAYLOAD_E_READ;
		to += n;
		len -= n;
		r->left -= (uint32_t)n;
		if (len == 0)
			break;
		result = skip_entry(r);
		if (result == PAYLOAD_OK)
			result = next_entry(r);
		if (result == PAYLOAD_OK)
			result = is_part(r) ? check_part(r) : PAYLOAD_E_PARTS;
		if (result != PAYLOAD_OK)
			return result;
	}
	return PAYLOAD_OK;
}

/* Bytes of the image; its last one is kept back. */
static enum payload_result put(struct reader *r, const uint8_t *data, size_t len)
{
	r->written += len;
	if (len > 0 && r->written == r->info->root_size) {
		r->held = true;
		r->last = data[--len];
	}
	return len > 0 && r->io->write(r->io->ctx, data, len) ? PAYLOAD_E_WRITE : PAYLOAD_OK;
}

static enum payload_result put_zeros(struct reader *r, uint64_t len)
{
	static const uint8_t zeros[CHUNK];
	enum payload_result result = PAYLOAD_OK;

	while (len > 0 && result == PAYLOAD_OK) {
		size_t n = (size_t)MIN(len, (uint64_t)CHUNK);

		result = put(r, zeros, n);
		len -= n;
	}
	return result;
}

static enum payload_result copy(struct reader *r, uint64_t len)
{
	enum payload_result result = PAYLOAD_OK;

	while (len > 0 && result == PAYLOAD_OK) {
		static uint8_t data[CHUNK];
		size_t n = (size_t)MIN(len, (uint64_t)CHUNK);

		result = read_parts(r, data, n);
		if (result == PAYLOAD_OK)
			result = put(r, data, n);
		len -= n;
	}
	return result;
}

/* Where the data of a sparse file belongs: ascending, inside the file, and as much as there is. */
static bool regions_right(const struct tar_region *regions, size_t n, const struct tar_header *h)
{
	uint64_t at = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (regions[i].offset < at || regions[i].offset > h->real_size ||
		    regions[i].len > h->real_size - regions[i].offset)
			return false;
		at = regions[i].offset + regions[i].len;
		sum += regions[i].len;
	}
	return sum == h->size;
}

static enum payload_result read_regions(struct reader *r, const uint8_t block[TAR_BLOCK],
                                        struct tar_region *regions, size_t *ret_n)
{
	uint8_t next[TAR_BLOCK];
	bool more;
	int n = tar_regions_decode(block, false, regions, &more);

	if (n < 0)
		return PAYLOAD_E_SPARSE;
	*ret_n = (size_t)n;
	while (more) {
		enum payload_result result = read_parts(r, next, sizeof(next));

		if (result != PAYLOAD_OK)
			return result;
		if (*ret_n + TAR_REGIONS_NEXT > PAYLOAD_REGIONS_MAX ||
		    (n = tar_regions_decode(next, true, regions + *ret_n, &more)) < 0)
			return PAYLOAD_E_SPARSE;
		*ret_n += (size_t)n;
	}
	return PAYLOAD_OK;
}

static enum payload_result begin(struct reader *r, uint64_t size)
{
	if (size == 0 || size > PAYLOAD_ROOT_MAX)
		return PAYLOAD_E_SIZE;
	r->info->root_size = size;
	return r->io->begin(r->io->ctx, size) ? PAYLOAD_E_WRITE : PAYLOAD_OK;
}

static enum payload_result read_sparse(struct reader *r, const struct tar_header *h,
                                       const uint8_t block[TAR_BLOCK])
{
	struct tar_region *regions = malloc(PAYLOAD_REGIONS_MAX * sizeof(*regions));
	enum payload_result result = PAYLOAD_E_RIGHTS;
	size_t n = 0;

	if (regions)
		result = read_regions(r, block, regions, &n);
	if (result == PAYLOAD_OK && !regions_right(regions, n, h))
		result = PAYLOAD_E_SPARSE;
	if (result == PAYLOAD_OK)
		result = begin(r, h->real_size);
	for (size_t i = 0; i < n && result == PAYLOAD_OK; i++) {
		result = put_zeros(r, regions[i].offset - r->written);
		if (result == PAYLOAD_OK)
			result = copy(r, regions[i].len);
	}
	if (result == PAYLOAD_OK)
		result = put_zeros(r, h->real_size - r->written);
	free(regions);
	return result;
}

/* An extended header: what it says of sizes is believed, sparse files of that form are not known. */
static enum payload_result read_pax(struct reader *r, struct tar_header *h, struct tar_header *next)
{
	static char data[CHUNK];
	enum payload_result result;
	struct tar_pax pax;
	enum tar_result t;
	size_t at = 0;

	if (h->size > sizeof(data))
		return PAYLOAD_E_TAR;
	result = read_parts(r, data, (size_t)h->size + tar_padding(h->size));
	if (result != PAYLOAD_OK)
		return result;
	while ((t = tar_pax_next(data, (size_t)h->size, &at, &pax)) == TAR_OK) {
		if (pax.key_len > 11 && memcmp(pax.key, "GNU.sparse.", 11) == 0)
			return PAYLOAD_E_SPARSE;
		if (tar_pax_apply(&pax, next) != TAR_OK)
			return PAYLOAD_E_TAR;
	}
	return t == TAR_END ? PAYLOAD_OK : PAYLOAD_E_TAR;
}

static bool is_image(const char *name)
{
	const char *slash = strrchr(name, '/');

	return strcmp(slash ? slash + 1 : name, IMAGE) == 0;
}

/* What is behind the image, in this part and in those that follow, is nothing. */
static enum payload_result read_nothing(struct reader *r)
{
	while (r->left > 0) {
		size_t n = MIN(r->left, CHUNK);

		if (r->io->read(r->io->ctx, r->chunk, n))
			return PAYLOAD_E_READ;
		if (r->chunk[0] != 0 || memcmp(r->chunk, r->chunk + 1, n - 1) != 0)
			return PAYLOAD_E_TAR;
		r->left -= (uint32_t)n;
	}
	return PAYLOAD_OK;
}

static enum payload_result read_image(struct reader *r)
{
	static struct tar_header h, next;
	uint8_t block[TAR_BLOCK];
	uint8_t padding[TAR_BLOCK];
	enum payload_result result;

	next = (struct tar_header){0};
	for (unsigned int i = 0;; i++) {
		result = read_parts(r, block, sizeof(block));
		if (result != PAYLOAD_OK)
			return result;
		if (i == PAX_MAX || tar_header_decode(block, &h) != TAR_OK)
			return PAYLOAD_E_TAR;
		if (h.type != TAR_PAX && h.type != TAR_PAX_GLOBAL)
			break;
		result = read_pax(r, &h, &next);
		if (result != PAYLOAD_OK)
			return result;
	}
	if (next.size)
		h.size = next.size;
	if (!is_image(next.name[0] ? next.name : h.name) ||
	    (h.type != TAR_FILE && h.type != TAR_SPARSE))
		return PAYLOAD_E_TAR;
	if (h.type == TAR_SPARSE) {
		result = read_sparse(r, &h, block);
	} else {
		result = begin(r, h.size);
		if (result == PAYLOAD_OK)
			result = copy(r, h.size);
	}
	if (result == PAYLOAD_OK)
		result = read_parts(r, padding, tar_padding(h.size));
	return result == PAYLOAD_OK ? read_nothing(r) : result;
}

static enum payload_result read_part(struct reader *r)
{
	bool first = r->next_part == 0;
	enum payload_result result = check_part(r);

	if (result != PAYLOAD_OK)
		return result;
	return first ? read_image(r) : read_nothing(r);
}

static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n' && text[i] != '\t' &&
		    text[i] != '\r')
			return false;
	}
	return true;
}

static enum payload_result read_text(struct reader *r, char text[PAYLOAD_TEXT_MAX + 1])
{
	size_t len = r->left;

	if (!S_ISREG(r->entry.mode) || len > PAYLOAD_TEXT_MAX || text[0])
		return PAYLOAD_E_TEXT;
	if (r->io->read(r->io->ctx, text, len))
		return PAYLOAD_E_READ;
	text[len] = '\0';
	r->left = 0;
	return is_text(text, len) ? PAYLOAD_OK : PAYLOAD_E_TEXT;
}

static enum payload_result read_entry(struct reader *r)
{
	static const char *const texts[PAYLOAD_TEXTS] = {
	        [PAYLOAD_CONF] = "template.conf",
	        [PAYLOAD_MENU] = "vm-whitelisted-appmenus.list",
	        [PAYLOAD_OWN_MENU] = "whitelisted-appmenus.list",
	        [PAYLOAD_NETVM_MENU] = "netvm-whitelisted-appmenus.list",
	};

	if (is_part(r))
		return read_part(r);
	for (size_t i = 0; r->file && i < PAYLOAD_TEXTS; i++) {
		if (strcmp(r->file, texts[i]) == 0)
			return read_text(r, r->info->texts[i]);
	}
	r->others += r->left;
	return r->others > OTHERS_MAX ? PAYLOAD_E_SIZE : PAYLOAD_OK;
}

bool payload_line(const char *text, size_t *at, char *line, size_t room)
{
	static const char blanks[] = " \t\r";

	while (text[*at]) {
		const char *p = text + *at;
		size_t len = strcspn(p, "\n");

		*at += len + (p[len] == '\n');
		while (len > 0 && strchr(blanks, p[len - 1]))
			len--;
		while (len > 0 && strchr(blanks, *p))
			p++, len--;
		if (len == 0 || *p == '#' || len >= room)
			continue;
		memcpy(line, p, len);
		line[len] = '\0';
		return true;
	}
	return false;
}

static bool wants_pv(const char *conf)
{
	char line[64];
	size_t at = 0;

	while (payload_line(conf, &at, line, sizeof(line))) {
		if (strcmp(line, "virt_mode=pv") == 0)
			return true;
	}
	return false;
}

enum payload_result payload_read(const struct payload_io *io, const char *name, bool allow_pv,
                                 struct payload_info *ret)
{
	static struct reader r;
	enum payload_result result;

	*ret = (struct payload_info){0};
	r = (struct reader){.io = io, .name = name, .info = ret};
	for (;;) {
		result = next_entry(&r);
		if (result != PAYLOAD_OK)
			return result;
		if (is_end(&r))
			break;
		result = read_entry(&r);
		if (result == PAYLOAD_OK)
			result = skip_entry(&r);
		if (result != PAYLOAD_OK)
			return result;
	}
	if (!r.held)
		return PAYLOAD_E_NONE;
	if (!allow_pv && wants_pv(ret->texts[PAYLOAD_CONF]))
		return PAYLOAD_E_PV;
	return io->write(io->ctx, &r.last, 1) ? PAYLOAD_E_WRITE : PAYLOAD_OK;
}

const char *payload_error(enum payload_result result)
{
	static const char *const texts[PAYLOAD_E_MAX] = {
	        [PAYLOAD_OK] = "",
	        [PAYLOAD_E_READ] = "it ends too early, or cannot be decompressed",
	        [PAYLOAD_E_WRITE] = "the root volume does not take it",
	        [PAYLOAD_E_CPIO] = "its files are no archive of the form that is taken",
	        [PAYLOAD_E_PATH] = "a file's path leads upwards",
	        [PAYLOAD_E_PARTS] = "a part of the root image is missing or out of its order",
	        [PAYLOAD_E_TAR] = "the parts of the root image are not an archive of root.img",
	        [PAYLOAD_E_SPARSE] = "the root image has holes of a form that is not taken",
	        [PAYLOAD_E_SIZE] = "larger than a template may be",
	        [PAYLOAD_E_TEXT] = "a text of it is too long, or of other characters",
	        [PAYLOAD_E_PV] = "it wants to be a PV domain; --allow-pv lets it",
	        [PAYLOAD_E_NONE] = "it has no root image",
	        [PAYLOAD_E_RIGHTS] = "this system cannot confine who reads it",
	};

	return result >= 0 && result < PAYLOAD_E_MAX ? texts[result] : "its reader failed";
}
