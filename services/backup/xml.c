/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/backup/xml.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct level {
	char name[XML_NAME_LEN];
	char text[XML_VALUE_LEN];
	size_t text_len;
};

struct state {
	const char *at, *end;
	const struct xml_reader *r;
	struct xml_element e;
	char values[XML_ATTRS_MAX][XML_VALUE_LEN];
	struct level levels[XML_DEPTH_MAX];
	size_t depth;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

static void skip_blanks(struct state *s)
{
	while (s->at < s->end && blank(*s->at))
		s->at++;
}

static bool take(struct state *s, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

static int take_name(struct state *s, char out[XML_NAME_LEN])
{
	size_t n = 0;

	while (s->at < s->end && name_char(*s->at)) {
		if (n + 1 >= XML_NAME_LEN)
			return -1;
		out[n++] = *s->at++;
	}
	out[n] = '\0';
	return n > 0 && out[0] != '-' && out[0] != '.' ? 0 : -1;
}

static size_t put_utf8(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static bool legal_char(uint32_t c)
{
	return (c >= 0x20 && c < 0xd800 && c != 0x7f) || (c >= 0xe000 && c <= 0x10ffff) ||
	       c == '\t' || c == '\n' || c == '\r';
}

/* &#65; and &#x41;, the & taken already. */
static int take_number(struct state *s, uint32_t *ret)
{
	bool hex = take(s, "x");
	uint32_t c = 0;
	int digits = 0;

	for (; s->at < s->end && *s->at != ';'; s->at++, digits++) {
		char d = *s->at;
		uint32_t v = d >= '0' && d <= '9'          ? (uint32_t)(d - '0')
		             : hex && d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
		             : hex && d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
		                                           : 99;

		if (v == 99 || digits > 7)
			return -1;
		c = c * (hex ? 16 : 10) + v;
	}
	*ret = c;
	return digits > 0 && take(s, ";") && legal_char(c) ? 0 : -1;
}

static int take_entity(struct state *s, char out[4], size_t *ret_n)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
	uint32_t c;

	if (take(s, "#")) {
		if (take_number(s, &c))
			return -1;
		*ret_n = put_utf8(c, out);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (take(s, known[i].name)) {
			out[0] = known[i].c;
			*ret_n = 1;
			return 0;
		}
	}
	return -1;
}

/* One character as it stands, well-formed UTF-8 only. */
static int take_raw(struct state *s, char out[4], size_t *ret_n)
{
	unsigned char first = (unsigned char)*s->at;
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? first : first & (0xffU >> (n + 1));
	char again[4];

	if ((size_t)(s->end - s->at) < n || (first >= 0x80 && first < 0xc2) || first > 0xf4)
		return -1;
	for (size_t i = 1; i < n; i++) {
		if ((s->at[i] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (uint32_t)(s->at[i] & 0x3f);
	}
	if (!legal_char(c) || put_utf8(c, again) != n)
		return -1;
	memcpy(out, s->at, n);
	s->at += n;
	*ret_n = n;
	return 0;
}

/* Text up to a stop, which is not taken. */
static int take_text(struct state *s, char stop, char *out, size_t max, size_t *len)
{
	while (s->at < s->end && *s->at != stop) {
		char c[4];
		size_t n;

		if (*s->at == '<')
			return -1;
		if (take(s, "&") ? take_entity(s, c, &n) : take_raw(s, c, &n))
			return -1;
		if (*len + n >= max)
			return -1;
		memcpy(out + *len, c, n);
		*len += n;
	}
	out[*len] = '\0';
	return 0;
}

static int take_attribute(struct state *s)
{
	struct xml_attr *a = &s->e.attrs[s->e.n_attrs];
	size_t len = 0;
	char quote;

	if (s->e.n_attrs == XML_ATTRS_MAX || take_name(s, a->name) || !take(s, "="))
		return -1;
	if (s->at >= s->end || (*s->at != '"' && *s->at != '\''))
		return -1;
	quote = *s->at++;
	a->value = s->values[s->e.n_attrs];
	if (take_text(s, quote, a->value, XML_VALUE_LEN, &len) || s->at >= s->end)
		return -1;
	s->at++;
	for (size_t i = 0; i < s->e.n_attrs; i++) {
		if (strcmp(s->e.attrs[i].name, a->name) == 0)
			return -1;
	}
	s->e.n_attrs++;
	return 0;
}

static int finish(struct state *s)
{
	struct level *l = &s->levels[--s->depth];

	l->text[l->text_len] = '\0';
	return s->r->end ? s->r->end(s->r->arg, l->name, l->text) : 0;
}

static int take_start(struct state *s)
{
	struct level *l;
	int r;

	s->e.n_attrs = 0;
	if (s->depth == XML_DEPTH_MAX || take_name(s, s->e.name))
		return -1;
	for (;;) {
		bool gap = s->at < s->end && blank(*s->at);

		skip_blanks(s);
		if (s->at < s->end && (*s->at == '>' || *s->at == '/'))
			break;
		if (!gap || take_attribute(s))
			return -1;
	}
	l = &s->levels[s->depth++];
	memcpy(l->name, s->e.name, sizeof(l->name));
	l->text_len = 0;
	r = s->r->begin ? s->r->begin(s->r->arg, &s->e) : 0;
	if (r)
		return r;
	if (take(s, "/>"))
		return finish(s);
	return take(s, ">") ? 0 : -1;
}

static int take_stop(struct state *s)
{
	char name[XML_NAME_LEN];

	if (take_name(s, name))
		return -1;
	skip_blanks(s);
	if (!take(s, ">") || s->depth == 0 || strcmp(name, s->levels[s->depth - 1].name) != 0)
		return -1;
	return finish(s);
}

static int take_comment(struct state *s)
{
	while (s->at < s->end) {
		if (take(s, "-->"))
			return 0;
		s->at++;
	}
	return -1;
}

static int document(struct state *s)
{
	bool any = false;
	int r = 0;

	if (take(s, "<?xml")) {
		while (s->at < s->end && *s->at != '>')
			s->at++;
		if (!take(s, ">"))
			return -1;
	}
	while (r == 0 && s->at < s->end) {
		struct level *l = s->depth ? &s->levels[s->depth - 1] : NULL;

		if (take(s, "<!--")) {
			r = take_comment(s);
		} else if (take(s, "</")) {
			r = take_stop(s);
		} else if (take(s, "<")) {
			if (s->depth == 0 && any)
				return -1;
			any = true;
			r = take_start(s);
		} else if (l) {
			r = take_text(s, '<', l->text, sizeof(l->text), &l->text_len);
		} else if (blank(*s->at)) {
			s->at++;
		} else {
			return -1;
		}
	}
	return r ? r : any && s->depth == 0 ? 0 : -1;
}

int xml_read(const char *data, size_t len, const struct xml_reader *r)
{
	struct state *s = len <= XML_SIZE_MAX ? calloc(1, sizeof(*s)) : NULL;
	int result;

	if (!s)
		return -1;
	s->at = data;
	s->end = data + len;
	s->r = r;
	result = document(s);
	free(s);
	return result;
}

const char *xml_attr(const struct xml_element *e, const char *name)
{
	for (size_t i = 0; i < e->n_attrs; i++) {
		if (strcmp(e->attrs[i].name, name) == 0)
			return e->attrs[i].value;
	}
	return NULL;
}
