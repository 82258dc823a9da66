/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"

/*
 * Loads the policy when what it was read from has changed. The check is one read of an inotify
 * descriptor per batch of questions; a change that arrives while nobody asks is loaded ahead.
 */

#define AHEAD_MS      20U /* quiet time before a load that nobody waits for; chosen */
#define LOAD_ATTEMPTS 3   /* files that change while they are being read */

static void load_once(struct live *live)
{
	live->policy = policy_unref(live->policy);
	policy_inputs_fini(&live->inputs);
	memset(&live->fault, 0, sizeof(live->fault));
	live->policy = policy_load_disk(&live->place, &live->inputs, &live->fault);
}

/* What was read before it was watched may have changed in between: then once more. */
static void load(struct live *live)
{
	int attempt;

	live->stale = false;
	for (attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
		load_once(live);
		if (!watch_set(&live->watch, &live->inputs, live->place.legacy_dir) ||
		    !policy_inputs_changed(&live->inputs))
			break;
		live->stale = attempt + 1 == LOAD_ATTEMPTS;
	}
	if (live->watch.incomplete)
		LOG("not every policy file can be watched; looking at each of them for every "
		    "question");
	if (!live->policy && live->on_denied && live->fault.kind == FAULT_IO &&
	    (live->fault.error == EACCES || live->fault.error == EPERM))
		live->on_denied(live->arg);
	else if (!live->policy)
		LOG("%s", live_fault_text(live));
}

static void refuse_while_writing(struct live *live)
{
	live->policy = policy_unref(live->policy);
	memset(&live->fault, 0, sizeof(live->fault));
	live->fault.kind = FAULT_SYNTAX;
	(void)snprintf(live->fault.file, sizeof(live->fault.file), "%s", live->place.dirs[0]);
	(void)snprintf(
	        live->fault.text, sizeof(live->fault.text),
	        "a policy file is being written; refusing until it is closed (write to another "
	        "name and rename to avoid this)");
	live->stale = true;
	live->writing = true;
}

static void look(struct live *live)
{
	unsigned int change = watch_poll(&live->watch);

	if (change & WATCH_FACTS && live->on_facts)
		live->on_facts(live->arg);
	if (change & WATCH_TOUCHED)
		live->stale = true;
	if (live->stale)
		return;
	if (change & WATCH_AROUND || live->watch.incomplete || !live->policy)
		live->stale =
		        live->fault.kind == FAULT_MEMORY || policy_inputs_changed(&live->inputs);
}

bool live_refresh(struct live *live)
{
	look(live);
	if (!live->stale)
		return false;
	if (watch_writing(&live->watch)) {
		if (live->writing)
			return false;
		refuse_while_writing(live);
		LOG("%s", live_fault_text(live));
		return true;
	}
	live->writing = false;
	load(live);
	return true;
}

const char *live_fault_text(struct live *live)
{
	static const char prefix[] = "error loading policy: ";
	const size_t len = sizeof(prefix) - 1;

	memcpy(live->text, prefix, len);
	(void)policy_fault_format(&live->fault, live->text + len, sizeof(live->text) - len);
	return live->text;
}

static void load_ahead(void *arg)
{
	struct live *live = arg;

	if (live_refresh(live) && live->on_change)
		live->on_change(live->arg);
	if (live->writing &&
	    loop_timer_set(live->loop, &live->timer, WATCH_WRITING_MS + AHEAD_MS, load_ahead, live))
		LOG_ERRNO("the next question will load the policy");
}

static void on_inotify(void *arg, uint32_t events)
{
	struct live *live = arg;

	look(live);
	if (live->stale && !live->timer.index &&
	    loop_timer_set(live->loop, &live->timer, AHEAD_MS, load_ahead, live))
		LOG_ERRNO("the next question will load the policy");
}

int live_init(struct live *live, struct loop *loop, const struct policy_place *place,
              const char *facts_file)
{
	live->loop = loop;
	live->place = *place;
	live->source = (struct loop_fd)LOOP_FD_EMPTY;
	if (watch_init(&live->watch))
		return -1;
	if (facts_file && watch_facts(&live->watch, facts_file))
		LOG_ERRNO("%s cannot be watched", facts_file);
	if (loop_fd_add(loop, &live->source, live->watch.fd, EPOLLIN, on_inotify, live)) {
		watch_fini(&live->watch);
		return -1;
	}
	load(live);
	return 0;
}

void live_fini(struct live *live)
{
	loop_timer_clear(live->loop, &live->timer);
	loop_fd_remove(live->loop, &live->source);
	watch_fini(&live->watch);
	live->policy = policy_unref(live->policy);
	policy_inputs_fini(&live->inputs);
}
