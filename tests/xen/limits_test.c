/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0 on real Xen: what must be refused, what must hold against hostile qubes, and how many there can
 * be. Usage: xen-limits-test KERNEL CONSOLE-PROGRAM PORT-OR-EMPTY [PART…]
 */
#include <signal.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/vchan/vchan.h"
#include "tests/xen/limits.h"
#include "tests/xen/tap.h"
#include "tests/xen/talk.h"

static const char *kernel;

bool limits_reach(const struct qube *q, struct pipe_end *ret_end)
{
	return pipe_open(ret_end, PIPE_OURS, PIPE_CONNECT, 0, q->domid, TALK_FIRST, 0) == 0;
}

uint32_t limits_ask(struct pipe_end *end, enum talk_what what, uint32_t argument)
{
	uint32_t answer;

	if (talk_ask(end, what, argument) || talk_answer(end, &answer))
		return UINT32_MAX;
	return answer;
}

static void starts(void)
{
	limits_starts(kernel);
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {{"starts", starts},
             {"channels", limits_channels},
             {"life", limits_life},
             {"harm", limits_harm},
             {"many", limits_many}};

/* None named: all. */
static bool wanted(char *const *names, const char *part)
{
	for (char *const *name = names; *name; name++)
		if (strcmp(*name, part) == 0)
			return true;
	return !*names;
}

int main(int argc, char **argv)
{
	struct qube_ground_state before;

	if (argc < 4)
		return 2;
	log_init("xen-limits-test");
	(void)signal(SIGPIPE, SIG_IGN);
	kernel = argv[1];
	tap_open(argv[3]);
	vchan_use_grant();
	if (!qube_set_up(kernel, argv[2])) {
		(void)tap_result(false, "hypervisor and xenstore can be reached");
		return tap_end();
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		double from = qube_now();

		if (!wanted(argv + 4, parts[i].name))
			continue;
		(void)tap_result(qube_ground_state(&before), "%s: the ground can be looked at",
		                 parts[i].name);
		parts[i].run();
		(void)tap_result(qube_nothing_left(&before),
		                 "%s: no domain, page, event channel or node is left",
		                 parts[i].name);
		tap_note("%s: %.1f s", parts[i].name, qube_now() - from);
	}
	(void)xen_ground_close(ground);
	return tap_end();
}
