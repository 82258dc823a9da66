/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Admin service and backup service: packets to messages and back. Contract: backup.h. */
#include "proto/backup.h"

#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/* Length with the NUL, bytes, NUL: so that a decoded text needs no copy. */
static void put_text(struct wire_writer *w, const char *text)
{
	size_t len = strlen(text ? text : "") + 1;

	if (len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wire_put_u16(w, (uint16_t)len);
	wire_put_bytes(w, text ? text : "", len);
}

static const char *take_text(struct wire_reader *r)
{
	size_t len = wire_u16(r);
	const uint8_t *p = wire_bytes(r, len);

	if (p && len > 0 && memchr(p, '\0', len) == p + len - 1)
		return (const char *)p;
	r->bad = true;
	return "";
}

static void put_list(struct wire_writer *w, const char *const *list, size_t n)
{
	wire_put_u16(w, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		put_text(w, list[i]);
}

static size_t take_list(struct wire_reader *r, const char **list, size_t max)
{
	size_t n = wire_u16(r);

	if (n > max) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		list[i] = take_text(r);
	return n;
}

static void put_profile(struct wire_writer *w, const struct backup_profile *p)
{
	put_list(w, p->include, p->n_include);
	put_list(w, p->exclude, p->n_exclude);
	put_text(w, p->destination_vm);
	put_text(w, p->destination_path);
	put_text(w, p->passphrase_text);
	put_text(w, p->passphrase_vm);
	wire_put_u8(w, p->compressed);
}

static void take_profile(struct wire_reader *r, struct backup_profile *p)
{
	uint8_t compressed;

	p->n_include = take_list(r, p->include, BACKUP_NAMES_MAX);
	p->n_exclude = take_list(r, p->exclude, BACKUP_NAMES_MAX);
	p->destination_vm = take_text(r);
	p->destination_path = take_text(r);
	p->passphrase_text = take_text(r);
	p->passphrase_vm = take_text(r);
	compressed = wire_u8(r);
	p->compressed = compressed == 1;
	r->bad |= compressed > 1;
}

ssize_t backup_encode(void *out, size_t max, const struct backup_message *in)
{
	struct wire_writer w = wire_writer(out, max);

	if (in->n_dirs > BACKUP_DIRS_MAX || in->profile.n_include > BACKUP_NAMES_MAX ||
	    in->profile.n_exclude > BACKUP_NAMES_MAX)
		return -1;
	wire_put_u32(&w, in->kind);
	switch (in->kind) {
	case BACKUP_READ:
		put_text(&w, in->name);
		put_text(&w, in->text);
		break;
	case BACKUP_MAKE:
		put_text(&w, in->name);
		put_profile(&w, &in->profile);
		put_list(&w, in->dirs, in->n_dirs);
		break;
	case BACKUP_FILE:
		put_text(&w, in->path);
		put_text(&w, in->source);
		wire_put_u32(&w, in->medium);
		break;
	case BACKUP_PROFILE:
		put_profile(&w, &in->profile);
		break;
	case BACKUP_PROGRESS:
		wire_put_u64(&w, in->bytes);
		break;
	case BACKUP_DONE:
		put_text(&w, in->text);
		break;
	case BACKUP_FAILED:
		wire_put_u32(&w, in->code);
		put_text(&w, in->text);
		break;
	default:
		break;
	}
	return w.bad ? -1 : (ssize_t)w.len;
}

static void take_file(struct wire_reader *r, struct backup_message *out)
{
	out->path = take_text(r);
	out->source = take_text(r);
	out->medium = wire_u32(r);
	if (out->medium < BACKUP_MEMORY || out->medium > BACKUP_HOME ||
	    (out->medium == BACKUP_MEMORY) != (out->source[0] == '\0') ||
	    (out->source[0] && out->source[0] != '/'))
		r->bad = true;
}

static const struct backup_message empty = {
        .name = "",
        .text = "",
        .path = "",
        .source = "",
        .profile = {.destination_vm = "",
                    .destination_path = "",
                    .passphrase_text = "",
                    .passphrase_vm = ""},
};

int backup_decode(const void *data, size_t len, struct backup_message *out)
{
	struct wire_reader r = wire_reader(data, len);

	*out = empty;
	out->kind = wire_u32(&r);
	switch (out->kind) {
	case BACKUP_READ:
		out->name = take_text(&r);
		out->text = take_text(&r);
		break;
	case BACKUP_MAKE:
		out->name = take_text(&r);
		take_profile(&r, &out->profile);
		out->n_dirs = take_list(&r, out->dirs, BACKUP_DIRS_MAX);
		for (size_t i = 0; i < out->n_dirs; i++)
			r.bad |= out->dirs[i][0] != '/';
		break;
	case BACKUP_FILE:
		take_file(&r, out);
		break;
	case BACKUP_PROFILE:
		take_profile(&r, &out->profile);
		break;
	case BACKUP_PROGRESS:
		out->bytes = wire_u64(&r);
		break;
	case BACKUP_DONE:
		out->text = take_text(&r);
		break;
	case BACKUP_FAILED:
		out->code = wire_u32(&r);
		out->text = take_text(&r);
		r.bad |= out->code < BACKUP_E_FAILED || out->code > BACKUP_E_NO_PROFILE;
		break;
	case BACKUP_END:
	case BACKUP_NEXT:
		break;
	default:
		return -1;
	}
	return wire_end(&r) ? 0 : -1;
}
