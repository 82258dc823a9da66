/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_BACKUP_INTERNAL_H
#define SERVICES_ADMIN_BACKUP_INTERNAL_H

#include "lib/loop/loop.h"
#include "proto/backup.h"
#include "services/admin/call.h"

struct saved {
	struct qube *q; /* held */
	uint64_t size;  /* bytes that its volumes take */
};

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
	/* The volume of list[at] that the storage service keeps as it is; "": none. */
	char exported[16];
	uint64_t total, finished; /* bytes of volumes */
	uint64_t written, begun;  /* of the archive; when this qube began */
};

#define NO_SERVICE "The backup service does not answer: see skerry-backup.log"

/** backup_conclude() - the caller is answered with what stands in the call, and the backup goes as soon as
 *  it can; in the open turn, or one of its own */
void backup_conclude(struct backup *b);
#define BACKUP_FAIL(b, ...) (call_refuse((b)->c, __VA_ARGS__), backup_conclude(b))

/** backup_free() - one that is over, when what was asked for it is answered */
void backup_free(struct backup *b);

/** backup_dial() - to the backup service; backup_send(): a message and a descriptor (-1: none) */
bool backup_dial(struct backup *b) MUST_CHECK;
bool backup_send(struct backup *b, const struct backup_message *m, int fd) MUST_CHECK;

/* backup_make.c: what the maker says. */
void backup_start_making(struct backup *b);
void backup_next_file(struct backup *b);
void backup_on_progress(struct backup *b, uint64_t written);
void backup_on_done(struct backup *b, const char *name);

/** backup_end_export() - the storage service need not keep a volume any longer; nothing if it does not */
void backup_end_export(struct backup *b);

/** backup_select() - by the names of a profile, sorted; false with a fault: there is no such qube */
bool backup_select(const struct backup_profile *p, struct saved **ret_list, size_t *ret_n,
                   struct fault *f) MUST_CHECK;

/** backup_find() - in a list that was selected; NULL: it is not in it */
const struct saved *backup_find(const struct saved *list, size_t n, struct qube *q);

/** backup_table() - what admin.backup.Info answers */
void backup_table(const struct saved *list, size_t n, struct text *out);

#define BACKUP_PARTS 2U /* volumes of a qube that may be in a backup */
/** backup_volume() - the part'th; NULL: it has none that keeps data, or this system has that anyway */
struct volume *backup_volume(const struct qube *q, size_t part);

/** backup_home() - dom0's folder as it is in a backup, "dom0-home/USER"; NULL: it has none.
 *  *ret_path: where it is */
const char *backup_home(const char **ret_path);
void backup_home_find(void);

/** backup_store() - qubes.xml of a backup: all that is stored, and which of it is saved */
void backup_store(const struct saved *list, size_t n, struct text *out);

/** backup_firewall() - firewall.xml of a qube that has rules of its own */
void backup_firewall(const struct qube *q, struct text *out);

#endif
