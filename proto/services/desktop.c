/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/desktop.h"

#include <string.h>

#define ID_MAX 200

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		(*len)--;
}

static bool is_text(const char *text, size_t len, const char *other)
{
	return len == strlen(other) && memcmp(text, other, len) == 0;
}

bool desktop_next(struct desktop_reader *reader, struct desktop_line *ret_line)
{
	while (reader->at < reader->len) {
		const char *line = reader->data + reader->at;
		const char *newline = memchr(line, '\n', reader->len - reader->at);
		size_t len = newline ? (size_t)(newline - line) : reader->len - reader->at;
		const char *equals;

		reader->at += len + (newline != NULL);
		trim(&line, &len);
		if (len == 0 || *line == '#')
			continue;
		if (*line == '[') {
			reader->in_group = is_text(line, len, "[Desktop Entry]");
			continue;
		}
		equals = memchr(line, '=', len);
		if (!reader->in_group || !equals)
			continue;
		*ret_line = (struct desktop_line){
		        .key = line,
		        .key_len = (size_t)(equals - line),
		        .value = equals + 1,
		        .value_len = len - (size_t)(equals - line) - 1,
		};
		trim(&ret_line->key, &ret_line->key_len);
		trim(&ret_line->value, &ret_line->value_len);
		if (ret_line->key_len > 0)
			return true;
	}
	return false;
}

bool desktop_is_key(const struct desktop_line *line, const char *key)
{
	return is_text(line->key, line->key_len, key);
}

/* What is being built: words one after the other, and where the input stands. */
struct words {
	const struct desktop_exec *exec;
	size_t at;
	char *room;
	size_t room_len;
	size_t used;
	char **words;
	int n;
	bool in_word;
	bool bad;
};

static void put(struct words *w, char c)
{
	if (w->used == w->room_len || c == '\0') {
		w->bad = true;
		return;
	}
	w->room[w->used++] = c;
}

static void begin_word(struct words *w)
{
	if (w->in_word)
		return;
	if (w->n == DESKTOP_WORDS_MAX || w->used == w->room_len) {
		w->bad = true;
		return;
	}
	w->words[w->n++] = w->room + w->used;
	w->in_word = true;
}

static void end_word(struct words *w)
{
	if (!w->in_word)
		return;
	if (w->used == w->room_len) {
		w->bad = true;
		return;
	}
	w->room[w->used++] = '\0';
	w->in_word = false;
}

static void put_text(struct words *w, const char *text)
{
	begin_word(w);
	for (; *text && !w->bad; text++)
		put(w, *text);
}

/*
 * The next character of the value: first the escapes of every text (\s \n \t \r \\) are undone, then
 * the grammar of Exec looks at what they stand for. -1: the end.
 */
static int next_char(struct words *w)
{
	static const char from[] = "sntr\\";
	static const char to[] = " \n\t\r\\";
	const char *found;
	char c;

	if (w->at == w->exec->exec_len)
		return -1;
	c = w->exec->exec[w->at++];
	if (c != '\\' || w->at == w->exec->exec_len)
		return (unsigned char)c;
	found = w->exec->exec[w->at] ? strchr(from, w->exec->exec[w->at]) : NULL;
	if (!found)
		return '\\'; /* "\$" within quotes, written without doubling: kept */
	w->at++;
	return (unsigned char)to[found - from];
}

static void quoted(struct words *w)
{
	int c;

	begin_word(w);
	while ((c = next_char(w)) != '"' && !w->bad) {
		if (c == '\\')
			c = next_char(w);
		if (c < 0) {
			w->bad = true;
			return;
		}
		put(w, (char)c);
	}
}

/* Codes for files and URLs stand for nothing here; deprecated ones are removed, as the standard says. */
static void field_code(struct words *w)
{
	int c = next_char(w);

	switch (c) {
	case '%':
		begin_word(w);
		put(w, '%');
		break;
	case 'i':
		if (*w->exec->icon) {
			put_text(w, "--icon");
			end_word(w);
			put_text(w, w->exec->icon);
		}
		break;
	case 'c':
		put_text(w, w->exec->name);
		break;
	case 'k':
		put_text(w, w->exec->path);
		break;
	default:
		if (c < 0 || !strchr("fFuUdDnNvm", c))
			w->bad = true;
	}
}

int desktop_exec_words(const struct desktop_exec *exec, char *room, size_t room_len,
                       char *words[DESKTOP_WORDS_MAX + 1])
{
	struct words w = {.exec = exec, .room = room, .room_len = room_len, .words = words};
	int c;

	while (!w.bad && (c = next_char(&w)) >= 0) {
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			end_word(&w);
		} else if (c == '"') {
			quoted(&w);
		} else if (c == '%') {
			field_code(&w);
		} else {
			begin_word(&w);
			put(&w, (char)c);
		}
	}
	end_word(&w);
	if (w.bad || w.n == 0 || !*words[0])
		return -1;
	words[w.n] = NULL;
	return w.n;
}

bool desktop_id_legal(const char *id)
{
	size_t len =
	        strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-");

	return len > 0 && len <= ID_MAX && id[len] == '\0' && strcmp(id, ".") != 0 &&
	       strcmp(id, "..") != 0;
}
