/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/dom0/image_parts.h"

#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/sandbox/common_calls.h"
#include "lib/sandbox/sandbox.h"
#include "proto/image/newc.h"
#include "proto/services/rpm.h"
#include "services/dom0/child.h"

#define MEMORY_MAX  (64U << 20)
#define FILES_MAX   16U
#define COPY_BYTES  (256U << 10)
#define ENTRIES_MAX 64U /* of a package; chosen */
#define MEMBERS_MAX (RELEASE_PARTS_MAX + 2)
#define SUMS_MAX    1024U
#define RELEASE     "release"
#define SIGNATURES  "release.sig"
#define SUMS        "sums"

static const struct confine_call calls[] = {
        CONFINE_CALLS_BASE,
        {"pread64", "the package, the slot"},
        {"pwrite64", "the slot"},
};

static int confine_part(const char *name, const struct image_files *f)
{
	const int fds[] = {f->result, STDERR_FILENO, f->package >= 0 ? f->package : f->slot,
	                   f->slot >= 0 ? f->slot : f->package};
	const struct confine_rights rights = {
	        .name = name,
	        .calls = calls,
	        .n_calls = ARRAY_LEN(calls),
	        .fds = fds,
	        .n_fds = ARRAY_LEN(fds),
	        .files_max = FILES_MAX,
	        .memory_max = MEMORY_MAX,
	        .required = CONFINE_NO_NEW_PRIVS | CONFINE_SECCOMP | CONFINE_LIMITS | CONFINE_FDS,
	        .wanted = CONFINE_LANDLOCK | CONFINE_NAMESPACES,
	};
	int r;

	log_set_fd(-1);
	r = confine(&rights);
	log_set_fd(STDERR_FILENO);
	return r;
}

/* A file or a slot, with what is known of its image so far. */
struct image {
	int fd;
	uint64_t bytes;
	uint64_t base; /* where the archive begins: what is aligned in it counts from there */
	struct image_report *report;
	char text[RELEASE_MAX]; /* what is signed */
	char signatures[SIGNIFY_FILE_MAX];
	uint32_t text_len, signatures_len;
};

struct member {
	char name[IMAGE_PART_MAX];
	uint64_t at;
	uint32_t size;
	bool is_folder, is_end;
};

static int fail(struct image *image, enum image_result result, const char *part)
{
	image->report->result = result;
	(void)snprintf(image->report->part, sizeof(image->report->part), "%.*s",
	               (int)sizeof(image->report->part) - 1, part);
	return -1;
}

static int read_at(struct image *image, void *data, size_t len, uint64_t at, const char *part)
{
	size_t got = 0;

	if (at > image->bytes || len > image->bytes - at)
		return fail(image, IMAGE_E_SHORT, part);
	while (got < len) {
		ssize_t n = pread(image->fd, (uint8_t *)data + got, len - got, (off_t)(at + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(image, n < 0 ? IMAGE_E_READ : IMAGE_E_SHORT, part);
		got += (size_t)n;
	}
	return 0;
}

static uint64_t align(const struct image *image, uint64_t at)
{
	return image->base + newc_align(at - image->base);
}

/* The member whose head begins at *at; *at is behind it then. @folder: before each name of a file. */
static int read_member(struct image *image, const char *folder, uint64_t *at, struct member *ret)
{
	uint8_t untrusted_head[NEWC_HEAD_LEN];
	char untrusted_name[NEWC_NAME_MAX];
	struct newc_head head;
	const char *name = untrusted_name;

	if (read_at(image, untrusted_head, sizeof(untrusted_head), *at, "a head"))
		return -1;
	if (newc_decode(untrusted_head, &head))
		return fail(image, IMAGE_E_PACKAGE, "");
	if (read_at(image, untrusted_name, head.name_len, *at + NEWC_HEAD_LEN, "a name"))
		return -1;
	if (newc_name_check(untrusted_name, head.name_len))
		return fail(image, IMAGE_E_PACKAGE, "");
	*ret = (struct member){.at = align(image, *at + NEWC_HEAD_LEN + head.name_len),
	                       .size = head.size,
	                       .is_folder = S_ISDIR(head.mode) && head.size == 0,
	                       .is_end = strcmp(name, NEWC_END) == 0};
	*at = align(image, ret->at + head.size);
	if (ret->is_end || ret->is_folder)
		return 0;
	if (!S_ISREG(head.mode) || strncmp(name, folder, strlen(folder)) != 0)
		return fail(image, IMAGE_E_FOREIGN, name);
	name += strlen(folder);
	if (strlen(name) >= sizeof(ret->name))
		return fail(image, IMAGE_E_FOREIGN, name);
	memcpy(ret->name, name, strlen(name) + 1);
	return ret->at + head.size > image->bytes ? fail(image, IMAGE_E_SHORT, name) : 0;
}

static int read_text(struct image *image, const struct member *m, char *text, size_t max,
                     uint32_t *ret_len)
{
	if (m->size > max)
		return fail(image, IMAGE_E_RELEASE, m->name);
	*ret_len = m->size;
	return read_at(image, text, m->size, m->at, m->name);
}

/* The signatures first: nothing of the text is read before enough keys have vouched for it. */
static int understand(struct image *image, const struct signify_keys *keys)
{
	struct signify_signature signatures[SIGNIFY_KEYS_MAX];
	struct image_report *report = image->report;
	size_t n = 0;

	if (signify_signatures_decode(image->signatures, image->signatures_len, signatures, &n))
		return fail(image, IMAGE_E_UNSIGNED, SIGNATURES);
	report->n_signed =
	        (uint32_t)signify_count(keys, signatures, n, image->text, image->text_len);
	if (report->n_signed < keys->needed)
		return fail(image, IMAGE_E_UNSIGNED, RELEASE);
	if (release_decode(image->text, image->text_len, &report->release))
		return fail(image, IMAGE_E_RELEASE, RELEASE);
	return 0;
}

static size_t make_sums(const struct release *r, char out[SUMS_MAX])
{
	int n = 0;

	for (size_t i = 0; i < r->n_parts; i++) {
		for (size_t k = 0; k < RELEASE_DIGEST_LEN; k++)
			n += snprintf(out + n, SUMS_MAX - (size_t)n, "%02x", r->parts[i].sha256[k]);
		n += snprintf(out + n, SUMS_MAX - (size_t)n, "  %s\n", r->parts[i].name);
	}
	return (size_t)n;
}

/* The package. */

static const struct member *find(const struct member *members, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	}
	return NULL;
}

/* Where its payload begins. Somebody has checked it: what its headers say but their length is not looked at. */
static int skip_headers(struct image *image)
{
	uint64_t *at = &image->base;
	uint8_t untrusted[RPM_LEAD_LEN];
	struct rpm_size size;

	if (read_at(image, untrusted, RPM_LEAD_LEN, 0, "its lead"))
		return -1;
	if (rpm_lead_check(untrusted) != RPM_OK)
		return fail(image, IMAGE_E_PACKAGE, "");
	*at = RPM_LEAD_LEN;
	for (int i = 0; i < 2; i++) {
		if (read_at(image, untrusted, RPM_PREFIX_LEN, *at, "a header"))
			return -1;
		if (rpm_prefix_decode(untrusted, i ? RPM_HEADER_MAX : RPM_SIGNATURE_MAX, &size) !=
		    RPM_OK)
			return fail(image, IMAGE_E_PACKAGE, "");
		*at += RPM_PREFIX_LEN + rpm_size_rest(&size) + (i ? 0 : rpm_padding(&size));
	}
	return 0;
}

static int list_members(struct image *image, struct member members[MEMBERS_MAX], size_t *ret_n)
{
	struct member m;
	uint64_t at;
	size_t n = 0;

	if (skip_headers(image))
		return -1;
	at = image->base;
	for (unsigned int i = 0; i < ENTRIES_MAX; i++) {
		if (read_member(image, IMAGE_FOLDER, &at, &m))
			return -1;
		if (m.is_end) {
			*ret_n = n;
			return 0;
		}
		if (m.is_folder)
			continue;
		if (n == MEMBERS_MAX || find(members, n, m.name))
			return fail(image, IMAGE_E_FOREIGN, m.name);
		members[n++] = m;
	}
	return fail(image, IMAGE_E_PACKAGE, "");
}

/* What is signed, and that the package holds those parts, in their sizes, and nothing else. */
static int look(struct image *image, const struct signify_keys *keys,
                struct member members[MEMBERS_MAX], size_t *n)
{
	const struct release *release = &image->report->release;
	const struct member *text, *signatures;

	if (list_members(image, members, n))
		return -1;
	text = find(members, *n, RELEASE);
	signatures = find(members, *n, SIGNATURES);
	if (!text || !signatures)
		return fail(image, text ? IMAGE_E_UNSIGNED : IMAGE_E_NONE,
		            text ? SIGNATURES : RELEASE);
	if (read_text(image, text, image->text, sizeof(image->text), &image->text_len) ||
	    read_text(image, signatures, image->signatures, sizeof(image->signatures),
	              &image->signatures_len) ||
	    understand(image, keys))
		return -1;
	for (size_t i = 0; i < release->n_parts; i++) {
		const struct member *m = find(members, *n, release->parts[i].name);

		if (!m)
			return fail(image, IMAGE_E_NONE, release->parts[i].name);
		if (m->size != release->parts[i].size)
			return fail(image, IMAGE_E_PART, m->name);
	}
	if (*n == release->n_parts + 2U)
		return 0;
	for (size_t i = 0; i < *n; i++) {
		size_t k = 0;

		while (k < release->n_parts && strcmp(release->parts[k].name, members[i].name) != 0)
			k++;
		if (k == release->n_parts && &members[i] != text && &members[i] != signatures)
			return fail(image, IMAGE_E_FOREIGN, members[i].name);
	}
	return 0;
}

/* The slot. */

struct slot_writer {
	int fd;
	uint64_t at, end;
	struct image *image; /* for what goes wrong */
};

static int put(struct slot_writer *w, const void *data, size_t len)
{
	size_t done = 0;

	if (len > w->end - w->at)
		return fail(w->image, IMAGE_E_SPACE, "");
	while (done < len) {
		ssize_t n = pwrite(w->fd, (const uint8_t *)data + done, len - done, (off_t)w->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(w->image, IMAGE_E_WRITE, "");
		done += (size_t)n;
		w->at += (uint64_t)n;
	}
	return 0;
}

static int put_padding(struct slot_writer *w)
{
	static const uint8_t zeros[4];

	return put(w, zeros, (size_t)(newc_align(w->at) - w->at));
}

static int put_head(struct slot_writer *w, const char *name, uint32_t size, uint32_t mode)
{
	const struct newc_head head = {.mode = mode,
	                               .size = size,
	                               .name_len = (uint32_t)strlen(name) + 1};
	uint8_t bytes[NEWC_HEAD_LEN];

	newc_encode(bytes, &head);
	return put(w, bytes, sizeof(bytes)) || put(w, name, head.name_len) || put_padding(w) ? -1
	                                                                                     : 0;
}

static int put_file(struct slot_writer *w, const char *name, const char *data, size_t len)
{
	return put_head(w, name, (uint32_t)len, NEWC_FILE) || put(w, data, len) || put_padding(w)
	               ? -1
	               : 0;
}

/* @w: NULL only reads */
static int copy_part(struct image *image, const struct member *m, const struct release_part *part,
                     struct slot_writer *w)
{
	static uint8_t untrusted_data[COPY_BYTES];
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	for (uint32_t done = 0; done < m->size;) {
		size_t n = MIN((size_t)(m->size - done), sizeof(untrusted_data));

		if (read_at(image, untrusted_data, n, m->at + done, m->name))
			return -1;
		(void)crypto_hash_sha256_update(&state, untrusted_data, n);
		if (w && put(w, untrusted_data, n))
			return -1;
		done += (uint32_t)n;
	}
	(void)crypto_hash_sha256_final(&state, digest);
	return memcmp(digest, part->sha256, sizeof(digest)) == 0
	               ? 0
	               : fail(image, IMAGE_E_PART, m->name);
}

static int write_slot(struct image *image, const struct image_files *f)
{
	const struct release *release = &image->report->release;
	struct slot_writer w = {
	        .fd = f->slot, .at = SLOT_SECTOR, .end = f->slot_bytes, .image = image};
	struct member members[MEMBERS_MAX];
	char sums[SUMS_MAX];
	size_t n;

	if (look(image, f->keys, members, &n))
		return -1;
	if (w.end < w.at)
		return fail(image, IMAGE_E_SPACE, "");
	if (put_file(&w, "skerry/" RELEASE, image->text, image->text_len) ||
	    put_file(&w, "skerry/" SIGNATURES, image->signatures, image->signatures_len) ||
	    put_file(&w, "skerry/" SUMS, sums, make_sums(release, sums)))
		return -1;
	for (size_t i = 0; i < release->n_parts; i++) {
		const struct release_part *part = &release->parts[i];

		if (put_head(&w, part->name, part->size, NEWC_FILE) ||
		    copy_part(image, find(members, n, part->name), part, &w) || put_padding(&w))
			return -1;
	}
	return put_head(&w, NEWC_END, 0, 0);
}

/* The next member of a slot, which must be this one. */
static int expect(struct image *image, const char *name, uint64_t *at, struct member *m)
{
	if (read_member(image, "", at, m))
		return image->report->result == IMAGE_E_READ ? -1 : fail(image, IMAGE_E_SLOT, name);
	return m->is_end || m->is_folder || strcmp(m->name, name) != 0
	               ? fail(image, IMAGE_E_SLOT, name)
	               : 0;
}

static int verify_slot(struct image *image, const struct signify_keys *keys, bool whole)
{
	const struct release *release = &image->report->release;
	char sums[SUMS_MAX], untrusted_sums[SUMS_MAX];
	uint64_t at = SLOT_SECTOR;
	struct member m;

	if (expect(image, "skerry/" RELEASE, &at, &m) ||
	    read_text(image, &m, image->text, sizeof(image->text), &image->text_len) ||
	    expect(image, "skerry/" SIGNATURES, &at, &m) ||
	    read_text(image, &m, image->signatures, sizeof(image->signatures),
	              &image->signatures_len) ||
	    understand(image, keys) || expect(image, "skerry/" SUMS, &at, &m))
		return -1;
	if (m.size != make_sums(release, sums) ||
	    read_at(image, untrusted_sums, m.size, m.at, m.name) ||
	    memcmp(sums, untrusted_sums, m.size) != 0)
		return fail(image, IMAGE_E_PART, m.name);
	for (size_t i = 0; i < release->n_parts; i++) {
		const struct release_part *part = &release->parts[i];

		if (expect(image, part->name, &at, &m))
			return -1;
		if (m.size != part->size)
			return fail(image, IMAGE_E_PART, part->name);
		if (whole && copy_part(image, &m, part, NULL))
			return -1;
	}
	if (read_member(image, "", &at, &m) || !m.is_end)
		return fail(image, IMAGE_E_SLOT, "its end");
	return 0;
}

/* In a child. */

static int report(const struct image_files *f, const struct image_report *report)
{
	return fd_write_all(f->result, report, sizeof(*report)) ? CHILD_LOST : 0;
}

int image_look(const struct image_files *f)
{
	static struct image_report result = {.result = IMAGE_E_READ};
	static struct image image = {.report = &result};
	struct member members[MEMBERS_MAX];
	size_t n;

	if (confine_part("image-look", f))
		return CHILD_E_RIGHTS;
	image.fd = f->package;
	image.bytes = f->package_bytes;
	if (look(&image, f->keys, members, &n) == 0)
		result.result = IMAGE_OK;
	return report(f, &result);
}

int image_write(const struct image_files *f)
{
	static struct image_report result = {.result = IMAGE_E_READ};
	static struct image image = {.report = &result};

	if (confine_part("image-write", f))
		return CHILD_E_RIGHTS;
	image.fd = f->package;
	image.bytes = f->package_bytes;
	if (write_slot(&image, f) == 0)
		result.result = IMAGE_OK;
	return report(f, &result);
}

int image_verify(const struct image_files *f, bool whole)
{
	static struct image_report result = {.result = IMAGE_E_READ};
	static struct image image = {.report = &result};

	if (confine_part("image-verify", f))
		return CHILD_E_RIGHTS;
	image.fd = f->slot;
	image.bytes = f->slot_bytes;
	if (verify_slot(&image, f->keys, whole) == 0)
		result.result = IMAGE_OK;
	return report(f, &result);
}
