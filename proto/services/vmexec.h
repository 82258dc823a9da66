/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_VMEXEC_H
#define PROTO_SERVICES_VMEXEC_H

#include <stddef.h>

#include "lib/base/compat.h"
#include "lib/wire/writer.h"

/*
 * The argument of qubes.VMExec: a program and its arguments in the few characters that a service's
 * argument may have. Words joined by '+'; [A-Za-z0-9._] stand for themselves, '-' is "--", every other
 * byte is '-' and two capital hexadecimal digits. Pure. Source: doc/protocol/services.md, VMExec.
 */

enum vmexec_result {
	VMEXEC_OK,
	VMEXEC_E_CHARACTER, /* a byte that no encoder writes */
	VMEXEC_E_ESCAPE,    /* '-' that is neither "--" nor "-HH" */
	VMEXEC_E_ROOM,      /* more words or bytes than there is room for */
};

struct vmexec_word {
	const char *text; /* borrowed from the room given; len bytes and a NUL; may hold NULs */
	size_t len;
};

/**
 * vmexec_words() - how many words an argument has: at least one, which may be empty
 */
size_t vmexec_words(const char *arg);

/**
 * vmexec_decode() - the words of an argument
 * @arg:    NUL-terminated; hostile
 * @room:   strlen(arg) + 1 bytes always suffice
 * @words:  max of them; vmexec_words() always suffices
 * Errors: VMEXEC_OK, or why not; the words are written in any case as far as they were read.
 * Test:   tests/unit/proto/services/vmexec.c, vectors vmexec.json, fuzz/vmexec.c
 */
enum vmexec_result vmexec_decode(const char *arg, char *room, size_t room_len,
                                 struct vmexec_word *words, size_t max, size_t *ret_n) MUST_CHECK;

/** vmexec_error() - what the original's decoder says of it */
const char *vmexec_error(enum vmexec_result result);

/** vmexec_encode() - one more word; @first: no '+' before it. The writer goes bad if it does not fit. */
void vmexec_encode(struct wire_writer *w, const void *word, size_t len, bool first);

#endif
