/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes of qubes: admin.vm.notes.*. */
#include <string.h>

#include "lib/untrusted/text.h"
#include "services/admin/methods.h"

#define NOTES_MAX 256000U /* bytes; Admin API */

void method_notes_get(struct call *c)
{
	if (c->dest->notes)
		text_puts(&c->reply, c->dest->notes);
}

void method_notes_set(struct call *c)
{
	const unsigned char *p = (const unsigned char *)c->payload;
	AUTO_TEXT clean = {0};
	size_t at = 0;

	if (c->payload_len > NOTES_MAX) {
		call_refuse(c, E_VALUE, "Maximum note size is %u bytes (%zu bytes were given)",
		            NOTES_MAX, c->payload_len);
		return;
	}
	while (at < c->payload_len) {
		uint32_t code = 0;
		size_t n = utf8_decode(p + at, c->payload_len - at, &code);

		if (n == 0) {
			call_refuse(c, E_PROTOCOL,
			            "Unable to sanitise qube notes: invalid UTF-8 at byte %zu", at);
			return;
		}
		if (code == '\t' || code == '\n' || untrusted_char_shown(code))
			text_add(&clean, p + at, n);
		else
			text_char(&clean, '_');
		at += n;
	}
	row_set(ROW_NOTES, c->dest, "", clean.len ? text_get(&clean) : NULL);
}
