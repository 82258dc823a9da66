/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.backup.*. One struct backup for each operation under way: first a connection on which a process
 * of skerry-backup reads the profile, then, to execute it, one on which another makes the archive and
 * asks for one file after the other. Nothing here waits; what is asked of the storage service is
 * answered from the loop, and a backup that is given up in between stays until that answer came.
 */
#include "services/admin/backup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/backup_internal.h"
#include "services/admin/property.h"
#include "services/admin/storage_client.h"

#define READ_MS    30000U /* a profile is a small file; chosen */
#define GIVEN_MAX  32768U /* bytes of a profile that is given; as in its file */
#define PACKETS    16     /* a turn */
#define FILE_PARTS (BACKUP_PARTS + 3U) /* firewall rules, notes, "empty" */

struct backup {
	struct backup *next;
	struct call *c;
	bool execute;
	bool making; /* the second connection */
	bool asked;  /* the storage service will answer */
	bool over;   /* the caller was answered */
	int fd;
	struct loop_fd source;
	struct loop_timer limit;
	/* The profile's texts, owned. */
	char *vm, *path, *pass_text, *pass_vm;
	bool compressed;
	struct saved *list;
	size_t n;
	/* Where it is: the qube, and the next of its files. */
	size_t at, part;
	bool store_sent, any_file;
	char exported[16]; /* volume of list[at] that the storage service keeps as it is; "": none */
	uint64_t total, finished; /* bytes of volumes */
	uint64_t written, begun;  /* of the archive; when this qube began */
};

static struct {
	struct loop *loop;
	int run;
	struct backup *all;
} backups = {.run = -1};

void backup_open(struct loop *loop, int run)
{
	backups.loop = loop;
	backups.run = run;
	backup_home_find();
}

static void drop_link(struct backup *b)
{
	loop_timer_clear(backups.loop, &b->limit);
	loop_fd_remove(backups.loop, &b->source);
	b->fd = fd_close(b->fd);
}

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

/* Of one that is over, and for which nothing is on its way. */
static void backup_free(struct backup *b)
{
	for (struct backup **at = &backups.all; *at; at = &(*at)->next)
		if (*at == b) {
			*at = b->next;
			break;
		}
	for (size_t i = 0; i < b->n; i++)
		qube_release(b->list[i].q);
	free(b->list);
	free(b->vm);
	free(b->path);
	free(b->pass_vm);
	forget(&b->pass_text);
	free(b);
}

static void on_export_ended(void *arg UNUSED, const struct storage_answer *a,
                            const struct text *parts UNUSED)
{
	if (a->kind == STORAGE_FAILED)
		LOG("the end of a backup's reading: %s", a->text);
}

static void end_export(struct backup *b)
{
	struct storage_request q;
	struct volume *v = b->exported[0]
	                           ? volume_by_name(b->list[b->at].q, b->exported)
	                           : NULL;

	b->exported[0] = '\0';
	if (!v)
		return;
	storage_of(b->list[b->at].q, v, STORAGE_EXPORT_END, &q);
	(void)storage_ask(&q, on_export_ended, NULL);
}

/* The caller is answered with what stands in the call; outside of a turn or in the one that is open. */
static void conclude(struct backup *b)
{
	bool own = !turn_is_open();

	if (b->over)
		return;
	drop_link(b);
	if (!b->asked)
		end_export(b);
	b->over = true;
	if (own)
		turn_begin();
	call_finish(b->c);
	b->c = NULL;
	if (own)
		turn_end(true);
	if (!b->asked)
		backup_free(b);
}

#define FAIL(b, ...) (call_refuse((b)->c, __VA_ARGS__), conclude(b))

/* --- the connection --- */

static bool send_message(struct backup *b, const struct backup_message *m, int fd)
{
	static uint8_t packet[BACKUP_PACKET_MAX];
	ssize_t n = backup_encode(packet, sizeof(packet), m), sent;

	sent = n < 0 ? -1 : fd_send_message(b->fd, packet, (size_t)n, &fd, fd >= 0);
	explicit_bzero(packet, n > 0 ? (size_t)n : 0);
	return n > 0 && sent == n;
}

static void on_packet(void *arg, uint32_t events);

static bool dial(struct backup *b)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	b->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" BACKUP_SOCKET,
	         backups.run);
	if (b->fd >= 0 && connect(b->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    loop_fd_add(backups.loop, &b->source, b->fd, EPOLLIN, on_packet, b) == 0)
		return true;
	LOG_ERRNO("the backup service");
	b->fd = fd_close(b->fd);
	return false;
}

#define NO_SERVICE "The backup service does not answer: see skerry-backup.log"

/* --- making --- */

static void next_file(struct backup *b);

/* What is small is given as a file in memory. */
static void send_text(struct backup *b, const char *path, const struct text *content)
{
	const struct backup_message m = {
	        .kind = BACKUP_FILE, .path = path, .source = "", .medium = BACKUP_MEMORY};
	OWNED_FD int fd = memfd_create("backup", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, text_get(content), content->len) || !send_message(b, &m, fd))
		FAIL(b, E_QUBES, "%s cannot be given to the backup: %s", path, strerror(errno));
}

static void send_file(struct backup *b, const char *path, const char *source,
                      enum backup_source medium)
{
	const struct backup_message m = {
	        .kind = BACKUP_FILE, .path = path, .source = source, .medium = medium};

	if (!send_message(b, &m, -1))
		FAIL(b, E_QUBES, NO_SERVICE);
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
		end_export(b);
		backup_free(b);
		return;
	}
	if (a->kind == STORAGE_FAILED) {
		storage_fault(a, &b->c->fault);
		conclude(b);
		return;
	}
	snprintf(path, sizeof(path), "vm%u/%s.%s", q->qid, b->exported, tree ? "tree" : "img");
	if (a->medium != STORAGE_MEDIUM_DIR && a->medium != STORAGE_MEDIUM_FILE) {
		end_export(b);
		next_file(b);
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
		FAIL(b, E_QUBES, "%s was removed while it was being saved", q->name);
		return true;
	}
	if (part >= BACKUP_PARTS)
		return small_file(b, q, part);
	v = backup_volume(q, part);
	if (v)
		export_volume(b, q, v);
	return v != NULL;
}

static void next_file(struct backup *b)
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
	if (!send_message(b, &end, -1))
		FAIL(b, E_QUBES, NO_SERVICE);
}

/* Bytes of an archive are not those of the volumes: within a qube it is as if they were, up to its size. */
static void on_progress(struct backup *b, uint64_t written)
{
	uint64_t size = b->at < b->n ? b->list[b->at].size : 0, done;
	char text[32];

	b->written = MAX(b->written, written);
	done = b->finished + MIN(b->written - b->begun, size);
	snprintf(text, sizeof(text), "%.1f", b->total ? 100.0 * (double)done / (double)b->total : 0);
	turn_begin();
	event_fire(world.system, "backup-progress", "backup_profile", b->c->arg, "progress", text,
	           NULL);
	turn_end(true);
}

static void on_done(struct backup *b, const char *name)
{
	const struct property *p = property_of(PROP_BACKUP_TIMESTAMP);
	char now[32];

	snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
	LOG("backup %s is made: %s", b->c->arg, name);
	turn_begin();
	for (size_t i = 0; i < b->n; i++) {
		struct qube *q = b->list[i].q;
		struct fault f = {0};

		if (!q->gone && property_has(q, p->id) &&
		    !property_set(q, p, now, strlen(now), &f))
			LOG("%s: %s", q->name, f.text);
	}
	conclude(b);
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

static void start_making(struct backup *b)
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
	if (good && dial(b) && send_message(b, &m, -1))
		b->making = true;
	else if (good)
		FAIL(b, E_QUBES, NO_SERVICE);
	else
		FAIL(b, E_QUBES, "The qubes to be saved have volumes in more than %u pools",
		     BACKUP_DIRS_MAX - 1);
	for (size_t i = 0; i < m.n_dirs; i++)
		free((char *)(uintptr_t)m.dirs[i]);
}

/* --- what is to be saved --- */

static void on_size(void *arg, const struct storage_answer *a, const struct text *parts);

/* One volume's after the other, then the table or the archive. */
static void ask_sizes(struct backup *b)
{
	for (; b->at < b->n; b->at++, b->part = 0) {
		while (b->part < BACKUP_PARTS) {
			struct qube *q = b->list[b->at].q;
			struct volume *v = q->gone ? NULL : backup_volume(q, b->part);
			struct storage_request ask;

			b->part++;
			if (!v)
				continue;
			storage_of(q, v, STORAGE_INFO, &ask);
			b->asked = true;
			(void)storage_ask(&ask, on_size, b);
			return;
		}
	}
	b->at = b->part = 0;
	for (size_t i = 0; i < b->n; i++)
		b->total += b->list[i].size;
	if (b->execute) {
		start_making(b);
		return;
	}
	backup_table(b->list, b->n, &b->c->reply);
	conclude(b);
}

/* One that cannot be told is no reason: what is wrong with it shows when it is saved. */
static void on_size(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct backup *b = arg;

	b->asked = false;
	if (b->over) {
		backup_free(b);
		return;
	}
	if (a->kind == STORAGE_DONE)
		b->list[b->at].size += a->usage;
	ask_sizes(b);
}

static bool check_volumes(struct backup *b)
{
	const char *where;

	for (size_t i = 0; i < b->n; i++) {
		const struct qube *q = b->list[i].q;

		if (q->klass == CLASS_ADMIN && !backup_home(&where))
			return fault_set(&b->c->fault, E_QUBES,
			                 "dom0 has no home folder that could be saved");
		for (size_t part = 0; part < BACKUP_PARTS; part++) {
			const struct volume *v = backup_volume(q, part);

			if (v && v->revisions_to_keep == -1 && qube_active(q))
				return fault_set(
				        &b->c->fault, E_STORAGE,
				        "%s of %s is used without snapshots (revisions_to_keep -1): "
				        "it cannot be saved while the qube runs",
				        v->name, q->name);
		}
	}
	return true;
}

/* A qube that a service is called in. */
static bool check_helper(struct backup *b, const char *name)
{
	struct qube *q = qube_by_name(name);

	if (!q)
		return fault_set(&b->c->fault, E_NOT_FOUND, "No such domain: '%.100s'", name);
	if (q->klass == CLASS_ADMIN)
		return true;
	if (q->run.state != STATE_RUNNING)
		return fault_set(&b->c->fault, E_NOT_RUNNING,
		                 "Domain not running (either powered off or paused): '%s'",
		                 q->name);
	event_fire(q, "domain-cmd-pre-run", "start_guid", "False", NULL);
	return true;
}

static bool check_execute(struct backup *b)
{
	if (!b->pass_text[0] && !b->pass_vm[0])
		return fault_set(&b->c->fault, E_QUBES,
		                 "Invalid backup profile - you need to specify passphrase_text or "
		                 "passphrase_vm");
	if (!b->pass_text[0] && text_equal(b->pass_vm, "dom0"))
		return fault_set(&b->c->fault, E_QUBES,
		                 "Invalid backup profile - passphrase_vm cannot be dom0");
	if (b->n == 0)
		return fault_set(&b->c->fault, E_QUBES, "No qube is selected for backup");
	return check_volumes(b) && (b->pass_text[0] || check_helper(b, b->pass_vm)) &&
	       check_helper(b, b->vm);
}

static void on_profile(struct backup *b, const struct backup_profile *p)
{
	bool good;

	drop_link(b);
	b->vm = memory_text(p->destination_vm);
	b->path = memory_text(p->destination_path);
	b->pass_text = memory_text(p->passphrase_text);
	b->pass_vm = memory_text(p->passphrase_vm);
	b->compressed = p->compressed;
	turn_begin();
	good = backup_select(p, &b->list, &b->n, &b->c->fault) &&
	       (!b->execute || check_execute(b));
	for (size_t i = 0; good && i < b->n; i++)
		event_fire(b->list[i].q, "backup-get-files", NULL);
	if (!good)
		conclude(b);
	turn_end(good);
	if (good)
		ask_sizes(b);
}

/* --- both connections --- */

static void on_failed(struct backup *b, const struct backup_message *m)
{
	FAIL(b, m->code == BACKUP_E_NO_PROFILE ? E_BACKUP_PROFILE : E_QUBES, "%.900s", m->text);
}

/* True: there may be another one. */
static bool take(struct backup *b, const struct backup_message *m)
{
	if (m->kind == BACKUP_FAILED) {
		on_failed(b, m);
		return false;
	}
	if (m->kind == BACKUP_PROFILE && !b->making) {
		on_profile(b, &m->profile);
		return false;
	}
	if (m->kind == BACKUP_PROGRESS && b->making) {
		on_progress(b, m->bytes);
		return true;
	}
	/* Nothing is asked for twice, nor done before the end was told. */
	if (m->kind == BACKUP_NEXT && b->making && !b->asked && (!b->store_sent || b->at < b->n)) {
		end_export(b);
		next_file(b);
		return false;
	}
	if (m->kind == BACKUP_DONE && b->making && b->at == b->n && b->store_sent) {
		on_done(b, m->text);
		return false;
	}
	FAIL(b, E_QUBES, "The backup service said what it should not");
	return false;
}

static void on_packet(void *arg, uint32_t events UNUSED)
{
	static uint8_t packet[BACKUP_PACKET_MAX];
	static struct backup_message m;
	struct backup *b = arg;

	for (int i = 0; i < PACKETS; i++) {
		ssize_t n = recv(b->fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			FAIL(b, E_QUBES,
			     b->making ? "The backup process ended in the middle: nothing is kept"
			               : "The backup process ended before it had read the profile");
			return;
		}
		if (backup_decode(packet, (size_t)n, &m)) {
			FAIL(b, E_QUBES, "The backup service said something that is none");
			return;
		}
		if (m.kind == BACKUP_PROFILE) {
			(void)take(b, &m);
			explicit_bzero(packet, sizeof(packet));
			return;
		}
		if (!take(b, &m))
			return;
	}
}

static void on_late(void *arg)
{
	struct backup *b = arg;

	FAIL(b, E_QUBES, "The profile could not be read in time");
}

/* --- methods --- */

static bool profile_ok(struct call *c)
{
	if (!strchr(c->arg, '/'))
		return true;
	call_refuse(c, E_PROTOCOL, "Backup profile ID must not contain forward slash character");
	return false;
}

static struct backup *executing(const char *profile)
{
	for (struct backup *b = backups.all; b; b = b->next)
		if (b->execute && !b->over && text_equal(b->c->arg, profile))
			return b;
	return NULL;
}

static void start(struct call *c, bool execute, const char *given)
{
	const struct backup_message m = {.kind = BACKUP_READ, .name = c->arg, .text = given};
	struct backup *b;

	if (!profile_ok(c))
		return;
	if (execute && executing(c->arg)) {
		call_refuse(c, E_BACKUP_RUNNING, "Backup already running");
		return;
	}
	b = memory_get(sizeof(*b));
	*b = (struct backup){.next = backups.all,
	                     .c = c,
	                     .execute = execute,
	                     .fd = -1,
	                     .source = LOOP_FD_EMPTY};
	if (!dial(b) || !send_message(b, &m, -1) ||
	    loop_timer_set(backups.loop, &b->limit, READ_MS, on_late, b)) {
		call_refuse(c, E_QUBES, NO_SERVICE);
		drop_link(b);
		free(b);
		return;
	}
	backups.all = b;
	call_wait(c);
}

static void start_given(struct call *c, bool execute)
{
	if (c->payload_len > GIVEN_MAX || strlen(c->payload) != c->payload_len)
		call_refuse(c, E_PROTOCOL, "This is no profile");
	else
		start(c, execute, c->payload);
}

void method_backup_execute(struct call *c)
{
	start(c, true, "");
}

void method_backup_info(struct call *c)
{
	start(c, false, "");
}

void method_backup_execute_given(struct call *c)
{
	start_given(c, true);
}

void method_backup_info_given(struct call *c)
{
	start_given(c, false);
}

void method_backup_cancel(struct call *c)
{
	struct backup *b;

	if (!profile_ok(c))
		return;
	b = executing(c->arg);
	if (!b) {
		call_refuse(c, E_QUBES, "Backup operation not running");
		return;
	}
	call_refuse(b->c, E_BACKUP_CANCELLED, "Backup cancelled");
	conclude(b);
}
