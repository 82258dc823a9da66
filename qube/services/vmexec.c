/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes.VMExec+WORDS: becomes the program that the argument spells, with its arguments, and no shell in
 * between. Policy decides who may ask; dom0 and the owner of a disposable do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "proto/services/vmexec.h"

static int run(const char *arg)
{
	size_t max = vmexec_words(arg);
	size_t room_len = strlen(arg) + 1;
	char *room = malloc(room_len);
	struct vmexec_word *words = calloc(max, sizeof(*words));
	char **argv = calloc(max + 1, sizeof(*argv));
	enum vmexec_result r;
	size_t n;

	if (!room || !words || !argv) {
		LOG("no memory");
		return 1;
	}
	r = vmexec_decode(arg, room, room_len, words, max, &n);
	if (r != VMEXEC_OK) {
		(void)fprintf(stderr, "qubes.VMExec: %s\n", vmexec_error(r));
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i].text) != words[i].len) {
			(void)fprintf(stderr, "qubes.VMExec: a NUL byte in word %zu\n", i + 1);
			return 1;
		}
		argv[i] = room + (words[i].text - room);
	}
	execvp(argv[0], argv);
	LOG_ERRNO("%s", argv[0]);
	return errno == ENOENT ? 127 : 126;
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
