/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_APPMENUS_H
#define PROTO_SERVICES_APPMENUS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compat.h"
#include "lib/wire/writer.h"

/*
 * What a qube says of its applications (qubes.SyncAppMenus, qubes.GetAppmenus): text, of which the lines
 * APPLICATION.desktop:KEY=VALUE with seven known keys and harmless values are taken and everything else
 * is left. Nothing that gets through can end a line, quote, or name a path outside of the menu. Pure.
 * Source: doc/protocol/services.md, SyncAppMenus.
 */

#define APPMENUS_LINES_MAX 100000 /* of one answer; that many are refused; protocol */
#define APPMENUS_LINE_MAX  1024   /* characters; what is longer counts as several lines; protocol */
#define APPMENUS_LINE_ROOM (APPMENUS_LINE_MAX * 4) /* bytes: UTF-8 */
#define APPMENUS_APPS_MAX  2000                    /* applications of one qube; chosen */

enum appmenus_key {
	APPMENUS_NAME,
	APPMENUS_GENERIC_NAME,
	APPMENUS_COMMENT,
	APPMENUS_WM_CLASS,
	APPMENUS_ICON,
	APPMENUS_CATEGORIES,
	APPMENUS_EXEC,
	APPMENUS_KEY_MAX,
};

/** appmenus_key_name() - "Name", "GenericName" … */
const char *appmenus_key_name(enum appmenus_key key);

/** appmenus_next_line() - one line of the answer, as the original cuts it */
struct appmenus_text {
	const char *data; /* borrowed */
	size_t len;
	size_t at;
	unsigned int n_lines;
};

enum appmenus_next {
	APPMENUS_LINE,
	APPMENUS_END,
	APPMENUS_TOO_MANY,
	APPMENUS_NOT_UTF8,
};

/**
 * appmenus_next_line() - the next line: up to a line end of any kind, or APPMENUS_LINE_MAX characters
 * @ret_line: borrowed, without the line end
 */
enum appmenus_next appmenus_next_line(struct appmenus_text *text, const char **ret_line,
                                      size_t *ret_len) MUST_CHECK;

struct appmenus_value {
	enum appmenus_key key;
	char app[APPMENUS_LINE_ROOM + 1];   /* [A-Za-z0-9._-]+ */
	char value[APPMENUS_LINE_ROOM + 1]; /* as the key's rule allows; categories: those known */
};

enum appmenus_result {
	APPMENUS_VALUE,   /* taken */
	APPMENUS_NOTHING, /* blank, a comment, another key, not of the form */
	APPMENUS_BAD,     /* a known key whose value is not harmless: app and key are set */
};

/**
 * appmenus_parse_line() - what one line says
 * @line:  hostile; valid UTF-8 of at most APPMENUS_LINE_MAX characters
 * Test:   tests/unit/proto/services/appmenus.c, vectors appmenus.json, fuzz/appmenus.c
 */
enum appmenus_result appmenus_parse_line(const char *line, size_t len, struct appmenus_value *out)
        MUST_CHECK;

/** appmenus_value_legal() - whether a text may stand as this key's value */
bool appmenus_value_legal(enum appmenus_key key, const char *value, size_t len);

struct appmenus_app {
	const char *name;                     /* checked, as of appmenus_value */
	const char *values[APPMENUS_KEY_MAX]; /* checked; NULL: not given */
};

/**
 * appmenus_template() - the menu entry of an application, in which %VMNAME%, %VMDIR% and %XDGICON% are
 *                       filled in for each qube
 * @legacy:  for qubes that cannot start an application by its name
 * Returns whether there is one (a name, and for legacy a command, are needed); the writer goes bad if
 * it does not fit.
 */
bool appmenus_template(struct wire_writer *w, const struct appmenus_app *app, bool legacy);

/** appmenus_category_known() - of the freedesktop menu specification's main and additional ones */
bool appmenus_category_known(const char *name, size_t len);

#endif
