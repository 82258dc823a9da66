/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Test builds only: which attack the environment orders; see attack.h. Never part of an installed program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sandbox/attack.h"

void attack_from_environment(const char *program)
{
	const char *wanted = getenv("SKERRY_ATTACK");
	const char *text = getenv("SKERRY_ATTACK_WORLD");
	struct attack_world w = {.tcp_port = -1, .shm_key = -1, .leaked_fd = -1, .victim = -1};
	size_t len = strlen(program);
	const struct attack *a;
	char line[128];
	int n;

	if (!wanted || strncmp(wanted, program, len) != 0 || wanted[len] != ':')
		return;
	a = attack_find(wanted + len + 1);
	if (!a || !text ||
	    sscanf(text, "%511s %63s %d %d %d %d %zu %u", w.dir, w.abstract, &w.tcp_port,
	           &w.shm_key, &w.leaked_fd, &w.victim, &w.memory_max, &w.files_max) != 8)
		_exit(2);
	/* Without a result after this line, the process died of the attack. */
	n = snprintf(line, sizeof(line), "attack %s begins\n", a->name);
	if (write(2, line, (size_t)n) != n)
		_exit(3);
	n = a->run(&w);
	n = snprintf(line, sizeof(line), "attack %s: %d\n", a->name, n);
	if (write(2, line, (size_t)n) != n)
		_exit(3);
	_exit(0);
}
