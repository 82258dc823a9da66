/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/loop/loop.h"
#include "monitor/processes.h"
#include "monitor/qube_state.h"
#include "process/link.h"
#include "process/record.h"
#include "proto/monitor.h"

/*
 * The monitor: starts every other process, hands out what they hold, passes requests of the admin
 * service on to the toolstack, and keeps the state of each qube. It reads fixed-size messages of
 * processes that it started, and nothing else: no text, no byte of a qube.
 *
 * One loop; nothing waits. Whatever is asked has a limit of time.
 */

struct monitor;

/* A process that there is one of. service.c */
struct service {
	struct monitor *monitor;
	enum process_id id;
	struct proc proc;
	struct link link;
	struct loop_fd ready_source;
	int ready_fd; /* -1: nothing is awaited */
	bool ready;
	bool absent; /* not to be started here (--without, or somebody else stands in) */
	bool quiet;  /* its absence was said */
	uint64_t started_ns;
	unsigned int pause_ms;
	struct loop_timer again;
	struct loop_timer limit; /* to get ready, or to end */
};

/* A process of one qube. qube_process.c */
struct attendant {
	struct qube *qube;
	enum process_id id;
	struct proc proc;
	struct loop_fd ready_source;
	int ready_fd;
	bool wanted; /* started again when it ends */
	bool ready;
	uint64_t started_ns;
	unsigned int pause_ms;
	struct loop_timer again;
	struct loop_timer limit; /* after SIGTERM */
};

/* Who waits for an answer of ours: its serial, 0 for nobody. */
struct qube {
	struct monitor *monitor;
	uint32_t domid;
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	char user[MONITOR_USER_LEN];
	uint32_t owner;
	enum qube_state state;
	enum monitor_cause cause;
	bool seen;   /* in the table that a new toolstack sends */
	bool unborn; /* its creation failed, and that was said */
	bool ended;  /* the ground has nothing of it any more */
	bool late;   /* its agent did not greet in time: the daemon is being ended for that */
	struct monitor_failed failure; /* why it was not made; no text: not known */
	uint32_t create_serial;
	uint32_t destroy_serial;
	uint32_t qrexec_serial;
	struct loop_timer qrexec_limit;
	struct attendant database;
	struct attendant keeper;
};

/* A question on its way to a service. pending.c */
struct pending {
	struct monitor *monitor;
	uint32_t serial; /* ours; 0: this place is free */
	uint32_t origin; /* of the admin service; 0: the question is our own */
	uint32_t kind;
	uint32_t domid;
	enum process_id to;
	struct loop_timer limit;
	/* answer: DONE, CREATED or FAILED; always called, once */
	void (*fn)(struct monitor *m, const struct pending *p,
	           const struct monitor_message *answer);
};

#define PENDING_MAX 1024U /* chosen: more than admin may have on its way */
#define CALLS_MAX   32U   /* services being called for the admin service; chosen */

struct call;

struct monitor {
	struct loop *loop;
	const char *ground;
	int records;
	int lock;
	int admin_fd; /* --admin-fd: somebody in the place of the admin service; -1: none */
	struct service services[PROCESS_MAX];
	struct loop_timer group_again; /* admin and who speaks with it */
	unsigned int group_pause_ms;
	bool table_known; /* the toolstack has told which qubes run */
	bool adopting;    /* the table being told is the first */
	uint32_t hello_serial;
	bool hello_waits; /* admin asked for the table before there was one */
	uint32_t last_domid;
	struct qube *by_domid[MONITOR_DOMID_MAX + 1];
	unsigned int n_qubes;
	struct pending pending[PENDING_MAX];
	uint32_t last_serial;
	struct call *calls;
	unsigned int n_calls;
	unsigned int stop_seconds; /* for qubes to end by themselves */
	int stopping;              /* stop.c: the step */
	struct loop_timer stop_timer;
};

/* service.c */
void services_init(struct monitor *m);
/** services_adopt() - who outlived the last monitor goes on, the others are ended */
void services_adopt(struct monitor *m);
/** services_start() - whoever is to run and does not, as far as what it needs is there */
void services_start(struct monitor *m);
/** service_end() - asks it to end by itself, and ends it after a while */
void service_end(struct service *s);
bool services_run(const struct monitor *m, enum process_id id);
/** service_misbehaved() - sent what it may not: it is ended, and started again */
void service_misbehaved(struct service *s, const char *what);

/* From service.c to the others. */
void monitor_service_ready(struct service *s);
void monitor_service_gone(struct service *s);

/* requests.c: what comes in */
void requests_handle(struct service *s, const struct monitor_message *message);

/* answer_*.c: one function a request of the admin service */
void answer_hello(struct monitor *m, const struct monitor_message *request);
void answer_create(struct monitor *m, const struct monitor_message *request);
void answer_unpause(struct monitor *m, const struct monitor_message *request);
void answer_pause(struct monitor *m, const struct monitor_message *request);
void answer_shutdown(struct monitor *m, const struct monitor_message *request);
void answer_destroy(struct monitor *m, const struct monitor_message *request);
void answer_network(struct monitor *m, const struct monitor_message *request);
void answer_stats(struct monitor *m, const struct monitor_message *request);
void answer_qrexec(struct monitor *m, const struct monitor_message *request);
void answer_call(struct monitor *m, const struct monitor_message *request);

/* admin.c: what goes out to the admin service */
void admin_send(struct monitor *m, const struct monitor_message *message);
void admin_done(struct monitor *m, uint32_t serial, uint32_t domid, uint32_t status);
void admin_failed(struct monitor *m, uint32_t serial, uint32_t domid, enum monitor_error error,
                  uint32_t status, const char *text);
void admin_tell_table(struct monitor *m);

/* pending.c */
/** pending_ask() - a question for a service; if it cannot be asked fn is called before this returns */
void pending_ask(struct monitor *m, enum process_id to, struct monitor_message *message,
                 uint32_t origin, unsigned int limit_ms,
                 void (*fn)(struct monitor *m, const struct pending *p,
                            const struct monitor_message *answer));
/** pending_answer() - an answer of a service; false: to no question */
bool pending_answer(struct monitor *m, enum process_id from, const struct monitor_message *answer);
/** pending_find() - the question of a row that comes before its answer; NULL: none */
const struct pending *pending_find(const struct monitor *m, enum process_id from, uint32_t serial);
/** pending_drop() - who should have answered has ended */
void pending_drop(struct monitor *m, enum process_id to);
/** pending_forget() - who asked has ended: the answers go nowhere */
void pending_forget(struct monitor *m);

/* qube.c */
struct qube *qube_new(struct monitor *m, uint32_t domid, const uint8_t uuid[MONITOR_UUID_LEN],
                      const char *name) MUST_CHECK;
struct qube *qube_find(const struct monitor *m, uint32_t domid);
/** qube_move() - an event: whether the table allows it; the state is the new one then */
bool qube_move(struct qube *q, enum qube_event event) MUST_CHECK;
void qube_tell(struct qube *q);
/** qube_gone() - the ground has nothing of it any more: ends its processes, then tells and frees */
void qube_gone(struct qube *q, enum monitor_cause cause);
/** qube_check_end() - after one of its processes ended */
void qube_check_end(struct qube *q);
enum monitor_state qube_shown_state(const struct qube *q);
/** qubes_open_channels() - a new broker has no sockets but dom0's */
void qubes_open_channels(struct monitor *m);
/** qubes_table_begin(), qubes_table_row(), qubes_table_end() - what a new toolstack says */
void qubes_table_begin(struct monitor *m);
void qubes_table_row(struct monitor *m, const struct monitor_message *row);
void qubes_table_end(struct monitor *m);

/* qube_process.c */
void attendants_init(struct qube *q);
void attendant_start(struct attendant *a);
void attendant_end(struct attendant *a);
/** attendants_adopt() - those that outlived the last monitor, when its qubes are known */
void attendants_adopt(struct monitor *m);
void qube_database_ready(struct qube *q);
void qube_database_failed(struct qube *q);
void qube_keeper_ready(struct qube *q);
void qube_keeper_ended(struct qube *q, int wait_status);

/** channels_need_qube() - whether channels are the hypervisor's, between domains that are there */
bool channels_need_qube(const struct monitor *m);
/**
 * channels_env() - how a process of ours reaches channels on this ground: words for its environment, in
 * storage that is good until the next call
 * Errors: how many (at most CHANNELS_ENV_MAX), or -1 with errno.
 */
#define CHANNELS_ENV_MAX 3
int channels_env(const struct monitor *m, const char *words[CHANNELS_ENV_MAX]) MUST_CHECK;

/* call.c */
void calls_drop(struct monitor *m);

/* domid.c */
/** domid_next() - 0: all are taken; -1 … is no value. Written down before it is given. */
uint32_t domid_next(struct monitor *m) MUST_CHECK;
void domid_load(struct monitor *m);

/* stop.c */
void stop_begin(struct monitor *m);
/** stop_go_on() - called whenever something ended */
void stop_go_on(struct monitor *m);

/** monitor_exit_status() - of a wait status: the exit status, or 128 + signal; 255: not known */
uint32_t monitor_exit_status(int wait_status);

/** monitor_confine() - rights.c: once the starter is there and all folders are made; 0, or -1 after a log line */
int monitor_confine(void) MUST_CHECK;

#endif
