/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_LIVE_H
#define SERVICES_POLICY_LIVE_H

#include <limits.h>
#include <stdbool.h>

#include "lib/base/compat.h"
#include "lib/loop/loop.h"
#include "services/policy/policy.h"
#include "services/policy/watch.h"

/*
 * The policy as it is on disk now. Changed files take effect at the next call; while they are broken,
 * unreadable or being written there is no policy at all, never the one before.
 */

struct live {
	struct loop *loop;
	struct policy_place place;
	struct policy *policy;       /* NULL: broken, see fault */
	struct policy_fault fault;   /* why there is none */
	struct policy_inputs inputs; /* what it was read from */
	struct watch watch;
	struct loop_fd source;
	struct loop_timer timer; /* for a reload before anybody asks */
	bool stale;
	bool writing;
	void (*on_change)(void *arg); /* policy or fault has changed */
	void (*on_facts)(void *arg);  /* the facts file has */
	void (*on_denied)(void *arg); /* a load was not allowed to read something; NULL: a fault */
	void *arg;
	char text[PATH_MAX + 512]; /* private: the fault as one line */
};

/**
 * live_init() - load for the first time and watch; a broken policy is not an error
 * @place:       its texts are borrowed for ever
 * @facts_file:  told about by on_facts; NULL for none
 * Errors: 0, or -1 with errno: nothing can be watched.
 */
int live_init(struct live *live, struct loop *loop, const struct policy_place *place,
              const char *facts_file) MUST_CHECK;
void live_fini(struct live *live);

/** live_refresh() - look for changes, load if there are; true: policy or fault has changed */
bool live_refresh(struct live *live);

/** live_fault_text() - "error loading policy: FILE:LINE:COLUMN: text"; good until the next refresh */
const char *live_fault_text(struct live *live);

#endif
