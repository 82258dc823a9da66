/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/policy_text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compat.h"

/* xorshift64*: small, and the same everywhere. */
uint32_t policy_text_random(struct policy_text_random *random, uint32_t below)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)((random->state * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* Six in ten a qube's name, else a tag, a type or a keyword. */
static void token_make(struct policy_text_random *random, unsigned int qubes, int target,
                       char out[32])
{
	static const char *const types[] = {"AppVM", "TemplateVM", "StandaloneVM", "DispVM"};
	uint32_t kind = policy_text_random(random, 10);

	if (kind < 6)
		snprintf(out, 32, "q%u", policy_text_random(random, qubes));
	else if (kind < 8)
		snprintf(out, 32, "@tag:t%u", policy_text_random(random, 10));
	else if (kind < 9)
		snprintf(out, 32, "@type:%s", types[policy_text_random(random, 4)]);
	else if (target && policy_text_random(random, 2))
		snprintf(out, 32, "@default");
	else
		snprintf(out, 32, "@anyvm");
}

static void rule_write(FILE *file, struct policy_text_random *random, unsigned int qubes)
{
	static const char *const arguments[] = {"*", "+", "+a", "+b", "+some-file"};
	char source[32], target[32];
	uint32_t service = policy_text_random(random, TEXT_SERVICES);
	const char *argument = arguments[policy_text_random(random, ARRAY_LEN(arguments))];

	token_make(random, qubes, 0, source);
	token_make(random, qubes, 1, target);
	fprintf(file, "bench.Service%u %s %s %s ", service, argument, source, target);
	switch (policy_text_random(random, 6)) {
	case 0:
		fprintf(file, "allow target=q%u\n", policy_text_random(random, qubes));
		break;
	case 1:
		fprintf(file, "deny\n");
		break;
	case 2:
		fprintf(file, "deny notify=no\n");
		break;
	case 3:
		fprintf(file, "ask\n");
		break;
	case 4:
		fprintf(file, "allow target=@adminvm\n");
		break;
	default:
		fprintf(file, "allow user=user target=q%u\n", policy_text_random(random, qubes));
		break;
	}
}

int policy_text_write(const char *dir, unsigned int rules, unsigned int files, unsigned int qubes)
{
	struct policy_text_random random = {.state = 0x5eed};
	char path[PATH_MAX];

	for (unsigned int i = 0; i < files; i++) {
		unsigned int n = rules / files + (i < rules % files ? 1 : 0);
		FILE *file;

		if ((size_t)snprintf(path, sizeof(path), "%s/10-%02u.policy", dir, i) >=
		    sizeof(path))
			return -1;
		file = fopen(path, "we");
		if (!file)
			return -1;
		while (n-- > 0)
			rule_write(file, &random, qubes);
		if (fclose(file) != 0)
			return -1;
	}
	return 0;
}

void policy_text_question(struct policy_text_random *random, unsigned int qubes, int miss,
                          struct policy_text_question *out)
{
	static const char *const arguments[] = {"+", "+a", "+b", "+some-file", "+other"};

	snprintf(out->source, sizeof(out->source), "q%u", policy_text_random(random, qubes));
	snprintf(out->target, sizeof(out->target), "q%u", policy_text_random(random, qubes));
	snprintf(out->service, sizeof(out->service), "bench.%s%u%s", miss ? "Unused" : "Service",
	         policy_text_random(random, TEXT_SERVICES),
	         arguments[policy_text_random(random, ARRAY_LEN(arguments))]);
}
