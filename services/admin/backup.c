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
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "services/admin/backup_internal.h"
#include "services/admin/property.h"
#include "services/admin/storage_client.h"

#define READ_MS   30000U /* a profile is a small file; chosen */
#define GIVEN_MAX 32768U /* bytes of a profile that is given; as in its file */
#define PACKETS   16     /* a turn */

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
void backup_free(struct backup *b)
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

/* The caller is answered with what stands in the call; outside of a turn or in the one that is open. */
void backup_conclude(struct backup *b)
{
	bool own = !turn_is_open();

	if (b->over)
		return;
	drop_link(b);
	if (!b->asked)
		backup_end_export(b);
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

/* --- the connection --- */

bool backup_send(struct backup *b, const struct backup_message *m, int fd)
{
	static uint8_t packet[BACKUP_PACKET_MAX];
	ssize_t n = backup_encode(packet, sizeof(packet), m), sent;

	sent = n < 0 ? -1 : fd_send_message(b->fd, packet, (size_t)n, &fd, fd >= 0);
	explicit_bzero(packet, n > 0 ? (size_t)n : 0);
	return n > 0 && sent == n;
}

static void on_packet(void *arg, uint32_t events);

bool backup_dial(struct backup *b)
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
		backup_start_making(b);
		return;
	}
	backup_table(b->list, b->n, &b->c->reply);
	backup_conclude(b);
}

/* What is changed in place by a running qube is known to the storage service: better now than in the middle. */
static void on_probed(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct backup *b = arg;

	b->asked = false;
	if (a->kind == STORAGE_FAILED)
		b->exported[0] = '\0';
	backup_end_export(b);
	if (b->over) {
		backup_free(b);
		return;
	}
	if (a->kind == STORAGE_FAILED) {
		storage_fault(a, &b->c->fault);
		backup_conclude(b);
		return;
	}
	ask_sizes(b);
}

/* A size that cannot be told is no reason: what is wrong with the volume shows when it is saved. */
static void on_size(void *arg, const struct storage_answer *a, const struct text *parts UNUSED)
{
	struct backup *b = arg;
	struct saved *s = &b->list[b->at];
	struct volume *v = s->q->gone ? NULL : backup_volume(s->q, b->part - 1);
	struct storage_request ask;

	b->asked = false;
	if (b->over) {
		backup_free(b);
		return;
	}
	if (a->kind == STORAGE_DONE)
		s->size += a->usage;
	if (!b->execute || !v || !qube_active(s->q)) {
		ask_sizes(b);
		return;
	}
	memcpy(b->exported, v->name, sizeof(b->exported));
	storage_of(s->q, v, STORAGE_EXPORT, &ask);
	b->asked = true;
	(void)storage_ask(&ask, on_probed, b);
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
				return fault_set(&b->c->fault, E_STORAGE,
				                 "%s of %s is used without snapshots "
				                 "(revisions_to_keep -1): "
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
	good = backup_select(p, &b->list, &b->n, &b->c->fault) && (!b->execute || check_execute(b));
	for (size_t i = 0; good && i < b->n; i++)
		event_fire(b->list[i].q, "backup-get-files", NULL);
	if (!good)
		backup_conclude(b);
	turn_end(good);
	if (good)
		ask_sizes(b);
}

/* --- both connections --- */

static void on_failed(struct backup *b, const struct backup_message *m)
{
	BACKUP_FAIL(b, m->code == BACKUP_E_NO_PROFILE ? E_BACKUP_PROFILE : E_QUBES, "%.900s",
	            m->text);
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
		backup_on_progress(b, m->bytes);
		return true;
	}
	/* Nothing is asked for twice, nor done before the end was told. */
	if (m->kind == BACKUP_NEXT && b->making && !b->asked && (!b->store_sent || b->at < b->n)) {
		backup_end_export(b);
		backup_next_file(b);
		return false;
	}
	if (m->kind == BACKUP_DONE && b->making && b->at == b->n && b->store_sent) {
		backup_on_done(b, m->text);
		return false;
	}
	BACKUP_FAIL(b, E_QUBES, "The backup service said what it should not");
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
			BACKUP_FAIL(
			        b, E_QUBES,
			        b->making
			                ? "The backup process ended in the middle: nothing is kept"
			                : "The backup process ended before it had read the "
			                  "profile");
			return;
		}
		if (backup_decode(packet, (size_t)n, &m)) {
			BACKUP_FAIL(b, E_QUBES, "The backup service said something that is none");
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

	BACKUP_FAIL(b, E_QUBES, "The profile could not be read in time");
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
	*b = (struct backup){
	        .next = backups.all, .c = c, .execute = execute, .fd = -1, .source = LOOP_FD_EMPTY};
	if (!backup_dial(b) || !backup_send(b, &m, -1) ||
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
	backup_conclude(b);
}
