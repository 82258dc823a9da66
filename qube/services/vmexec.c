/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.VMExec+WORDS: becomes the program that the argument spells, with its arguments, and no shell in
 * between. Policy decides who may ask; dom0 and the owner of a disposable do.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "proto/services/vmexec.h"

/* Becomes the program; returns only if it could not, with the exit status. */
static int execute(const struct vmexec_word *words, size_t n, char **argv)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i].text) != words[i].len) {
			(void)fprintf(stderr, "qubes.VMExec: a NUL byte in word %zu\n", i + 1);
			return 1;
		}
		argv[i] = (char *)(uintptr_t)words[i].text; /* of run()'s own memory */
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): there is at least one word */
	execvp(argv[0], argv);
	LOG_ERRNO("%s", argv[0]);
	return errno == ENOENT ? 127 : 126;
}

static int run(const char *arg)
{
	size_t max = vmexec_words(arg);
	size_t room_len = strlen(arg) + 1;
	char *room = malloc(room_len);
	struct vmexec_word *words = calloc(max, sizeof(*words));
	char **argv = calloc(max + 1, sizeof(*argv));
	int status = 1;
	size_t n;

	if (!room || !words || !argv) {
		LOG("no memory");
	} else {
		enum vmexec_result r = vmexec_decode(arg, room, room_len, words, max, &n);

		if (r == VMEXEC_OK)
			status = execute(words, n, argv);
		else
			(void)fprintf(stderr, "qubes.VMExec: %s\n", vmexec_error(r));
	}
	free(argv);
	free(words);
	free(room);
	return status;
}

int main(int argc, char **argv)
{
	log_init("qubes.VMExec");
	if (argc != 2) {
		(void)fprintf(stderr, "qubes.VMExec: exactly one argument: the encoded command\n");
		return 1;
	}
	return run(argv[1]);
}
