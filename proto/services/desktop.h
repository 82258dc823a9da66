/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_DESKTOP_H
#define PROTO_SERVICES_DESKTOP_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"

/*
 * Desktop entries (freedesktop.org, Desktop Entry Specification 1.5): the lines of a .desktop file,
 * and the words of an Exec line. Pure. The files belong to the qube that runs this code, yet a file is
 * any bytes.
 */

#define DESKTOP_FILE_MAX  (1U << 20) /* bytes of a file; chosen */
#define DESKTOP_WORDS_MAX 256        /* words of an Exec line; chosen */

struct desktop_reader {
	const char *data; /* borrowed */
	size_t len;
	size_t at;
	bool in_group; /* within [Desktop Entry] */
};

struct desktop_line {
	const char *key; /* borrowed from the file, not terminated; with its [locale] */
	size_t key_len;
	const char *value;
	size_t value_len;
};

static inline struct desktop_reader desktop_reader(const char *data, size_t len)
{
	return (struct desktop_reader){.data = data, .len = len};
}

/** desktop_next() - the next KEY=VALUE of the group [Desktop Entry]; false: there is no more */
bool desktop_next(struct desktop_reader *reader, struct desktop_line *ret_line);

/** desktop_is_key() - whether a line has this key, without a locale */
bool desktop_is_key(const struct desktop_line *line, const char *key);

struct desktop_exec {
	const char *exec; /* Exec's value as it stands in the file, borrowed */
	size_t exec_len;
	const char *name; /* for %c; NUL-terminated; "" if there is none */
	const char *icon; /* for %i; "" if there is none */
	const char *path; /* for %k */
};

/**
 * desktop_exec_words() - the program and its arguments, started with no file to open
 * @room:   the words are written here, each with its NUL
 * @words:  DESKTOP_WORDS_MAX + 1 of them; NULL-terminated
 * Errors:  the number of words; -1: not of the grammar, or too long. No shell is needed, and none is
 *          meant to see the result.
 * Test:    tests/unit/proto/services/desktop.c, fuzz/desktop.c
 */
int desktop_exec_words(const struct desktop_exec *exec, char *room, size_t room_len,
                       char *words[DESKTOP_WORDS_MAX + 1]) MUST_CHECK;

/**
 * desktop_id_legal() - an application's id as a caller may give it: 1 … 200 bytes of [A-Za-z0-9._+-],
 *                      not "." or ".."
 */
bool desktop_id_legal(const char *id);

#endif
