/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_GPG_H
#define PROTO_SERVICES_GPG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * qubes.Gpg, split GPG: one qube has the keys, another one asks it to sign, decrypt, list. A request is a
 * block with gpg's arguments, of which those that name files, servers or programs are not let through;
 * then frames carry the descriptors' bytes. Pure. Source: doc/protocol/services.md, Gpg.
 */

#define GPG_BUFFER     1024 /* protocol */
#define GPG_BLOCK      (4 + GPG_BUFFER)
#define GPG_ARGS_MAX   512  /* each has a byte at least, and its NUL */
#define GPG_FDS_MAX    15   /* of a direction; protocol */
#define GPG_FD_MAX     1023 /* protocol */
#define GPG_FRAME_HEAD 8
#define GPG_FRAME_MAX  4096 /* bytes of data in a frame; protocol */

struct gpg_request {
	char room[GPG_BUFFER + 1];
	size_t n;
	const char *args[GPG_ARGS_MAX + 1]; /* into room; NULL at the end */
	/* gpg's descriptors: input[0] is 0, output[0] and [1] are 1 and 2, then those that the arguments
	 * name, in their order. A frame's index counts in these. */
	size_t n_inputs;
	size_t n_outputs;
	int inputs[GPG_FDS_MAX];
	int outputs[GPG_FDS_MAX];
};

enum gpg_result {
	GPG_OK,
	GPG_E_BLOCK,    /* the block is not of the form */
	GPG_E_TEXT,     /* an argument is not printable UTF-8 */
	GPG_E_OPTION,   /* an option that is unknown, abbreviated, or not let through */
	GPG_E_VALUE,    /* an option's value is missing or not let through */
	GPG_E_COMMANDS, /* commands that do not go together */
	GPG_E_FD,       /* a descriptor that may not be used so */
	GPG_E_OPERAND,  /* a file, or something that looks like an option */
};

/**
 * gpg_request_decode() - a block to arguments; they are not looked at
 * @block:  hostile; GPG_BLOCK bytes
 * Errors: GPG_OK, GPG_E_BLOCK.
 * Test:   tests/unit/proto/services/gpg.c, fuzz/gpg.c
 */
enum gpg_result gpg_request_decode(const uint8_t block[GPG_BLOCK], struct gpg_request *out)
        MUST_CHECK;

/** gpg_request_encode() - arguments to a block; -1: they do not fit */
int gpg_request_encode(const char *const *args, size_t n, uint8_t block[GPG_BLOCK]) MUST_CHECK;

/**
 * gpg_request_check() - whether gpg may be started with these arguments
 * Sets the descriptors. *ret_at: the argument that is wrong.
 */
enum gpg_result gpg_request_check(struct gpg_request *request, size_t *ret_at) MUST_CHECK;

const char *gpg_error(enum gpg_result result);

struct gpg_frame {
	int32_t index; /* of a descriptor; negative: -(exit status + 1), the end */
	uint32_t len;  /* 0 … GPG_FRAME_MAX; 0: the end of that descriptor */
};

/** gpg_frame_decode() - 0; -1: longer than a frame may be, or an index that is out of n_fds */
int gpg_frame_decode(const uint8_t head[GPG_FRAME_HEAD], size_t n_fds, bool may_end,
                     struct gpg_frame *out) MUST_CHECK;
void gpg_frame_encode(const struct gpg_frame *frame, uint8_t head[GPG_FRAME_HEAD]);

#endif
