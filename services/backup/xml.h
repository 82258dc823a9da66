/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_BACKUP_XML_H
#define SERVICES_BACKUP_XML_H

#include <stddef.h>

#include "lib/base/compat.h"

/*
 * The part of XML that a store file has: elements, attributes, text, the five entities and numbers. No
 * document types, no entities of its own, no processing but the first line, no comments inside tags.
 */

#define XML_DEPTH_MAX 16U
#define XML_ATTRS_MAX 16U
#define XML_NAME_LEN  64U
#define XML_VALUE_LEN 65536U      /* a feature is as long as a request; protocol */
#define XML_SIZE_MAX  (32U << 20) /* bytes; chosen: 10,000 qubes have 14 */

struct xml_attr {
	char name[XML_NAME_LEN];
	char *value; /* NUL-terminated */
};

struct xml_element {
	char name[XML_NAME_LEN];
	struct xml_attr attrs[XML_ATTRS_MAX];
	size_t n_attrs;
};

struct xml_reader {
	/* Called in the order of the document; not 0 ends with that. */
	int (*begin)(void *arg, const struct xml_element *e);
	int (*end)(void *arg, const char *name, const char *text); /* text: all directly inside */
	void *arg;
};

/**
 * xml_read() - a whole document
 * Trust:  @data is hostile: bounded depth, sizes and counts; control bytes other than white space and
 *         what is not UTF-8 are refused.
 * Errors: 0; -1: not such a document; else what a callback returned.
 * Test:   tests/unit/services/backup/xml.c; fuzz/backup_xml.c
 */
int xml_read(const char *data, size_t len, const struct xml_reader *r) MUST_CHECK;

/** xml_attr() - a value; NULL: there is no such attribute */
const char *xml_attr(const struct xml_element *e, const char *name);

#endif
