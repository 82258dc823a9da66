/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.GetDate[+nanoseconds] and qubes.GetRandomizedTime in a qube.
 */
#include <string.h>

#include "call/answer_time.h"
#include "lib/base/log.h"

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	name = name ? name + 1 : argv[0];
	log_init(name);
	if (strcmp(name, "qubes.GetRandomizedTime") == 0)
		return answer_randomized_time();
	return answer_time(argc > 1 && *argv[1]);
}
