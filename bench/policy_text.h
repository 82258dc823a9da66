/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BENCH_POLICY_TEXT_H
#define BENCH_POLICY_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Made-up policies and questions for the benchmarks, the same for the same seed: 100 services, six
 * in ten names literal, one rule in six of each kind. Qubes are named q0, q1 …
 */

#define TEXT_SERVICES 100

struct policy_text_random {
	uint64_t state; /* not 0 */
};

uint32_t policy_text_random(struct policy_text_random *random, uint32_t below);

/** policy_text_write() - rules in files 10-NN.policy below dir; 0 or -1 with errno */
int policy_text_write(const char *dir, unsigned int rules, unsigned int files, unsigned int qubes);

struct policy_text_question {
	char source[32];
	char target[32];
	char service[64];
};

/** policy_text_question() - mixed: any service, argument, source and target; miss: a service that
 *  no rule names */
void policy_text_question(struct policy_text_random *random, unsigned int qubes, int miss,
                          struct policy_text_question *out);

#endif
