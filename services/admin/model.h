/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_MODEL_H
#define SERVICES_ADMIN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/admin/text.h"

/*
 * Everything the service knows, in memory. Two kinds of state:
 *  - what is stored: each piece is a *row* (kind, owner, name, value). Loading, changing and undoing
 *    are the same act, row_apply(); so memory cannot differ from the store in what it can express.
 *    Handlers change rows with row_set() of turn.h, never with row_apply().
 *  - what runs (struct running, attachments, devices): rebuilt after a start from the monitor and
 *    from QubesDB.
 */

#define QUBE_NAME_LEN 32U /* with its NUL; Admin API: 31 characters */
#define UUID_LEN      37U /* with its NUL */
#define QUBES_MAX     9999U
#define VOLUMES_MAX   26U /* xvda … xvdz */
#define FEATURES_MAX  4096U
#define TAGS_MAX      1024U
#define ASSIGNED_MAX  256U
#define LABELS_MAX    1024U
#define POOLS_MAX     256U

enum qube_class {
	CLASS_SYSTEM, /* the system's own properties; subject "" of events */
	CLASS_ADMIN,
	CLASS_TEMPLATE,
	CLASS_STANDALONE,
	CLASS_APP,
	CLASS_DISP,
	CLASS_REMOTE,
	CLASS_COUNT
};

#define CLASS_BIT(c) (1U << (c))

enum qube_state {
	STATE_HALTED,
	STATE_RUNNING, /* reported as Transient until the agent is there */
	STATE_PAUSED,
	STATE_SUSPENDED,
	STATE_HALTING,
	STATE_DYING,
	STATE_CRASHED
};

enum row_kind {
	ROW_QUBE = 1, /* name: the qube's name; value: CLASS QID */
	ROW_PROPERTY, /* owner "": the system */
	ROW_FEATURE,
	ROW_TAG,
	ROW_VOLUME, /* name: root, private …; value: KEY=VALUE lines, volume_row() */
	ROW_DEVICE, /* name: CLASS BACKEND:PORT:IDENTITY; value: mode and options, assignment_row() */
	ROW_FIREWALL, /* name "": rules, one a line */
	ROW_NOTES,    /* name "" */
	ROW_LABEL,    /* owner "": name; value: INDEX 0xRRGGBB */
	ROW_POOL,     /* owner "": name; value: KEY=VALUE lines */
	ROW_KEPT, /* owner "": small facts of the service itself (numbers that must not come back) */
	ROW_KINDS
};

struct pair {
	char *name, *value;
};

struct volume {
	char name[16];
	char *pool;
	char *vid;    /* of snapshots: the own id */
	char *source; /* vid of the origin, "" for none */
	uint64_t size;
	int64_t revisions_to_keep;
	bool rw, save_on_stop, snap_on_start, ephemeral;
	/* Known from the storage service, not stored. */
	uint64_t usage;
	char *path;                 /* where it is while it is started */
	uint32_t ground_kind;       /* enum monitor_volume_kind of that path */
	bool started_read_only;     /* what is there is shared with others */
	uint64_t generation;        /* of an origin: counts commits */
	uint64_t source_generation; /* of a snapshot: that of its origin when it was made */
	bool outdated;
};

enum assignment_mode { MODE_MANUAL, MODE_ASK, MODE_AUTO, MODE_REQUIRED };

/* A stored wish (mode not MANUAL) or a connection that exists (running.attached). */
struct assignment {
	char *devclass;
	char *backend;  /* qube name; "" = any */
	char *port;     /* "*" = any */
	char *identity; /* "*" = any */
	enum assignment_mode mode;
	struct pair *options;
	size_t n_options;
};

struct device; /* devices.h */
struct job;    /* job.h */

struct running {
	enum qube_state state;
	uint32_t domid;              /* 0: none */
	uint32_t stub_domid;         /* 0: none */
	bool qrexec;                 /* the agent greeted */
	double start_time;           /* seconds since 1970; 0 unknown */
	uint32_t asked;              /* questions to the ground that change the state, under way */
	uint64_t memory_kib, cpu_ns; /* last figures of the ground */
	uint32_t vcpus;
	uint64_t seen_ns, seen_cpu_ns; /* of the last round of statistics */
	struct assignment **attached;
	size_t n_attached;
	struct device **devices; /* exposed by this qube, of all classes */
	size_t n_devices;
};

struct qube {
	enum qube_class klass;
	char name[QUBE_NAME_LEN];
	char uuid[UUID_LEN];
	uint32_t qid;
	char **values; /* by enum property_id; NULL: the default */
	struct pair *features;
	size_t n_features; /* in the order in which they came */
	char **tags;
	size_t n_tags; /* sorted */
	struct volume **volumes;
	size_t n_volumes;
	struct assignment **assigned;
	size_t n_assigned;
	char *firewall; /* NULL: accept everything */
	char *notes;    /* NULL: none */
	struct running run;
	struct job *lock;      /* what starts, stops or removes it */
	struct job *lock_tail; /* … and the last of those that wait for it */
	struct qdb *qdb;       /* connection to its QubesDB, or NULL */
	bool announced;        /* domain-add was sent, domain-delete was not */
	bool gone;             /* removed; kept only while refs > 0 */
	uint32_t refs;
	struct qube *next_by_name, *next_by_uuid;
};

struct label {
	char *name;
	uint32_t index;
	uint32_t colour; /* 0xRRGGBB */
};

struct pool {
	char *name;
	char *driver;
	struct pair *config; /* other than name and driver; as given */
	size_t n_config;
	uint64_t size, usage; /* from the storage service; 0: unknown */
	char *included_in;    /* or NULL */
};

/* What the machine is like; options and messages at the start. */
struct host {
	uint64_t memory_mib;
	uint32_t cpus;
	uint64_t dom0_memory_kib, dom0_static_max_kib;
	char timezone[64];
	struct pair *kernels; /* name: version; value: files it has, space separated */
	size_t n_kernels;
	char root[256]; /* prefix of all paths */
};

struct world {
	struct qube *system;
	struct qube **qubes; /* dom0 first, then by name */
	size_t n_qubes;
	struct label **labels; /* by index */
	size_t n_labels;
	struct pool **pools;
	size_t n_pools;
	struct pair *kept;
	size_t n_kept;
	struct host host;
	uint64_t changes; /* counts every change that a cached reply may depend on */
};

extern struct world world;

/** world_init() - the system and dom0, the eight labels, nothing else */
void world_init(void);

/**
 * row_apply() - make memory what this row says
 * @value:    NULL: the row goes away
 * @ret_old:  NULL, or given: the value before (NULL: there was none)
 * Errors: 0; -1: the row makes no sense (logged; memory unchanged).
 */
int row_apply(enum row_kind kind, const char *owner, const char *name, const char *value,
              char **ret_old) MUST_CHECK;

/** row_value() - given: the row as memory has it; NULL: there is none */
char *row_value(enum row_kind kind, const char *owner, const char *name);

/** row_visit() - fn for every row of a qube (the system for ""), dependents first, ROW_QUBE last */
void row_visit(struct qube *q,
               void (*fn)(void *arg, enum row_kind kind, const char *owner, const char *name),
               void *arg);

/* Look-ups. NULL: there is none. */
struct qube *qube_by_name(const char *name);
struct qube *qube_by_uuid(const char *uuid);
struct qube *qube_by_domid(uint32_t domid);
struct qube *qube_by_qid(uint32_t qid);
struct label *label_by_name(const char *name);
struct label *label_by_index(uint32_t index);
struct pool *pool_by_name(const char *name);
struct volume *volume_by_name(const struct qube *q, const char *name);
const char *kept_get(const char *name);

/** feature_get() - the value; NULL: not set. Direct, or following template / netvm / dom0. */
const char *feature_get(const struct qube *q, const char *name);
const char *feature_with_template(const struct qube *q, const char *name);
const char *feature_with_netvm(const struct qube *q, const char *name);
/** feature_true() - set and not empty */
static inline bool feature_true(const char *value)
{
	return value && value[0];
}
bool tag_has(const struct qube *q, const char *tag);

const char *class_name(enum qube_class klass);
/** class_by_name() - CLASS_COUNT: unknown */
enum qube_class class_by_name(const char *name);
const char *state_name(const struct qube *q);

/** qube_active() - anything of it runs: what the Admin API calls running (paused counts) */
bool qube_active(const struct qube *q);
bool qube_is_local(const struct qube *q);

/** qube_hold() - keep the memory of a qube that may be removed meanwhile; gone tells */
struct qube *qube_hold(struct qube *q);
struct qube *qube_release(struct qube *q);

/* Small tools of rows. */
void pairs_set(struct pair **pairs, size_t *n, const char *name, const char *value);
const char *pairs_get(const struct pair *pairs, size_t n, const char *name);
bool pairs_drop(struct pair **pairs, size_t *n, const char *name);
void pairs_free(struct pair **pairs, size_t *n);
/** pairs_parse() - KEY=VALUE lines; pairs_print() - the same back, keys as they stand */
void pairs_parse(const char *text, struct pair **pairs, size_t *n);
void pairs_print(struct text *t, const struct pair *pairs, size_t n);

void volume_row(const struct volume *v, struct text *out);
void assignment_row(const struct assignment *a, struct text *out);
/** assignment_key() - CLASS BACKEND:PORT:IDENTITY */
void assignment_key(const struct assignment *a, struct text *out);
/** assignment_parse() - of such a key and row; NULL: malformed */
struct assignment *assignment_parse(const char *key, const char *value);
struct assignment *assignment_free(struct assignment *a);
struct assignment *assignment_copy(const struct assignment *a);
const char *mode_name(enum assignment_mode mode);
/** mode_by_name() - -1: unknown */
int mode_by_name(const char *name);

#endif
