/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles of backups. Contract: profile.h. */
#include "services/backup/profile.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum key {
	INCLUDE,
	EXCLUDE,
	DESTINATION_VM,
	DESTINATION_PATH,
	COMPRESSION,
	PASSPHRASE_TEXT,
	PASSPHRASE_VM,
	KEYS
};

static const char *const key_names[KEYS] = {
        [INCLUDE] = "include",
        [EXCLUDE] = "exclude",
        [DESTINATION_VM] = "destination_vm",
        [DESTINATION_PATH] = "destination_path",
        [COMPRESSION] = "compression",
        [PASSPHRASE_TEXT] = "passphrase_text",
        [PASSPHRASE_VM] = "passphrase_vm",
};

struct reading {
	const char *at, *end;
	char *store; /* every text is shorter than what it was read from, with what ends it */
	unsigned int line;
	char *why;
};

static int wrong(struct reading *r, const char *what)
{
	(void)snprintf(r->why, PROFILE_WHY_LEN, "Invalid backup profile - line %u: %s", r->line,
	               what);
	return -1;
}

/* The byte at an offset; '\n' behind the end, so that the last line needs none. */
static char look(const struct reading *r, size_t offset)
{
	return offset < (size_t)(r->end - r->at) ? r->at[offset] : '\n';
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct reading *r)
{
	while (blank(look(r, 0)))
		r->at++;
}

static void skip_line(struct reading *r)
{
	while (look(r, 0) != '\n')
		r->at++;
}

/* White space, ends of lines, comments. */
static void skip_space(struct reading *r)
{
	while (r->at < r->end) {
		skip_blanks(r);
		if (look(r, 0) == '#')
			skip_line(r);
		if (r->at == r->end || *r->at != '\n')
			return;
		r->line++;
		r->at++;
	}
}

/* Nothing but a comment may follow on this line. */
static int end_line(struct reading *r)
{
	skip_blanks(r);
	if (look(r, 0) == '#')
		skip_line(r);
	return look(r, 0) == '\n' ? 0 : wrong(r, "there is something behind the value");
}

static const char *finish_text(struct reading *r, char *begin)
{
	*r->store++ = '\0';
	return begin;
}

static int take_quoted(struct reading *r, const char **ret)
{
	char quote = *r->at++, *begin = r->store;

	for (;; r->at++) {
		char c = look(r, 0);

		if (c == '\n')
			return wrong(r, "a quote is not closed");
		if (c == quote && !(quote == '\'' && look(r, 1) == '\''))
			break;
		if (c == quote || (c == '\\' && quote == '"')) {
			r->at++;
			if (c == '\\' && look(r, 0) != '"' && look(r, 0) != '\\')
				return wrong(r, "of the escapes only \\\" and \\\\ are known here");
			c = look(r, 0);
		}
		*r->store++ = c;
	}
	r->at++;
	*ret = finish_text(r, begin);
	return 0;
}

/* Up to the end of the line, or of an item of a list in brackets. */
static int take_plain(struct reading *r, bool in_list, const char **ret)
{
	char *begin = r->store;

	if (strchr("&*!|>%{}[],", look(r, 0)) || (look(r, 0) == '-' && blank(look(r, 1))))
		return wrong(r, "this value needs quotes, or is none that a profile can have");
	for (; look(r, 0) != '\n'; r->at++) {
		char c = look(r, 0);

		if (in_list && (c == ',' || c == ']'))
			break;
		if (c == '#' && r->store > begin && blank(r->store[-1]))
			break;
		if (c == ':' && (blank(look(r, 1)) || look(r, 1) == '\n'))
			return wrong(r, "a value with a colon in it needs quotes");
		*r->store++ = c;
	}
	while (r->store > begin && blank(r->store[-1]))
		r->store--;
	*ret = finish_text(r, begin);
	return 0;
}

static int take_text(struct reading *r, bool in_list, const char **ret)
{
	char c = look(r, 0);

	return c == '\'' || c == '"' ? take_quoted(r, ret) : take_plain(r, in_list, ret);
}

static int add(struct reading *r, const char **list, size_t *n, bool in_list)
{
	if (*n == BACKUP_NAMES_MAX)
		return wrong(r, "a list is too long");
	if (take_text(r, in_list, &list[*n]))
		return -1;
	if (!list[*n][0])
		return wrong(r, "an empty name");
	(*n)++;
	return 0;
}

/* Behind the "[". */
static int take_brackets(struct reading *r, const char **list, size_t *n)
{
	for (;;) {
		skip_space(r);
		if (look(r, 0) == ']')
			break;
		if (r->at == r->end)
			return wrong(r, "a list is not closed");
		if (add(r, list, n, true))
			return -1;
		skip_space(r);
		if (look(r, 0) == ',')
			r->at++;
		else if (look(r, 0) != ']')
			return wrong(r, "\",\" or \"]\" is expected");
	}
	r->at++;
	return end_line(r);
}

/* Lines "- NAME", however far they are moved to the right. */
static int take_lines(struct reading *r, const char **list, size_t *n)
{
	for (;;) {
		skip_space(r);
		if (look(r, 0) != '-' || !blank(look(r, 1)))
			return 0;
		r->at++;
		skip_blanks(r);
		if (look(r, 0) == '\n')
			return wrong(r, "an empty name");
		if (add(r, list, n, false) || end_line(r))
			return -1;
	}
}

static int take_list(struct reading *r, const char **list, size_t *n)
{
	skip_blanks(r);
	if (look(r, 0) == '[') {
		r->at++;
		return take_brackets(r, list, n);
	}
	return end_line(r) ? wrong(r, "a list is expected") : take_lines(r, list, n);
}

static int take_value(struct reading *r, const char **ret)
{
	skip_blanks(r);
	*ret = "";
	if (look(r, 0) == '\n' || look(r, 0) == '#')
		return end_line(r);
	if (take_text(r, false, ret) || end_line(r))
		return -1;
	if (strcmp(*ret, "~") == 0 || strcasecmp(*ret, "null") == 0)
		*ret = "";
	return 0;
}

static int take_compression(struct reading *r, bool *ret)
{
	static const struct {
		const char *word;
		bool is;
	} words[] = {{"true", true}, {"yes", true},  {"on", true},    {"gzip", true},
	             {"no", false},  {"off", false}, {"false", false}};
	const char *text;

	if (take_value(r, &text))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*ret = words[i].is;
			return 0;
		}
	}
	/* A program that a file names is not run. */
	return wrong(r, "compression is True, False or gzip");
}

static int take_key(struct reading *r, enum key *ret)
{
	const char *begin = r->at;
	size_t len;

	while ((look(r, 0) >= 'a' && look(r, 0) <= 'z') || look(r, 0) == '_')
		r->at++;
	len = (size_t)(r->at - begin);
	if (look(r, 0) != ':' || (!blank(look(r, 1)) && look(r, 1) != '\n'))
		return wrong(r, "KEY: VALUE is expected, the key at the start of the line");
	r->at++;
	for (int key = 0; key < KEYS; key++) {
		if (strlen(key_names[key]) == len && memcmp(key_names[key], begin, len) == 0) {
			*ret = (enum key)key;
			return 0;
		}
	}
	return wrong(r, "profiles have no such key");
}

static int take_pair(struct reading *r, struct backup_profile *out, unsigned int *seen)
{
	enum key key;

	if (take_key(r, &key))
		return -1;
	if (*seen & 1U << key)
		return wrong(r, "this key was there before");
	*seen |= 1U << key;
	switch (key) {
	case INCLUDE:
		return take_list(r, out->include, &out->n_include);
	case EXCLUDE:
		return take_list(r, out->exclude, &out->n_exclude);
	case COMPRESSION:
		return take_compression(r, &out->compressed);
	case DESTINATION_VM:
		return take_value(r, &out->destination_vm);
	case DESTINATION_PATH:
		return take_value(r, &out->destination_path);
	case PASSPHRASE_TEXT:
		return take_value(r, &out->passphrase_text);
	case PASSPHRASE_VM:
		return take_value(r, &out->passphrase_vm);
	case KEYS:
		break;
	}
	return -1;
}

static int check_whole(struct reading *r, const struct backup_profile *out, unsigned int seen)
{
	static const enum key needed[] = {INCLUDE, DESTINATION_VM, DESTINATION_PATH};
	const char *const values[KEYS] = {
	        [DESTINATION_VM] = out->destination_vm, [DESTINATION_PATH] = out->destination_path};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if ((seen & 1U << needed[i]) && (!values[needed[i]] || values[needed[i]][0]))
			continue;
		(void)snprintf(r->why, PROFILE_WHY_LEN, "Invalid backup profile - missing '%s'",
		               key_names[needed[i]]);
		return -1;
	}
	return 0;
}

static int check_bytes(struct reading *r)
{
	if (r->end - r->at > (ptrdiff_t)PROFILE_SIZE_MAX)
		return wrong(r, "it is too long");
	for (const char *p = r->at; p < r->end; p++) {
		if (((unsigned char)*p < ' ' && *p != '\n' && *p != '\t' && *p != '\r') ||
		    *p == 0x7f)
			return wrong(r, "it is no text");
	}
	return 0;
}

int backup_profile_parse(const char *text, size_t len, char store[PROFILE_SIZE_MAX + 1],
                         struct backup_profile *out, char ret_why[PROFILE_WHY_LEN])
{
	struct reading r = {
	        .at = text, .end = text + len, .store = store, .line = 1, .why = ret_why};
	unsigned int seen = 0;

	memset(out, 0, sizeof(*out));
	out->destination_vm = out->destination_path = out->passphrase_text = out->passphrase_vm =
	        "";
	out->compressed = true;
	if (check_bytes(&r))
		return -1;
	for (;;) {
		skip_space(&r);
		if (r.at == r.end)
			return check_whole(&r, out, seen);
		if (seen == 0 && r.end - r.at >= 3 && memcmp(r.at, "---", 3) == 0) {
			r.at += 3;
			if (end_line(&r))
				return -1;
			continue;
		}
		if (r.at > text && r.at[-1] != '\n')
			return wrong(&r, "a key that is not at the start of its line");
		if (take_pair(&r, out, &seen))
			return -1;
	}
}
