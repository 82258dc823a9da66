/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A backup on its second connection: one file after the other to whom makes the archive of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/backup_internal.h"
#include "services/admin/property.h"
#include "services/admin/storage_client.h"

#define FILE_PARTS (BACKUP_PARTS + 3U) /* firewall rules, notes, "empty" */

static void on_export_ended(void *arg UNUSED, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	if (a->kind == STORAGE_FAILED)
		LOG("the end of a backup's reading: %s", a->text);
}

void backup_end_export(struct backup *b)
{
	struct storage_request q;
	struct volume *v = b->exported[0] ? volume_by_name(b->list[b->at].q, b->exported) : NULL;

	b->exported[0] = '\0';
	if (!v)
		return;
	storage_of(b->list[b->at].q, v, STORAGE_EXPORT_END, &q);
	(void)storage_ask(&q, on_export_ended, NULL);
}

/* What is small is given as a file in memory. */
static void send_text(struct backup *b, const char *path, const struct text *content)
{
	const struct backup_message m = {
	        .kind = BACKUP_FILE, .path = path, .source = "", .medium = BACKUP_MEMORY};
	OWNED_FD int fd = memfd_create("backup", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, text_get(content), content->len) || !backup_send(b, &m, fd))
		BACKUP_FAIL(b, E_QUBES, "%s cannot be given to the backup: %s", path,
		            strerror(errno));
}

static void send_file(struct backup *b, const char *path, const char *source,
                      enum backup_source medium)
{
	const struct backup_message m = {
	        .kind = BACKUP_FILE, .path = path, .source = source, .medium = medium};

	if (!backup_send(b, &m, -1))
		BACKUP_FAIL(b, E_QUBES, NO_SERVICE);
}

static void on_exported(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct backup *b = arg;
	const struct qube *q = b->list[b->at].q;
	bool tree = a->medium == STORAGE_MEDIUM_DIR;
	char path[64];

	b->asked = false;
	if (a->kind == STORAGE_FAILED)
		b->exported[0] = '\0';
	if (b->over) {
		backup_end_export(b);
		backup_free(b);
		return;
	}
	if (a->kind == STORAGE_FAILED) {
		storage_fault(a, &b->c->fault);
		backup_conclude(b);
		return;
	}
	snprintf(path, sizeof(path), "vm%u/%s.%s", q->qid, b->exported, tree ? "tree" : "img");
	if (a->medium != STORAGE_MEDIUM_DIR && a->medium != STORAGE_MEDIUM_FILE) {
		backup_end_export(b);
		backup_next_file(b);
		return;
	}
	b->any_file = true;
	send_file(b, path, a->path, tree ? BACKUP_TREE : BACKUP_IMAGE);
}

static void export_volume(struct backup *b, struct qube *q, struct volume *v)
{
	struct storage_request ask;

	memcpy(b->exported, v->name, sizeof(b->exported));
	storage_of(q, v, STORAGE_EXPORT, &ask);
	b->asked = true;
	(void)storage_ask(&ask, on_exported, b);
}

/* Firewall rules, notes, and an empty file for who has nothing else. */
static bool small_file(struct backup *b, const struct qube *q, size_t part)
{
	AUTO_TEXT content = {0};
	char path[64];

	if (part == BACKUP_PARTS && q->firewall) {
		snprintf(path, sizeof(path), "vm%u/firewall.xml", q->qid);
		backup_firewall(q, &content);
	} else if (part == BACKUP_PARTS + 1 && q->notes) {
		snprintf(path, sizeof(path), "vm%u/notes.txt", q->qid);
		text_puts(&content, q->notes);
	} else if (part == BACKUP_PARTS + 2 && !b->any_file) {
		snprintf(path, sizeof(path), "vm%u/empty", q->qid);
	} else {
		return false;
	}
	b->any_file = true;
	send_text(b, path, &content);
	return true;
}

/* True: it is on its way, or the backup is over. */
static bool one_file(struct backup *b, size_t part)
{
	struct qube *q = b->list[b->at].q;
	const char *path, *where;
	struct volume *v;

	if (q->klass == CLASS_ADMIN) {
		path = part == 0 ? backup_home(&where) : NULL;
		if (path)
			send_file(b, path, where, BACKUP_HOME);
		return path != NULL;
	}
	if (q->gone) {
		BACKUP_FAIL(b, E_QUBES, "%s was removed while it was being saved", q->name);
		return true;
	}
	if (part >= BACKUP_PARTS)
		return small_file(b, q, part);
	v = backup_volume(q, part);
	if (v)
		export_volume(b, q, v);
	return v != NULL;
}

void backup_next_file(struct backup *b)
{
	const struct backup_message end = {.kind = BACKUP_END};

	if (!b->store_sent) {
		AUTO_TEXT store = {0};

		b->store_sent = true;
		backup_store(b->list, b->n, &store);
		send_text(b, "qubes.xml", &store);
		return;
	}
	while (b->at < b->n) {
		if (b->part < FILE_PARTS) {
			if (one_file(b, b->part++))
				return;
			continue;
		}
		b->finished += b->list[b->at].size;
		b->begun = b->written;
		b->at++;
		b->part = 0;
		b->any_file = false;
	}
	if (!backup_send(b, &end, -1))
		BACKUP_FAIL(b, E_QUBES, NO_SERVICE);
}

/* Bytes of an archive are not those of the volumes: within a qube it is as if they were, up to its size. */
void backup_on_progress(struct backup *b, uint64_t written)
{
	uint64_t size = b->at < b->n ? b->list[b->at].size : 0, done;
	char text[32];

	b->written = MAX(b->written, written);
	done = b->finished + MIN(b->written - b->begun, size);
	snprintf(text, sizeof(text), "%.1f",
	         b->total ? 100.0 * (double)done / (double)b->total : 0);
	turn_begin();
	event_fire(world.system, "backup-progress", "backup_profile", b->c->arg, "progress", text,
	           NULL);
	turn_end(true);
}

void backup_on_done(struct backup *b, const char *name)
{
	const struct property *p = property_of(PROP_BACKUP_TIMESTAMP);
	char now[32];

	snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
	LOG("backup %s is made: %s", b->c->arg, name);
	turn_begin();
	for (size_t i = 0; i < b->n; i++) {
		struct qube *q = b->list[i].q;
		struct fault f = {0};

		if (!q->gone && property_has(q, p->id) && !property_set(q, p, now, strlen(now), &f))
			LOG("%s: %s", q->name, f.text);
	}
	backup_conclude(b);
	turn_end(true);
}

static bool add_dir(struct backup_message *m, char *dir)
{
	for (size_t i = 0; i < m->n_dirs; i++)
		if (text_equal(m->dirs[i], dir))
			return free(dir), true;
	if (m->n_dirs == BACKUP_DIRS_MAX)
		return free(dir), false;
	m->dirs[m->n_dirs++] = dir;
	return true;
}

static bool add_pool(struct backup_message *m, const char *name)
{
	const struct pool *p = pool_by_name(name);
	const char *dir = p ? pairs_get(p->config, p->n_config, "dir_path") : NULL;
	char full[STORAGE_DIR_LEN];

	return !dir || !storage_outer_path(dir, full, sizeof(full)) ||
	       add_dir(m, memory_text(full));
}

/* The folders that the archive's files come from. */
static bool add_dirs(const struct backup *b, struct backup_message *m)
{
	const char *where;

	for (size_t i = 0; i < b->n; i++) {
		if (b->list[i].q->klass == CLASS_ADMIN && backup_home(&where) &&
		    !add_dir(m, memory_text(where)))
			return false;
		for (size_t part = 0; part < BACKUP_PARTS; part++) {
			const struct volume *v = backup_volume(b->list[i].q, part);

			if (v && !add_pool(m, v->pool))
				return false;
		}
	}
	return true;
}

void backup_start_making(struct backup *b)
{
	static struct backup_message m;
	bool good;

	m = (struct backup_message){.kind = BACKUP_MAKE,
	                            .name = b->c->arg,
	                            .profile = {.destination_vm = b->vm,
	                                        .destination_path = b->path,
	                                        .passphrase_text = b->pass_text,
	                                        .passphrase_vm = b->pass_vm,
	                                        .compressed = b->compressed}};
	good = add_dirs(b, &m);
	if (good && backup_dial(b) && backup_send(b, &m, -1))
		b->making = true;
	else if (good)
		BACKUP_FAIL(b, E_QUBES, NO_SERVICE);
	else
		BACKUP_FAIL(b, E_QUBES, "The qubes to be saved have volumes in more than %u pools",
		            BACKUP_DIRS_MAX - 1);
	for (size_t i = 0; i < m.n_dirs; i++)
		free((char *)(uintptr_t)m.dirs[i]);
}
