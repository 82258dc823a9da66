/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to the storage service. Contract: storage_client.h. */
#include "services/admin/storage_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/loop/loop.h"
#include "proto/monitor.h"
#include "services/admin/property.h"
#include "services/admin/request.h"
#include "services/admin/volumes.h"
#include "services/admin/volumes_internal.h"

#define PARTS_MAX (1U << 20) /* bytes of names in one list; chosen */

struct question {
	struct question *next;
	uint32_t serial;
	storage_done fn;
	void *arg;
	struct text parts;
};

/* A packet that the socket did not take yet. */
struct packet {
	struct packet *next;
	uint8_t data[STORAGE_REQUEST_LEN];
};

/* An answer that is known already, and is given from the loop all the same. */
struct known {
	struct known *next;
	struct storage_answer answer;
	storage_done fn;
	void *arg;
};

static struct {
	struct loop *loop;
	struct loop_defer defer;
	struct known *known, **known_end;
	struct loop_fd source;
	int fd;
	uint32_t serial;
	struct question *questions;
	struct packet *out, **out_end;
} storage = {.source = LOOP_FD_EMPTY, .fd = -1};

bool storage_there(void)
{
	return storage.fd >= 0;
}

static void flush(void)
{
	while (storage.out) {
		struct packet *p = storage.out;

		if (send(storage.fd, p->data, sizeof(p->data), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			/* Its end is seen by reading. */
			if (errno == EAGAIN)
				break;
		}
		storage.out = p->next;
		if (!storage.out)
			storage.out_end = &storage.out;
		free(p);
	}
	loop_fd_set(storage.loop, &storage.source,
	            EPOLLIN | (storage.out ? (uint32_t)EPOLLOUT : 0));
}

static void on_known(void *arg UNUSED)
{
	struct known *list = storage.known, *k;
	struct text none = {0};

	storage.known = NULL;
	storage.known_end = &storage.known;
	while ((k = list)) {
		list = k->next;
		k->fn(k->arg, &k->answer, &none);
		free(k);
	}
}

static void answer_later(const struct storage_answer *answer, storage_done fn, void *arg)
{
	struct known *k = memory_get(sizeof(*k));

	*k = (struct known){.answer = *answer, .fn = fn, .arg = arg};
	*storage.known_end = k;
	storage.known_end = &k->next;
	loop_defer_set(storage.loop, &storage.defer, on_known, NULL);
}

uint32_t storage_ask(struct storage_request *q, storage_done fn, void *arg)
{
	struct storage_answer answer = {.kind = STORAGE_DONE, .size = q->size};
	struct question *question;
	struct packet *p;

	if (!storage_there()) {
		answer_later(&answer, fn, arg);
		return 0;
	}
	q->serial = ++storage.serial ? storage.serial : ++storage.serial;
	p = memory_get(sizeof(*p));
	if (storage_request_encode(p->data, sizeof(p->data), q) < 0) {
		free(p);
		answer.kind = STORAGE_FAILED;
		answer.code = STORAGE_E_IO;
		(void)bytes_copy_text(
		        answer.text, sizeof(answer.text),
		        "a name or number of the volume is not one that the storage service takes");
		answer_later(&answer, fn, arg);
		return 0;
	}
	question = memory_get(sizeof(*question));
	*question = (struct question){
	        .next = storage.questions, .serial = q->serial, .fn = fn, .arg = arg};
	storage.questions = question;
	p->next = NULL;
	*storage.out_end = p;
	storage.out_end = &p->next;
	flush();
	return q->serial;
}

static void take(const struct storage_answer *answer)
{
	struct question **at = &storage.questions, *q;

	while (*at && (*at)->serial != answer->serial)
		at = &(*at)->next;
	q = *at;
	if (!q) {
		LOG("an answer of the storage service to nothing");
		return;
	}
	if (answer->kind == STORAGE_PART && q->parts.len < PARTS_MAX)
		text_printf(&q->parts, "%s\n", answer->path);
	if (answer->kind == STORAGE_NOTE)
		LOG("storage: %s", answer->text);
	if (answer->kind != STORAGE_DONE && answer->kind != STORAGE_FAILED)
		return;
	*at = q->next;
	q->fn(q->arg, answer, &q->parts);
	text_free(&q->parts);
	free(q);
}

static void on_storage(void *arg UNUSED, uint32_t events)
{
	uint8_t packet[STORAGE_ANSWER_LEN + 1];
	struct storage_answer answer;
	ssize_t n;

	if (events & EPOLLOUT)
		flush();
	while ((n = recv(storage.fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		if (storage_answer_decode(packet, (size_t)n, &answer)) {
			LOG("the storage service sent something that is no answer");
			loop_stop(storage.loop, 1);
			return;
		}
		take(&answer);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	LOG("the storage service has ended");
	loop_stop(storage.loop, 111);
}

static void put(char *out, size_t room, const char *text)
{
	/* What is too long is no legal packet any more: then the question is answered by that. */
	if (bytes_copy_text(out, room, text))
		memset(out, 'x', room);
}

void storage_vid(const struct qube *q, const struct volume *v, struct text *out)
{
	if (text_equal(v->name, "kernel") && property_has(q, PROP_KERNEL))
		property_read(q, PROP_KERNEL, out);
	else
		text_puts(out, v->vid);
}

/* Others are snapshots of it, so that it is not to be changed under them. */
static bool is_shared(const struct qube *q, const struct volume *v)
{
	if (text_equal(v->name, "root"))
		return q->klass == CLASS_TEMPLATE;
	return q->klass == CLASS_APP && property_bool(q, PROP_TEMPLATE_FOR_DISPVMS);
}

/*
 * On the local ground the root of a qube that does not keep it is its template's, where it lies: what
 * the qube may write there instead is the ground's matter, and gone with it.
 */
static bool is_read_only(const struct volume *v)
{
	const struct pool *p = pool_by_name(v->pool);

	return !v->rw || (v->snap_on_start && p && text_equal(p->driver, "directory") &&
	                  text_equal(v->name, "root"));
}

void storage_of(const struct qube *q, const struct volume *v, enum storage_kind kind,
                struct storage_request *out)
{
	AUTO_TEXT vid = {0};

	*out = (struct storage_request){.kind = (uint32_t)kind};
	storage_vid(q, v, &vid);
	put(out->pool, sizeof(out->pool), v->pool);
	put(out->vid, sizeof(out->vid), text_get(&vid));
	if (v->snap_on_start && v->source[0]) {
		put(out->source, sizeof(out->source), v->source);
		put(out->source_pool, sizeof(out->source_pool), v->pool);
	}
	out->size = v->size;
	out->keep = MIN(v->revisions_to_keep, (int64_t)STORAGE_KEEP_MAX);
	out->owner = MONITOR_OWNER_UID_BASE + q->qid;
	out->flags = (is_read_only(v) ? 0 : (uint32_t)STORAGE_F_RW) |
	             (v->save_on_stop ? (uint32_t)STORAGE_F_SAVE : 0) |
	             (v->snap_on_start ? (uint32_t)STORAGE_F_SNAP : 0) |
	             (v->ephemeral ? (uint32_t)STORAGE_F_EPHEMERAL : 0) |
	             (is_shared(q, v) ? (uint32_t)STORAGE_F_SHARED : 0);
}

enum storage_driver storage_driver(const char *name)
{
	static const char *const names[] = {[STORAGE_DIRECTORY] = "directory",
	                                    [STORAGE_FILE_REFLINK] = "file-reflink",
	                                    [STORAGE_FILE] = "file",
	                                    [STORAGE_LINUX_KERNEL] = "linux-kernel",
	                                    [STORAGE_HOST] = "host"};

	for (size_t i = STORAGE_DIRECTORY; i < ARRAY_LEN(names); i++) {
		if (text_equal(names[i], name))
			return (enum storage_driver)i;
	}
	return STORAGE_DRIVER_NONE;
}

bool storage_outer_path(const char *path, char *out, size_t room)
{
	return path_make(out, room, path, NULL) == 0;
}

const char *storage_inner_path(const char *path)
{
	size_t len = strlen(paths_root());

	return len && strncmp(path, paths_root(), len) == 0 && path[len] == '/' ? path + len : path;
}

void storage_setup(const struct pool *p, storage_done fn, void *arg)
{
	struct storage_request q = {.kind = STORAGE_POOL_SETUP,
	                            .driver = (uint32_t)storage_driver(p->driver)};
	const char *dir = pairs_get(p->config, p->n_config, "dir_path");
	const char *check = pairs_get(p->config, p->n_config, "setup_check");

	put(q.pool, sizeof(q.pool), p->name);
	if (dir && !storage_outer_path(dir, q.dir, sizeof(q.dir)))
		memset(q.dir, 'x', sizeof(q.dir));
	/* A pool of an old store that names no check was checked when it was made. */
	if (check && request_bool(check) == 1)
		q.flags = STORAGE_F_SETUP_CHECK;
	(void)storage_ask(&q, fn, arg);
}

void storage_fault(const struct storage_answer *answer, struct fault *f)
{
	const char *text = answer->text[0] ? answer->text : "the storage service gave no reason";

	fault_set(f, answer->code == STORAGE_E_NO_REVISION ? E_REVISION_NOT_FOUND : E_STORAGE, "%s",
	          text);
}

int volumes_open(struct loop *loop, int fd)
{
	storage.loop = loop;
	storage.known_end = &storage.known;
	if (fd < 0)
		return 0;
	storage.fd = fd;
	storage.out_end = &storage.out;
	if (fd_set_blocking(fd, false) ||
	    loop_fd_add(loop, &storage.source, fd, EPOLLIN, on_storage, NULL)) {
		LOG_ERRNO("the storage service's socket");
		return -1;
	}
	volumes_tell();
	return 0;
}
