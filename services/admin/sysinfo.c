/* SPDX-License-Identifier: GPL-2.0-or-later */
/* internal.GetSystemInfo: what the policy service must know of the qubes, as JSON. */
#include <stdlib.h>

#include "services/admin/methods.h"
#include "services/admin/property.h"

/* Names, tags and features hold printable ASCII only. */
static void put_string(struct text *out, const char *s)
{
	if (!s) {
		text_puts(out, "null");
		return;
	}
	text_char(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_char(out, '\\');
		if ((unsigned char)*s < 0x20)
			text_printf(out, "\\u%04x", (unsigned char)*s);
		else
			text_char(out, *s);
	}
	text_char(out, '"');
}

static void put_ref(struct text *out, const char *key, const struct qube *q, enum property_id id)
{
	const struct qube *is = property_has(q, id) ? property_qube(q, id) : NULL;

	text_printf(out, "\"%s\": ", key);
	put_string(out, is ? is->name : NULL);
	text_puts(out, ", ");
}

static void put_qube(struct text *out, const struct qube *q)
{
	const struct label *l = label_by_name(q->values[PROP_LABEL] ? q->values[PROP_LABEL] : "");
	const char *rpc = q->klass == CLASS_REMOTE ? q->values[PROP_TRANSPORT_RPC] : NULL;
	size_t i;

	put_string(out, q->name);
	text_puts(out, ": {\"internal\": ");
	put_string(out, feature_get(q, "internal"));
	text_puts(out, ", \"tags\": [");
	for (i = 0; i < q->n_tags; i++) {
		if (i > 0)
			text_puts(out, ", ");
		put_string(out, q->tags[i]);
	}
	text_printf(out, "], \"type\": \"%s\", \"template_for_dispvms\": %s, ",
	            class_name(q->klass),
	            property_bool(q, PROP_TEMPLATE_FOR_DISPVMS) ? "true" : "false");
	put_ref(out, "default_dispvm", q, PROP_DEFAULT_DISPVM);
	text_puts(out, "\"icon\": ");
	text_printf(out, "\"appvm-%s\", \"label\": \"0x%06x\", ", l ? l->name : "black",
	            l ? l->colour : 0U);
	put_ref(out, "guivm", q, PROP_GUIVM);
	put_ref(out, "relayvm", q, PROP_RELAYVM);
	text_puts(out, "\"transport_rpc\": ");
	put_string(out, rpc);
	text_printf(out, ", \"power_state\": \"%s\", \"uuid\": \"%s\"}", state_name(q), q->uuid);
}

void method_system_info(struct call *c)
{
	static struct text cached;
	static uint64_t as_of;
	size_t i;

	if (!cached.data || as_of != world.changes) {
		text_clear(&cached);
		text_puts(&cached, "{\"domains\": {");
		for (i = 0; i < world.n_qubes; i++) {
			if (i > 0)
				text_puts(&cached, ", ");
			put_qube(&cached, world.qubes[i]);
		}
		text_puts(&cached, "}}");
		as_of = world.changes;
	}
	text_add(&c->reply, cached.data, cached.len);
}
