/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_WATCH_H
#define SERVICES_POLICY_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"
#include "services/policy/policy.h"

/*
 * Notices every change to what a load of the policy read: the files and directories themselves,
 * included ones too, and all folders above them, so that one which is removed and made again is seen.
 */

#define WATCH_WRITING_MAX 32U /* files being written at once; chosen */
#define WATCH_WRITING_MS                                                                           \
	1000U /* a file that nobody closes is taken as it stands after this; chosen */

struct watch_entry {
	int wd;
	bool direct; /* was read itself; false: a folder above */
	bool legacy; /* a folder where every name counts */
	bool kept;   /* private to watch_set() */
};

struct watch {
	int fd; /* inotify; owned */
	struct watch_entry *list;
	size_t n, room;
	struct {
		int wd;
		uint32_t name; /* hash; 0: the watched file itself */
		uint64_t deadline_ns;
	} writing[WATCH_WRITING_MAX];
	size_t n_writing;
	int facts_wd; /* folder of the facts file; -1: none */
	char facts_name[256];
	bool incomplete; /* not everything could be watched */
};

enum watch_change {
	WATCH_TOUCHED = 1 << 0, /* something that was read has changed */
	WATCH_AROUND = 1 << 1,  /* something happened in a folder above: look */
	WATCH_FACTS = 1 << 2,   /* the facts file */
};

/** watch_init() - 0 or -1 with errno */
int watch_init(struct watch *watch) MUST_CHECK;
void watch_fini(struct watch *watch);

/** watch_facts() - also tell about this file. 0 or -1 with errno. */
int watch_facts(struct watch *watch, const char *path) MUST_CHECK;

/** watch_set() - watch these and no others; returns whether a new one was added */
bool watch_set(struct watch *watch, const struct policy_inputs *inputs, const char *legacy);

/** watch_poll() - what happened since; enum watch_change. Never blocks. */
unsigned int watch_poll(struct watch *watch);

/** watch_writing() - whether somebody is in the middle of writing a policy file */
bool watch_writing(struct watch *watch);

#endif
