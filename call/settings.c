/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file of a service: a subset of TOML, one `key = value` a line. Pure: bytes to a
 * struct. The file is the administrator's, yet it is read on every call and a fault must refuse the
 * service instead of running it with other settings than were meant, so every byte is accounted for.
 * Source: doc/protocol/qrexec.md, 10.3.
 */
#include "call/service.h"

#include <string.h>

#include "lib/base/log.h"

enum value_kind { VALUE_BOOL, VALUE_INTEGER, VALUE_TEXT };

struct value {
	enum value_kind kind;
	bool truth;
	bool is_one; /* integer */
	bool is_bit; /* integer: 0 or 1 */
	const char *text;
	size_t text_len;
};

struct line {
	const char *key;
	size_t key_len; /* 0: nothing on this line */
	struct value value;
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t skip_blanks(const char *p, size_t len, size_t i)
{
	while (i < len && (p[i] == ' ' || p[i] == '\t'))
		i++;
	return i;
}

/* What may follow a value: blanks and a comment. */
static int check_rest(const char *p, size_t len, size_t i)
{
	i = skip_blanks(p, len, i);
	return i == len || p[i] == '#' ? 0 : -1;
}

static int parse_text(const char *p, size_t len, size_t i, struct value *out)
{
	const char *end;

	i++;
	end = memchr(p + i, '\'', len - i);
	if (!end)
		return -1;
	out->kind = VALUE_TEXT;
	out->text = p + i;
	out->text_len = (size_t)(end - out->text);
	for (size_t k = 0; k < out->text_len; k++) {
		unsigned char c = (unsigned char)out->text[k];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return -1;
	}
	/* ''' would begin a text of several lines: not of this subset. */
	return check_rest(p, len, i + out->text_len + 1);
}

static int parse_integer(const char *p, size_t len, size_t i, struct value *out)
{
	size_t start = i;

	while (i < len && is_digit(p[i]))
		i++;
	if (i - start > 18 || (p[start] == '0' && i - start > 1))
		return -1;
	out->kind = VALUE_INTEGER;
	out->is_bit = i - start == 1 && p[start] <= '1';
	out->is_one = out->is_bit && p[start] == '1';
	return check_rest(p, len, i);
}

static int parse_value(const char *p, size_t len, size_t i, struct value *out)
{
	if (i == len)
		return -1;
	if (p[i] == '\'')
		return parse_text(p, len, i, out);
	if (is_digit(p[i]))
		return parse_integer(p, len, i, out);
	out->kind = VALUE_BOOL;
	if (len - i >= 4 && memcmp(p + i, "true", 4) == 0) {
		out->truth = true;
		return check_rest(p, len, i + 4);
	}
	if (len - i >= 5 && memcmp(p + i, "false", 5) == 0)
		return check_rest(p, len, i + 5);
	return -1;
}

static int parse_line(const char *p, size_t len, struct line *out)
{
	size_t i = 0;

	*out = (struct line){0};
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (len == 0 || p[0] == '#')
		return memchr(p, '\0', len) ? -1 : 0;
	if (!is_letter(p[0]) || memchr(p, '\0', len))
		return -1;
	while (i < len &&
	       (is_letter(p[i]) || is_digit(p[i]) || p[i] == '.' || p[i] == '-' || p[i] == '_'))
		i++;
	out->key = p;
	out->key_len = i;
	i = skip_blanks(p, len, i);
	if (i == len || p[i] != '=')
		return -1;
	return parse_value(p, len, skip_blanks(p, len, i + 1), &out->value);
}

static bool key_is(const struct line *line, const char *name)
{
	return line->key_len == strlen(name) && memcmp(line->key, name, line->key_len) == 0;
}

static int take_bool(const struct value *value, bool *out)
{
	if (value->kind != VALUE_BOOL)
		return -1;
	*out = value->truth;
	return 0;
}

static int take_line(const struct line *line, struct service_settings *out)
{
	const struct value *value = &line->value;

	if (key_is(line, "wait-for-session")) {
		if (value->kind == VALUE_INTEGER && value->is_bit)
			out->wait_for_session = value->is_one;
		else
			return take_bool(value, &out->wait_for_session);
		return 0;
	}
	if (key_is(line, "force-user")) {
		if (value->kind != VALUE_TEXT || value->text_len == 0 ||
		    value->text_len >= sizeof(out->force_user))
			return -1;
		memcpy(out->force_user, value->text, value->text_len);
		return 0;
	}
	if (key_is(line, "skip-service-descriptor"))
		return take_bool(value, &out->skip_descriptor);
	if (key_is(line, "exit-on-client-eof"))
		return take_bool(value, &out->exit_on_client_eof);
	if (key_is(line, "exit-on-service-eof"))
		return take_bool(value, &out->exit_on_service_eof);
	LOG("unknown key %.*s in a service configuration is ignored", (int)MIN(line->key_len, 64U),
	    line->key);
	return 0;
}

/* A set of keys would need memory; the files are short, so earlier lines are looked at again. */
static bool seen_before(const char *data, const char *line_start, const struct line *line)
{
	const char *p = data;

	while (p < line_start) {
		const char *end = memchr(p, '\n', (size_t)(line_start - p));
		size_t len = (size_t)(end - p);

		if (len > line->key_len && memcmp(p, line->key, line->key_len) == 0) {
			char c = p[line->key_len];

			if (c == ' ' || c == '\t' || c == '=')
				return true;
		}
		p = end + 1;
	}
	return false;
}

int service_settings_parse(const char *data, size_t len, struct service_settings *out,
                           unsigned int *ret_line)
{
	const char *p = data;
	const char *end = data + len;
	unsigned int number = 0;

	*out = (struct service_settings){0};
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *line_end = newline ? newline : end;
		struct line line;

		*ret_line = ++number;
		if (parse_line(p, (size_t)(line_end - p), &line))
			return -1;
		if (line.key_len > 0 && (seen_before(data, p, &line) || take_line(&line, out)))
			return -1;
		p = newline ? newline + 1 : end;
	}
	*ret_line = number;
	if (out->force_user[0] &&
	    (out->skip_descriptor || out->exit_on_client_eof || out->exit_on_service_eof))
		return -1;
	return 0;
}
