/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels: admin.label.*. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/methods.h"
#include "services/admin/property.h"

#define LABEL_SET    SET_LETTERS SET_DIGITS "-_."
#define BUILT_IN_MAX 8U

bool label_name_check(const char *name, struct fault *f)
{
	if (name[0] && request_safe(name, SET_DIGITS))
		return fault_set(f, E_LABEL, "Label must not be a digit");
	if (!name[0] || !request_safe(name, LABEL_SET) || strlen(name) > 63)
		return fault_set(f, E_LABEL, "Label must be in safe set: " LABEL_SET);
	return true;
}

static struct label *named(struct call *c, bool or_index)
{
	struct label *l = label_by_name(c->arg);

	if (!l && or_index && request_safe(c->arg, SET_DIGITS) && strlen(c->arg) < 9)
		l = label_by_index((uint32_t)strtoul(c->arg, NULL, 10));
	if (!l)
		call_refuse(c, E_LABEL_NOT_FOUND, "Label does not exist: %s", c->arg);
	return l;
}

void method_label_list(struct call *c)
{
	size_t i;

	for (i = 0; i < world.n_labels; i++)
		text_printf(&c->reply, "%s\n", world.labels[i]->name);
}

void method_label_get(struct call *c)
{
	struct label *l = named(c, true);

	if (l)
		text_printf(&c->reply, "0x%06x", l->colour);
}

void method_label_index(struct call *c)
{
	struct label *l = named(c, false);

	if (l)
		text_printf(&c->reply, "%" PRIu32, l->index);
}

/* 0xRRGGBB with white space around. */
static bool parse_colour(struct call *c, uint32_t *ret)
{
	const char *s = c->payload, *end = s + c->payload_len;
	struct fault *f = &c->fault;
	size_t i;

	for (i = 0; i < c->payload_len; i++)
		if ((unsigned char)s[i] >= 0x80)
			return fault_set(f, E_LABEL_VALUE, "Label value must be ASCII");
	while (s < end && isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	if (end - s != 8)
		return fault_set(f, E_LABEL_VALUE, "Label value must have length of 8");
	if (strncmp(s, "0x", 2) != 0)
		return fault_set(f, E_LABEL_VALUE, "Label value must start with 0x");
	for (i = 2; i < 8; i++)
		if (!isxdigit((unsigned char)s[i]))
			return fault_set(f, E_LABEL_VALUE,
			                 "Label value must only contain hexadecimal digits after "
			                 "prefix: 0123456789abcdefABCDEF");
	*ret = (uint32_t)strtoul(s + 2, NULL, 16);
	return true;
}

void method_label_create(struct call *c)
{
	uint32_t colour = 0, index = BUILT_IN_MAX;
	char value[32];
	size_t i;

	if (!label_name_check(c->arg, &c->fault) || !parse_colour(c, &colour))
		return;
	if (label_by_name(c->arg)) {
		call_refuse(c, E_LABEL_IN_USE, "Label is still in use: '%s'", c->arg);
		return;
	}
	if (world.n_labels >= LABELS_MAX) {
		call_refuse(c, E_VALUE, "There are as many labels as there may be");
		return;
	}
	for (i = 0; i < world.n_labels; i++)
		index = MAX(index, world.labels[i]->index);
	snprintf(value, sizeof(value), "%" PRIu32 " 0x%06" PRIx32, index + 1, colour);
	row_set(ROW_LABEL, world.system, c->arg, value);
}

void method_label_remove(struct call *c)
{
	struct label *l = named(c, false);
	size_t i;

	if (!l)
		return;
	if (l->index <= BUILT_IN_MAX) {
		call_refuse(c, E_PROTOCOL, "Can only remove custom labels");
		return;
	}
	for (i = 0; i < world.n_qubes; i++)
		if (text_equal(world.qubes[i]->values[PROP_LABEL], c->arg)) {
			call_refuse(c, E_LABEL_IN_USE, "Label is still in use: '%s'", c->arg);
			return;
		}
	row_set(ROW_LABEL, world.system, c->arg, NULL);
}
