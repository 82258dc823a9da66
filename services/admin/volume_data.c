/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.vm.volume.*: imports, clones and what empties a volume. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/bytes.h"
#include "services/admin/property.h"
#include "services/admin/volume_internal.h"
#include "services/admin/volume_methods.h"

#define TOKEN_LEN  32U
#define TOKENS_MAX 1024U /* the oldest one goes for a new one; chosen */

/* Who has it may copy that volume, once. */
struct token {
	char text[TOKEN_LEN + 1];
	char uuid[UUID_LEN];
	char volume[16];
};

static struct token tokens[TOKENS_MAX];
static size_t next_token;

static void token_text(char out[TOKEN_LEN + 1])
{
	static const char letters[] = SET_LETTERS SET_DIGITS;
	size_t n = 0;

	while (n < TOKEN_LEN) {
		uint8_t byte;

		if (getrandom(&byte, 1, 0) != 1)
			abort();
		/* Those that would make some letters likelier are thrown away. */
		if (byte < 256 / (sizeof(letters) - 1) * (sizeof(letters) - 1))
			out[n++] = letters[byte % (sizeof(letters) - 1)];
	}
	out[n] = '\0';
}

void method_volume_clone_from(struct call *c)
{
	struct volume *v = volume_named(c);
	struct token *t = &tokens[next_token];

	if (!v)
		return;
	next_token = (next_token + 1) % TOKENS_MAX;
	token_text(t->text);
	memcpy(t->uuid, c->dest->uuid, sizeof(t->uuid));
	(void)bytes_copy_text(t->volume, sizeof(t->volume), v->name);
	text_puts(&c->reply, t->text);
}

static struct token *find_token(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < TOKENS_MAX && len == TOKEN_LEN; i++)
		if (tokens[i].text[0] && memcmp(tokens[i].text, text, TOKEN_LEN) == 0)
			return &tokens[i];
	return NULL;
}

/* The vid of the source is for the event: the volume may have gone by then. */
struct clone {
	struct call *c;
	char *vid;
};

static void on_cloned(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct clone *clone = arg;
	struct call *c = clone->c;

	turn_begin();
	if (a->kind == STORAGE_FAILED) {
		storage_fault(a, &c->fault);
	} else if (!c->dest->gone) {
		volume_take_size(c, a);
		event_fire(c->dest, "domain-import-volume", "name", c->arg, "source", clone->vid,
		           NULL);
	}
	free(clone->vid);
	free(clone);
	call_finish(c);
	turn_end(true);
}

static bool may_clone_from(struct call *c, const struct qube *q, const struct volume *v)
{
	if (v->save_on_stop && v->revisions_to_keep == -1 && qube_active(q)) {
		call_refuse(c, E_STORAGE,
		            "%s of %s is used without snapshots (revisions_to_keep -1): it cannot "
		            "be cloned "
		            "while the qube runs",
		            v->name, q->name);
		return false;
	}
	return true;
}

void method_volume_clone_to(struct call *c)
{
	struct volume *v = volume_named(c), *from;
	struct token *t;
	struct qube *source;
	struct clone *clone;
	struct storage_request q;
	AUTO_TEXT vid = {0};

	if (!v)
		return;
	t = find_token(c->payload, c->payload_len);
	if (!t) {
		fault_keyerror(&c->fault, E_COPY_TOKEN,
		               "Token to clone volume of qube was not found");
		return;
	}
	source = qube_by_uuid(t->uuid);
	from = source ? volume_by_name(source, t->volume) : NULL;
	t->text[0] = '\0';
	if (!from) {
		call_refuse(c, E_QUBES, "The volume to be cloned does not exist any more");
		return;
	}
	if (!volume_halted(c) || !may_clone_from(c, source, from))
		return;
	storage_of(c->dest, v, STORAGE_CLONE, &q);
	storage_vid(source, from, &vid);
	if (bytes_copy_text(q.source, sizeof(q.source), text_get(&vid)) ||
	    bytes_copy_text(q.source_pool, sizeof(q.source_pool), from->pool)) {
		call_refuse(c, E_STORAGE, "The name of the volume to be cloned is too long");
		return;
	}
	clone = memory_get(sizeof(*clone));
	*clone = (struct clone){.c = c, .vid = text_take(&vid)};
	call_wait(c);
	(void)storage_ask(&q, on_cloned, clone);
}

static void fire_begin(struct call *c, uint64_t size)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, size);
	event_fire(c->dest, "domain-volume-import-begin", "volume", c->arg, "size", text, NULL);
}

static void fire_end(struct call *c, bool success)
{
	event_fire(c->dest, "domain-volume-import-end", "volume", c->arg, "success",
	           success ? "True" : "False", NULL);
}

static void on_cleared(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	if (!c->dest->gone)
		fire_end(c, a->kind == STORAGE_DONE);
	call_finish(c);
	turn_end(true);
}

static bool keeps_data(struct call *c, const struct volume *v)
{
	if (v->save_on_stop)
		return true;
	call_refuse(c, E_QUBES, "Volume %s of %s does not keep its data", v->name, c->dest->name);
	return false;
}

void method_volume_clear(struct call *c)
{
	struct volume *v = volume_named(c);
	struct storage_request q;

	if (!v || !volume_halted(c) || !keeps_data(c, v))
		return;
	storage_of(c->dest, v, STORAGE_CLEAR, &q);
	fire_begin(c, v->size);
	call_wait(c);
	(void)storage_ask(&q, on_cleared, c);
}

static struct volume *import_volume(struct call *c)
{
	struct volume *v = volume_by_name(c->dest, c->arg);

	if (!v)
		call_refuse(c, E_PROTOCOL, "Argument not in %s volumes", c->dest->name);
	return v;
}

/* The size goes with the call in its own payload's place: what was sent was checked. */
static void on_import_begun(void *arg, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	struct call *c = arg;
	const char *path = storage_inner_path(a->path);

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else if (strpbrk(path, " \t\n"))
		call_refuse(c, E_PROTOCOL, "Path contains whitespace");
	else if (!c->dest->gone) {
		fire_begin(c, a->size);
		text_printf(&c->reply, "%" PRIu64 " %s", a->size, path);
	}
	call_finish(c);
	turn_end(true);
}

void method_import_begin(struct call *c)
{
	struct volume *v = import_volume(c);
	struct storage_request q;
	long long size = 0;

	if (!v)
		return;
	if (c->payload_len && !request_number(c->payload, c->payload_len, false, "Size of new data",
	                                      &size, &c->fault))
		return;
	if (!volume_halted(c) || !keeps_data(c, v))
		return;
	storage_of(c->dest, v, STORAGE_IMPORT_BEGIN, &q);
	if (c->payload_len)
		q.size = (uint64_t)size;
	if (q.size > STORAGE_SIZE_MAX || !storage_there()) {
		call_refuse(c, E_STORAGE,
		            storage_there() ? "The data is too big" : "No storage service runs");
		return;
	}
	call_wait(c);
	(void)storage_ask(&q, on_import_begun, c);
}

static void on_import_ended(void *arg, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	struct call *c = arg;
	bool ok = text_equal(c->payload, "ok");

	turn_begin();
	if (!ok)
		call_refuse(c, E_QUBES, "Data import failed: %s",
		            text_starts(c->payload, "fail\n") ? c->payload + 5 : "");
	else if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else
		volume_take_size(c, a);
	if (!c->dest->gone)
		fire_end(c, ok && a->kind == STORAGE_DONE);
	call_finish(c);
	turn_end(true);
}

/* Control bytes and what is not ASCII would reach a terminal with the exception. */
static bool end_legal(const struct call *c)
{
	size_t i;

	if (strlen(c->payload) != c->payload_len || c->payload_len > 4096)
		return false;
	if (!text_equal(c->payload, "ok") && strcmp(c->payload, "fail") != 0 &&
	    !text_starts(c->payload, "fail\n"))
		return false;
	for (i = text_starts(c->payload, "fail\n") ? 5 : 0; i < c->payload_len; i++)
		if (c->payload[i] < ' ' || c->payload[i] > '~')
			return false;
	return true;
}

void method_import_end(struct call *c)
{
	struct volume *v = import_volume(c);
	struct storage_request q;

	if (!v)
		return;
	if (!end_legal(c)) {
		call_refuse(c, E_PROTOCOL, "Import must end with ok or fail");
		return;
	}
	storage_of(c->dest, v, STORAGE_IMPORT_END, &q);
	if (text_equal(c->payload, "ok"))
		q.flags |= STORAGE_F_OK;
	call_wait(c);
	(void)storage_ask(&q, on_import_ended, c);
}

/* For backups: where the state that is at rest lies; "file PATH" or "dir PATH", nothing for what this
 * machine has anyway. */
static void on_export_begun(void *arg, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	else if (a->medium == STORAGE_MEDIUM_FILE || a->medium == STORAGE_MEDIUM_DIR)
		text_printf(&c->reply, "%s %s", a->medium == STORAGE_MEDIUM_FILE ? "file" : "dir",
		            storage_inner_path(a->path));
	call_finish(c);
	turn_end(true);
}

void method_export_begin(struct call *c)
{
	struct volume *v = import_volume(c);
	struct storage_request q;
	struct pool *p = v ? pool_by_name(v->pool) : NULL;

	if (!v || !keeps_data(c, v) || (p && text_equal(p->driver, "host")))
		return;
	if (v->revisions_to_keep == -1 && qube_active(c->dest)) {
		call_refuse(c, E_STORAGE,
		            "%s of %s is used without snapshots (revisions_to_keep -1): it cannot "
		            "be saved while the "
		            "qube runs",
		            v->name, c->dest->name);
		return;
	}
	storage_of(c->dest, v, STORAGE_EXPORT, &q);
	call_wait(c);
	(void)storage_ask(&q, on_export_begun, c);
}

static void on_export_ended(void *arg, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	struct call *c = arg;

	turn_begin();
	if (a->kind == STORAGE_FAILED)
		storage_fault(a, &c->fault);
	call_finish(c);
	turn_end(true);
}

void method_export_end(struct call *c)
{
	struct volume *v = import_volume(c);
	struct storage_request q;

	if (!v)
		return;
	storage_of(c->dest, v, STORAGE_EXPORT_END, &q);
	call_wait(c);
	(void)storage_ask(&q, on_export_ended, c);
}
