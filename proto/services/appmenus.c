/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/appmenus.h"

#include <string.h>

#include "lib/untrusted/text.h"

#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define SUFFIX         ".desktop"
#define SUFFIX_LEN     (sizeof(SUFFIX) - 1)

/* key, and the characters that its value is made of. None of them ends a line or is a quote for
 * a desktop entry; '%', '$', '`', '\', '"' and '!' are in none. */
static const struct {
	const char *name;
	const char *set;
} keys[APPMENUS_KEY_MAX] = {
        [APPMENUS_NAME] = {"Name", LETTERS_DIGITS "/.,:&()_ +-"},
        [APPMENUS_GENERIC_NAME] = {"GenericName", LETTERS_DIGITS "/.,:&()_ +-"},
        [APPMENUS_COMMENT] = {"Comment", LETTERS_DIGITS "/.,:&()_ +-"},
        [APPMENUS_WM_CLASS] = {"StartupWMClass", LETTERS_DIGITS "/_.-"},
        [APPMENUS_ICON] = {"Icon", LETTERS_DIGITS "/_.-"},
        [APPMENUS_CATEGORIES] = {"Categories", LETTERS_DIGITS "/.;:'() -"},
        [APPMENUS_EXEC] = {"Exec", LETTERS_DIGITS "()_&>/{}:.= -"},
};

const char *appmenus_key_name(enum appmenus_key key)
{
	return keys[key].name;
}

static bool is_in(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool is_app_char(char c)
{
	return is_in(c, LETTERS_DIGITS "._-");
}

bool appmenus_value_legal(enum appmenus_key key, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_in(value[i], keys[key].set))
			return false;
	}
	return true;
}

/* Blanks as the original's language has them: those of Unicode, and four control characters. */
static bool is_blank(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Bytes of the blank that a text begins with; 0: it begins with none. */
static size_t blank_len(const char *text, size_t len)
{
	uint32_t c;
	size_t n = utf8_decode((const unsigned char *)text, len, &c);

	return n > 0 && is_blank(c) ? n : 0;
}

static void skip_blanks(const char **text, size_t *len)
{
	size_t n;

	while (*len > 0 && (n = blank_len(*text, *len)) > 0) {
		*text += n;
		*len -= n;
	}
}

static void trim(const char **text, size_t *len)
{
	skip_blanks(text, len);
	while (*len > 0) {
		size_t back = 1;

		while (back < *len && back < 4 && ((*text)[*len - back] & 0xc0) == 0x80)
			back++;
		if (blank_len(*text + *len - back, back) != back)
			return;
		*len -= back;
	}
}

enum appmenus_next appmenus_next_line(struct appmenus_text *text, const char **ret_line,
                                      size_t *ret_len)
{
	size_t start = text->at;
	uint32_t c = 0;

	if (text->at == text->len)
		return APPMENUS_END;
	for (int n = 0; n < APPMENUS_LINE_MAX && text->at < text->len; n++) {
		size_t len = utf8_decode((const unsigned char *)text->data + text->at,
		                         text->len - text->at, &c);

		if (len == 0)
			return APPMENUS_NOT_UTF8;
		text->at += len;
		if (c == '\r' && text->at < text->len && text->data[text->at] == '\n')
			text->at++;
		if (c == '\r' || c == '\n')
			break;
	}
	text->n_lines++;
	if (text->n_lines == APPMENUS_LINES_MAX)
		return APPMENUS_TOO_MANY;
	*ret_line = text->data + start;
	*ret_len = text->at - start;
	return APPMENUS_LINE;
}

/* "FILE.desktop:" with nothing or a comment behind it; any character may stand for the dot. */
static bool is_comment(const char *line, size_t len)
{
	static const char word[] = "desktop:";
	const size_t word_len = sizeof(word) - 1;

	for (size_t i = 2; i + word_len <= len; i++) {
		size_t end = i + word_len;
		size_t back = 1;

		if (memcmp(line + i, word, word_len) != 0)
			continue;
		while (back < i && (line[i - back] & 0xc0) == 0x80)
			back++;
		if (back < i && is_app_char(line[i - back - 1]) && (end == len || line[end] == '#'))
			return true;
	}
	return false;
}

/* KEY or KEY[LOCALE] behind the colon, then '=': the bytes up to the value; 0: not of the form. */
static size_t match_key(const char *text, size_t len, size_t *ret_key_len)
{
	const char *at = text;
	size_t left = len;

	while (left > 0 && is_in(*at, LETTERS_DIGITS "-")) {
		at++;
		left--;
	}
	if (at == text)
		return 0;
	if (left > 0 && *at == '[') {
		size_t n = 1;

		while (n < left && (is_in(at[n], "@_") || (at[n] >= 'a' && at[n] <= 'z') ||
		                    (at[n] >= 'A' && at[n] <= 'Z')))
			n++;
		if (n == 1 || n == left || at[n] != ']')
			return 0;
		at += n + 1;
		left -= n + 1;
	}
	*ret_key_len = (size_t)(at - text);
	skip_blanks(&at, &left);
	if (left == 0 || *at != '=')
		return 0;
	return (size_t)(at + 1 - text);
}

struct match {
	const char *app;
	size_t app_len;
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

/* The first colon before which there is a name and behind which there is a key and '='. */
static bool search(const char *line, size_t len, struct match *out)
{
	size_t run = 0; /* characters of a name directly before i */

	for (size_t i = 0; i < len; i++) {
		size_t n;

		if (line[i] != ':' || run == 0) {
			run = is_app_char(line[i]) ? run + 1 : 0;
			continue;
		}
		n = match_key(line + i + 1, len - i - 1, &out->key_len);
		if (n > 0) {
			out->app = line + i - run;
			out->app_len = run;
			if (run > SUFFIX_LEN &&
			    memcmp(line + i - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) == 0)
				out->app_len -= SUFFIX_LEN;
			out->key = line + i + 1;
			out->value = line + i + 1 + n;
			out->value_len = len - i - 1 - n;
			trim(&out->value, &out->value_len);
			return true;
		}
		run = 0;
	}
	return false;
}

/* Known categories, each with ';' behind it; a lone ';' if there is none. */
static void keep_categories(const char *text, size_t len, char *dst)
{
	size_t n = 0;

	while (len > 0) {
		const char *end = memchr(text, ';', len);
		const char *name = text;
		size_t name_len = end ? (size_t)(end - text) : len;
		size_t taken = name_len + (end != NULL);

		trim(&name, &name_len);
		if (appmenus_category_known(name, name_len)) {
			memcpy(dst + n, name, name_len);
			n += name_len;
			dst[n++] = ';';
		}
		text += taken;
		len -= taken;
	}
	if (n == 0)
		dst[n++] = ';';
	dst[n] = '\0';
}

enum appmenus_result appmenus_parse_line(const char *line, size_t len, struct appmenus_value *out)
{
	struct match m;
	int key = 0;

	trim(&line, &len);
	if (len == 0 || len > APPMENUS_LINE_ROOM || is_comment(line, len) || !search(line, len, &m))
		return APPMENUS_NOTHING;
	while (key < APPMENUS_KEY_MAX && (strlen(keys[key].name) != m.key_len ||
	                                  memcmp(keys[key].name, m.key, m.key_len) != 0))
		key++;
	if (key == APPMENUS_KEY_MAX)
		return APPMENUS_NOTHING;
	out->key = (enum appmenus_key)key;
	memcpy(out->app, m.app, m.app_len);
	out->app[m.app_len] = '\0';
	out->value[0] = '\0';
	if (!appmenus_value_legal(out->key, m.value, m.value_len))
		return APPMENUS_BAD;
	if (out->key == APPMENUS_CATEGORIES) {
		keep_categories(m.value, m.value_len, out->value);
		return APPMENUS_VALUE;
	}
	memcpy(out->value, m.value, m.value_len);
	out->value[m.value_len] = '\0';
	return APPMENUS_VALUE;
}

static void put(struct wire_writer *w, const char *text)
{
	wire_put_bytes(w, text, strlen(text));
}

/* LABEL, the value, a newline; nothing if there is no value. */
static void put_line(struct wire_writer *w, const char *label, const char *value)
{
	if (!value)
		return;
	put(w, label);
	put(w, value);
	put(w, "\n");
}

/* The value holds no quote, so single quotes hold it. */
static void put_commands(struct wire_writer *w, const struct appmenus_app *app, bool legacy)
{
	static const char *const labels[2] = {"Exec=qvm-run -q -a ",
	                                      "X-Qubes-DispvmExec=qvm-run -q -a "};

	for (int i = 0; i < 2; i++) {
		put(w, labels[i]);
		put(w, legacy ? "" : "--service ");
		if (legacy)
			put(w, i ? "--dispvm=%VMNAME% -- '" : "%VMNAME% -- '");
		else
			put(w, i ? "--dispvm=%VMNAME% -- qubes.StartApp+"
			         : "-- %VMNAME% qubes.StartApp+");
		put(w, legacy ? app->values[APPMENUS_EXEC] : app->name);
		put(w, legacy ? "'\n" : "\n");
	}
}

bool appmenus_template(struct wire_writer *w, const struct appmenus_app *app, bool legacy)
{
	const char *const *v = app->values;

	if (!v[APPMENUS_NAME] || (legacy && !v[APPMENUS_EXEC]))
		return false;
	put(w, "[Desktop Entry]\nVersion=1.0\nType=Application\nTerminal=false\n"
	       "X-Qubes-VmName=%VMNAME%\n");
	put_line(w, "X-Qubes-AppName=", app->name);
	if (v[APPMENUS_ICON]) {
		put(w, "Icon=%VMDIR%/apps.icons/");
		put(w, app->name);
		put(w, ".png\n");
	} else {
		put(w, "Icon=%XDGICON%\n");
	}
	put_line(w, "Name=%VMNAME%: ", v[APPMENUS_NAME]);
	put_line(w, "GenericName=%VMNAME%: ", v[APPMENUS_GENERIC_NAME]);
	put_line(w, "StartupWMClass=%VMNAME%:", v[APPMENUS_WM_CLASS]);
	put_line(w, "Comment=", v[APPMENUS_COMMENT]);
	put(w, "Categories=");
	put(w, v[APPMENUS_CATEGORIES] ? v[APPMENUS_CATEGORIES] : "");
	put(w, "X-Qubes-VM;\n");
	put_commands(w, app, legacy);
	return true;
}
