/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/vmexec.h"

#include <stdbool.h>
#include <string.h>

static bool is_literal(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_';
}

/* Capital digits only: one text for each word, so that a policy on arguments cannot be evaded. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t vmexec_words(const char *arg)
{
	size_t n = 1;

	for (; *arg; arg++)
		n += *arg == '+';
	return n;
}

static enum vmexec_result decode_word(const char *in, size_t len, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_literal((unsigned char)in[i]) && in[i] != '-')
			return VMEXEC_E_CHARACTER;
	}
	for (size_t i = 0; i < len; i++) {
		int high;
		int low;

		if (in[i] != '-') {
			out[n++] = in[i];
			continue;
		}
		if (i + 1 < len && in[i + 1] == '-') {
			out[n++] = '-';
			i++;
			continue;
		}
		high = i + 2 < len ? hex_digit(in[i + 1]) : -1;
		low = i + 2 < len ? hex_digit(in[i + 2]) : -1;
		if (high < 0 || low < 0)
			return VMEXEC_E_ESCAPE;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	*ret_len = n;
	return VMEXEC_OK;
}

enum vmexec_result vmexec_decode(const char *arg, char *room, size_t room_len,
                                 struct vmexec_word *words, size_t max, size_t *ret_n)
{
	size_t used = 0;

	*ret_n = 0;
	for (;;) {
		size_t len = strcspn(arg, "+");
		size_t word_len = 0;
		enum vmexec_result r;

		/* A decoded word is never longer than its text. */
		if (*ret_n == max || room_len - used <= len)
			return VMEXEC_E_ROOM;
		r = decode_word(arg, len, room + used, &word_len);
		if (r != VMEXEC_OK)
			return r;
		room[used + word_len] = '\0';
		words[(*ret_n)++] = (struct vmexec_word){.text = room + used, .len = word_len};
		used += word_len + 1;
		if (arg[len] == '\0')
			return VMEXEC_OK;
		arg += len + 1;
	}
}

const char *vmexec_error(enum vmexec_result result)
{
	static const char *const texts[] = {
	        [VMEXEC_OK] = "",
	        [VMEXEC_E_CHARACTER] = "illegal characters found",
	        [VMEXEC_E_ESCAPE] = "'-' can be used only in '-HH' or '--'",
	        [VMEXEC_E_ROOM] = "too long",
	};

	return texts[result];
}

void vmexec_encode(struct wire_writer *w, const void *word, size_t len, bool first)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *in = word;

	if (!first)
		wire_put_u8(w, '+');
	for (size_t i = 0; i < len; i++) {
		if (is_literal(in[i])) {
			wire_put_u8(w, in[i]);
			continue;
		}
		wire_put_u8(w, '-');
		if (in[i] == '-') {
			wire_put_u8(w, '-');
			continue;
		}
		wire_put_u8(w, (uint8_t)hex[in[i] >> 4]);
		wire_put_u8(w, (uint8_t)hex[in[i] & 15]);
	}
}
