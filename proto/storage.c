/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admin service, storage service and its workers: packets to checked structs and back.
 * Fuzzed by fuzz/proto_storage.c.
 */
#include "proto/storage.h"

#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

#define VID_PARTS_MAX 4

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool made_of(const char *text, size_t max, const char *others)
{
	size_t n = 0;

	for (; text[n]; n++) {
		if (n == max - 1 || (!alnum(text[n]) && !strchr(others, text[n])))
			return false;
	}
	return n > 0;
}

bool storage_pool_legal(const char *text)
{
	return made_of(text, STORAGE_POOL_LEN, "_.-") && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

bool storage_vid_legal(const char *text)
{
	size_t parts = 1;

	if (!made_of(text, STORAGE_VID_LEN, "_.+-/"))
		return false;
	for (const char *p = text; *p; p++) {
		bool first = p == text || p[-1] == '/';

		if (first && !alnum(*p) && *p != '_')
			return false;
		if (*p == '/' && (++parts > VID_PARTS_MAX || p[1] == '\0'))
			return false;
	}
	return true;
}

bool storage_revision_legal(const char *text)
{
	return made_of(text, STORAGE_REVISION_LEN, ":_.-") && alnum(text[0]);
}

/* Any printable byte but those that would end a line or a word of a program that is told the path. */
bool storage_dir_legal(const char *text)
{
	size_t len = strnlen(text, STORAGE_DIR_LEN);

	if (len < 2 || len >= STORAGE_DIR_LEN || text[0] != '/' || text[len - 1] == '/')
		return false;
	for (const char *p = text; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
		if (*p != '/')
			continue;
		if (p[1] == '/' || strncmp(p, "/./", 3) == 0 || strncmp(p, "/../", 4) == 0 ||
		    strcmp(p, "/.") == 0 || strcmp(p, "/..") == 0)
			return false;
	}
	return true;
}

/* A text that ends inside its field, with nothing but NULs behind. */
static bool filled(const char *field, size_t len)
{
	size_t n = strnlen(field, len);

	if (n == len)
		return false;
	for (; n < len; n++) {
		if (field[n] != '\0')
			return false;
	}
	return true;
}

static bool printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

enum need { NEVER, MAYBE, ALWAYS };

/* What a kind of request must and may have. */
struct shape {
	uint8_t vid, source, revision;
	uint32_t flags;
};

#define VOLUME_FLAGS                                                                               \
	(STORAGE_F_RW | STORAGE_F_SAVE | STORAGE_F_SNAP | STORAGE_F_EPHEMERAL | STORAGE_F_SHARED)

static const struct shape shapes[STORAGE_KIND_MAX + 1] = {
        [STORAGE_POOL_SETUP] = {NEVER, NEVER, NEVER, STORAGE_F_SETUP_CHECK},
        [STORAGE_CREATE] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_REMOVE] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_VERIFY] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_START] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS | STORAGE_F_ADOPT},
        [STORAGE_STOP] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS | STORAGE_F_RECOVER},
        [STORAGE_CLONE] = {ALWAYS, ALWAYS, NEVER, VOLUME_FLAGS},
        [STORAGE_RESIZE] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_INFO] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_REVISIONS] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_REVERT] = {ALWAYS, MAYBE, ALWAYS, VOLUME_FLAGS},
        [STORAGE_CLEAR] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_IMPORT_BEGIN] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_IMPORT_END] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS | STORAGE_F_OK},
        [STORAGE_EXPORT] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
        [STORAGE_EXPORT_END] = {ALWAYS, MAYBE, NEVER, VOLUME_FLAGS},
};

static bool known_kind(uint32_t kind)
{
	return (kind >= STORAGE_POOL_SETUP && kind <= STORAGE_POOL_LIST) ||
	       (kind >= STORAGE_CREATE && kind <= STORAGE_CANCEL);
}

static bool text_fits(uint8_t need, const char *text, bool (*legal)(const char *))
{
	if (text[0] == '\0')
		return need != ALWAYS;
	return need != NEVER && legal(text);
}

static bool request_legal(const struct storage_request *q)
{
	const struct shape *s;
	bool setup = q->kind == STORAGE_POOL_SETUP;

	if (!known_kind(q->kind) || q->serial == 0 || q->keep < -1 || q->keep > STORAGE_KEEP_MAX ||
	    q->size > STORAGE_SIZE_MAX || q->owner == UINT32_MAX)
		return false;
	s = &shapes[q->kind];
	if ((q->flags & ~s->flags) || (q->driver != STORAGE_DRIVER_NONE) != setup ||
	    q->driver > STORAGE_DRIVER_MAX)
		return false;
	if (q->kind == STORAGE_CANCEL ? q->pool[0] != '\0' : !storage_pool_legal(q->pool))
		return false;
	/* The host's and the kernels' folders need none. */
	if (!text_fits(setup ? (q->driver == STORAGE_HOST ? MAYBE : ALWAYS) : NEVER, q->dir,
	               storage_dir_legal))
		return false;
	if ((q->source[0] == '\0') != (q->source_pool[0] == '\0'))
		return false;
	return text_fits(s->vid, q->vid, storage_vid_legal) &&
	       text_fits(s->source, q->source, storage_vid_legal) &&
	       text_fits(s->source, q->source_pool, storage_pool_legal) &&
	       text_fits(s->revision, q->revision, storage_revision_legal);
}

ssize_t storage_request_encode(void *out, size_t max, const struct storage_request *in)
{
	struct wire_writer w = wire_writer(out, max);

	if (!request_legal(in))
		return -1;
	wire_put_u32(&w, in->kind);
	wire_put_u32(&w, in->serial);
	wire_put_u32(&w, in->flags);
	wire_put_u32(&w, in->driver);
	wire_put_u64(&w, (uint64_t)in->keep);
	wire_put_u64(&w, in->size);
	wire_put_bytes(&w, in->pool, sizeof(in->pool));
	wire_put_bytes(&w, in->source_pool, sizeof(in->source_pool));
	wire_put_bytes(&w, in->revision, sizeof(in->revision));
	wire_put_bytes(&w, in->vid, sizeof(in->vid));
	wire_put_bytes(&w, in->source, sizeof(in->source));
	wire_put_bytes(&w, in->dir, sizeof(in->dir));
	wire_put_u32(&w, in->owner);
	return w.bad ? -1 : (ssize_t)w.len;
}

int storage_request_decode(const void *data, size_t len, struct storage_request *out)
{
	struct wire_reader r = wire_reader(data, len);

	out->kind = wire_u32(&r);
	out->serial = wire_u32(&r);
	out->flags = wire_u32(&r);
	out->driver = wire_u32(&r);
	out->keep = (int64_t)wire_u64(&r);
	out->size = wire_u64(&r);
	wire_copy(&r, out->pool, sizeof(out->pool));
	wire_copy(&r, out->source_pool, sizeof(out->source_pool));
	wire_copy(&r, out->revision, sizeof(out->revision));
	wire_copy(&r, out->vid, sizeof(out->vid));
	wire_copy(&r, out->source, sizeof(out->source));
	wire_copy(&r, out->dir, sizeof(out->dir));
	out->owner = wire_u32(&r);
	if (!wire_end(&r) || !filled(out->pool, sizeof(out->pool)) ||
	    !filled(out->source_pool, sizeof(out->source_pool)) ||
	    !filled(out->revision, sizeof(out->revision)) || !filled(out->vid, sizeof(out->vid)) ||
	    !filled(out->source, sizeof(out->source)) || !filled(out->dir, sizeof(out->dir)))
		return -1;
	return request_legal(out) ? 0 : -1;
}

static bool answer_legal(const struct storage_answer *a)
{
	if (a->kind < STORAGE_DONE || a->kind > STORAGE_NOTE || a->serial == 0 || a->unused != 0 ||
	    (a->flags & ~(uint32_t)STORAGE_F_ANSWER) || a->medium > STORAGE_MEDIUM_MAX ||
	    a->size > STORAGE_SIZE_MAX || a->usage > STORAGE_SIZE_MAX)
		return false;
	if ((a->code != STORAGE_E_NONE) != (a->kind == STORAGE_FAILED) || a->code > STORAGE_E_MAX)
		return false;
	return printable(a->path) && printable(a->text);
}

ssize_t storage_answer_encode(void *out, size_t max, const struct storage_answer *in)
{
	struct wire_writer w = wire_writer(out, max);

	if (!answer_legal(in))
		return -1;
	wire_put_u32(&w, in->kind);
	wire_put_u32(&w, in->serial);
	wire_put_u32(&w, in->code);
	wire_put_u32(&w, in->flags);
	wire_put_u32(&w, in->medium);
	wire_put_u32(&w, in->unused);
	wire_put_u64(&w, in->size);
	wire_put_u64(&w, in->usage);
	wire_put_bytes(&w, in->path, sizeof(in->path));
	wire_put_bytes(&w, in->text, sizeof(in->text));
	return w.bad ? -1 : (ssize_t)w.len;
}

int storage_answer_decode(const void *data, size_t len, struct storage_answer *out)
{
	struct wire_reader r = wire_reader(data, len);

	out->kind = wire_u32(&r);
	out->serial = wire_u32(&r);
	out->code = wire_u32(&r);
	out->flags = wire_u32(&r);
	out->medium = wire_u32(&r);
	out->unused = wire_u32(&r);
	out->size = wire_u64(&r);
	out->usage = wire_u64(&r);
	wire_copy(&r, out->path, sizeof(out->path));
	wire_copy(&r, out->text, sizeof(out->text));
	if (!wire_end(&r) || !filled(out->path, sizeof(out->path)) ||
	    !filled(out->text, sizeof(out->text)))
		return -1;
	return answer_legal(out) ? 0 : -1;
}
