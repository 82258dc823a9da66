/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "lib/base/fd.h"
#include "lib/untrusted/text.h"
#include "services/policy/text.h"
#include "tools/policy.h"

/*
 * A fault as a person or a program reads it. Names and lines come from files, so nothing of them
 * reaches a terminal that it would obey, and JSON is always UTF-8.
 */

#define LINE_MAX_SHOWN 500U /* bytes; a longer line is only named */

/* As untrusted_text_clean(), but in place and of so many bytes; a character stays one, so columns stay. */
static size_t clean(char *text, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		uint32_t code;
		size_t n = utf8_decode((const unsigned char *)text + i, len - i, &code);

		if (n == 0 || !untrusted_char_shown(code)) {
			text[out++] = text[i] == '\t' ? ' ' : '_';
		} else {
			memmove(text + out, text + i, n);
			out += n;
		}
		i += n ? n : 1;
	}
	return out;
}

char *tool_clean(char *text)
{
	text[clean(text, strlen(text))] = '\0';
	return text;
}

/* Columns that n characters from p take on a terminal; *ret_bytes: how many bytes they are. */
static int width(const char *p, const char *end, uint32_t n, size_t *ret_bytes)
{
	const char *start = p;
	mbstate_t state = {0};
	int columns = 0;

	for (; n > 0 && p < end; n--) {
		uint32_t code;
		size_t n_bytes = utf8_decode((const unsigned char *)p, (size_t)(end - p), &code);
		size_t len = MAX(n_bytes, 1U);
		wchar_t c = 0;
		int w = 1;

		if (mbrtowc(&c, p, len, &state) == len)
			w = wcwidth(c);
		columns += w < 0 ? 1 : w;
		p += len;
	}
	*ret_bytes = (size_t)(p - start);
	return columns;
}

/* The file that was shown last: many warnings are about one. */
static struct {
	char path[PATH_MAX];
	char *data;
	size_t len;
} shown;

static bool find_line(const struct policy_fault *fault, struct slice *ret_line)
{
	struct text_lines lines;

	if (!shown.data || strcmp(shown.path, fault->file) != 0) {
		OWNED_FD int fd = open(fault->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		free(shown.data);
		shown.data = NULL;
		if (fd < 0 || fd_read_to_end(fd, 4096, POLICY_FILE_MAX, &shown.data, &shown.len))
			return false;
		memcpy(shown.path, fault->file, strlen(fault->file) + 1);
	}
	lines = (struct text_lines){.p = shown.data, .end = shown.data + shown.len};
	while (text_line(&lines, ret_line)) {
		if (lines.line == fault->line)
			return true;
	}
	return false;
}

void tool_forget_lines(void)
{
	free(shown.data);
	shown.data = NULL;
}

void tool_locate(struct policy_fault *fault, const char *text, size_t len)
{
	struct slice rest, word;
	struct slice line;

	if (!find_line(fault, &line))
		return;
	rest = line;
	while (text_word(&rest, &word)) {
		/* The word itself, or the value of a parameter. */
		if (word.len < len || memcmp(word.p + word.len - len, text, len) != 0 ||
		    (word.len > len && word.p[word.len - len - 1] != '='))
			continue;
		fault->column = text_columns(line.p, (size_t)(word.p - line.p)) + 1;
		fault->length = text_columns(word.p, word.len);
		return;
	}
}

static void show_line(const struct policy_fault *fault)
{
	char text[LINE_MAX_SHOWN];
	struct slice line;
	size_t at, bytes;
	size_t len;
	int n;

	if (!find_line(fault, &line) || line.len > sizeof(text))
		return;
	memcpy(text, line.p, line.len);
	len = clean(text, line.len);
	fprintf(stderr, "  %.*s\n", (int)len, text);
	if (!fault->column)
		return;
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	n = width(text, text + len, fault->column - 1, &at);
	fprintf(stderr, "  %*s^", n, "");
	n = width(text + at, text + len, fault->length, &bytes);
	while (n-- > 1)
		(void)fputc('~', stderr);
	fprintf(stderr, "\n");
}

void tool_json_text(struct json_object *object, const char *key, const char *text)
{
	char *copy = strdup(text);

	(void)json_object_object_add(object, key,
	                             json_object_new_string(copy ? tool_clean(copy) : ""));
	free(copy);
}

void tool_json_print(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(
	                       object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void show_json(const struct policy_fault *fault, const char *level)
{
	struct json_object *out = json_object_new_object();

	tool_json_text(out, "level", level);
	tool_json_text(out, "kind", fault_kind_name(fault->kind));
	tool_json_text(out, "code", fault_code_name(fault->code));
	tool_json_text(out, "file", fault->file);
	(void)json_object_object_add(out, "line", json_object_new_int64(fault->line));
	(void)json_object_object_add(out, "column", json_object_new_int64(fault->column));
	(void)json_object_object_add(out, "length", json_object_new_int64(fault->length));
	tool_json_text(out, "text", fault->text);
	tool_json_print(out);
}

void tool_show_fault(const struct policy_tool *tool, const struct policy_fault *fault,
                     const char *level)
{
	enum skerry_style style = strcmp(level, "error") == 0 ? STYLE_BAD : STYLE_WARN;
	/* The options speak of stdout; this goes to stderr. */
	struct skerry_options options = {.colour = tool->options->colour && isatty(STDERR_FILENO)};
	struct policy_fault copy = *fault;

	if (tool->options->json) {
		show_json(fault, level);
		return;
	}
	(void)tool_clean(copy.file);
	(void)tool_clean(copy.text);
	fprintf(stderr, "%s", copy.file);
	if (fault->line)
		fprintf(stderr, ":%u", fault->line);
	if (fault->column)
		fprintf(stderr, ":%u", fault->column);
	fprintf(stderr, "%s%s%s:%s %s\n", copy.file[0] ? ": " : "", skerry_style(&options, style),
	        level, skerry_style(&options, STYLE_PLAIN), copy.text);
	if (fault->line)
		show_line(fault);
}
