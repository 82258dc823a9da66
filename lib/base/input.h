/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_INPUT_H
#define LIB_BASE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * Blocking reads of a stream whose first line says what the rest is: a line, then bytes that belong to
 * the reader or to a program that is given them. For the programs of single services; what serves many
 * at once has loop/.
 */

#define INPUT_BUFFER 65536U

struct input {
	int fd;    /* borrowed */
	size_t at; /* bytes of buf taken */
	size_t len;
	bool end; /* the stream ended */
	char buf[INPUT_BUFFER];
};

/** input_init() - reads from a descriptor that is borrowed as long as the input is used */
void input_init(struct input *in, int fd);

/**
 * input_line() - the next bytes up to and with a newline
 * @max:  bytes at most; a longer line comes in pieces
 * Errors: bytes written (0: the stream ended), or -1 with errno. No NUL is added.
 */
ssize_t input_line(struct input *in, char *dst, size_t max) MUST_CHECK;

/** input_exact() - len bytes; 0, or -1 with errno (EPIPE: the stream ended before) */
int input_exact(struct input *in, void *dst, size_t len) MUST_CHECK;

/** input_some() - at least one byte and at most max; 0: the stream ended; -1 with errno */
ssize_t input_some(struct input *in, void *dst, size_t max) MUST_CHECK;

/**
 * input_copy() - what is left, to a descriptor
 * @max:  bytes at most
 * Errors: 0, or -1 with errno (EFBIG: there was more; max bytes were written).
 */
int input_copy(struct input *in, int to_fd, unsigned long long max, unsigned long long *ret_copied)
        MUST_CHECK;

#endif
