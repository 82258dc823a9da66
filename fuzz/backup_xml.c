/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Store files of backups: begins and ends match, and every text ends. */
#include "services/backup/xml.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int depth;

static int begin(void *arg, const struct xml_element *e)
{
	(void)arg;
	CHECK(++depth <= (int)XML_DEPTH_MAX && e->n_attrs <= XML_ATTRS_MAX &&
	      strlen(e->name) < XML_NAME_LEN);
	for (size_t i = 0; i < e->n_attrs; i++)
		CHECK(strlen(e->attrs[i].value) < XML_VALUE_LEN &&
		      xml_attr(e, e->attrs[i].name) == e->attrs[i].value);
	return 0;
}

static int end(void *arg, const char *name, const char *text)
{
	(void)arg;
	CHECK(--depth >= 0 && name[0] && strlen(text) < XML_VALUE_LEN);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct xml_reader r = {.begin = begin, .end = end};

	depth = 0;
	if (xml_read((const char *)data, len, &r) == 0)
		CHECK(depth == 0);
	return 0;
}
