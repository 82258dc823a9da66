/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_TEMPLATE_H
#define PROTO_SERVICES_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The answer of qubes.TemplateSearch: which templates a repository has, said by a qube that is not trusted.
 * ASCII, records that end in "|" and a newline, eleven fields in each. One record that is wrong makes all of
 * it wrong. Pure. Source: doc/protocol/services.md, TemplateSearch.
 */

#define TEMPLATE_ANSWER_MAX  (1U << 20) /* bytes; protocol */
#define TEMPLATE_PREFIX      "qubes-template-"
#define TEMPLATE_SHORT_MAX   128U /* bytes of name, version, release, repository, license; chosen */
#define TEMPLATE_RECORDS_MAX 4096U /* chosen */

/* Texts that were checked letter by letter are terminated; the others are not shown without an escaper. */
struct template_record {
	char name[TEMPLATE_SHORT_MAX + 1]; /* without TEMPLATE_PREFIX */
	char epoch[TEMPLATE_SHORT_MAX + 1];
	char version[TEMPLATE_SHORT_MAX + 1];
	char release[TEMPLATE_SHORT_MAX + 1];
	char repository[TEMPLATE_SHORT_MAX + 1];
	char built[TEMPLATE_SHORT_MAX + 1]; /* "YYYY-M-D H:M" or seconds */
	char license[TEMPLATE_SHORT_MAX + 1];
	uint64_t size;             /* bytes of the package */
	const char *untrusted_url; /* borrowed from the answer, with their lengths */
	size_t url_len;
	const char *untrusted_summary;
	size_t summary_len;
	const char *untrusted_description;
	size_t description_len;
};

enum template_result {
	TEMPLATE_OK,
	TEMPLATE_END,
	TEMPLATE_E_TEXT,   /* a byte that is not ASCII */
	TEMPLATE_E_FIELDS, /* not eleven */
	TEMPLATE_E_NAME,
	TEMPLATE_E_VERSION, /* epoch, version or release */
	TEMPLATE_E_REPOSITORY,
	TEMPLATE_E_SIZE,
	TEMPLATE_E_BUILT,
	TEMPLATE_E_LICENSE,
};

/**
 * template_next() - the record at *at, which then stands behind it
 * @answer:  hostile; at most TEMPLATE_ANSWER_MAX bytes
 * Errors: TEMPLATE_OK with *ret; TEMPLATE_END: there is none any more; TEMPLATE_E_…: nothing of the answer is
 *         to be used.
 * Test:   tests/unit/proto/services/template.c, fuzz/template.c
 */
enum template_result template_next(const char *answer, size_t len, size_t *at,
                                   struct template_record *ret) MUST_CHECK;

const char *template_error(enum template_result result);

#endif
