/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What repositories have: what the update qube says of them, of which all is checked before any is used. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fd.h"
#include "tools/qvm/child.h"
#include "tools/template/template.h"

static int compare_texts(const char *a, const char *b)
{
	return rpm_version_compare(*a ? a : "0", *b ? b : "0");
}

int evr_compare(const struct evr *a, const struct evr *b)
{
	int r = compare_texts(a->epoch, b->epoch);

	if (r == 0)
		r = compare_texts(a->version, b->version);
	return r ? r : compare_texts(a->release, b->release);
}

const char *evr_text(const struct evr *evr)
{
	return arena_printf("%s:%s-%s", *evr->epoch ? evr->epoch : "0", evr->version, evr->release);
}

struct evr record_evr(const struct template_record *record)
{
	return (struct evr){record->epoch, record->version, record->release};
}

bool spec_legal(const char *spec)
{
	static const char letters[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	        "._+:~*?[]!^-";

	return spec[0] && spec[0] != '-' && strlen(spec) < 200 &&
	       strspn(spec, letters) == strlen(spec);
}

bool spec_matches(const char *spec, const char *name, const struct evr *evr)
{
	const char *epoch = *evr->epoch ? evr->epoch : "0";
	const char *const forms[] = {
	        name,
	        arena_printf("%s-%s-%s", name, evr->version, evr->release),
	        arena_printf("%s-%s:%s-%s", name, epoch, evr->version, evr->release),
	        arena_printf("%s-%s", name, evr->version),
	        arena_printf("%s-%s:%s", name, epoch, evr->version),
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (fnmatch(spec, forms[i], 0) == 0)
			return true;
	}
	return false;
}

static int refuse(const char *why)
{
	err_printf("qvm-template: the answer of the update qube is refused: %s\n", why);
	return -1;
}

static int read_records(const char *text, size_t len, const char *spec, struct available *ret)
{
	enum template_result r;
	struct template_record record;
	size_t at = 0, room = 0;

	while ((r = template_next(text, len, &at, &record)) == TEMPLATE_OK) {
		struct evr evr = record_evr(&record);

		if (ret->n == TEMPLATE_RECORDS_MAX)
			return refuse("too many templates");
		if (!spec_matches(spec, record.name, &evr))
			return refuse("a template that was not asked for");
		if (ret->n == room) {
			room = room ? 2 * room : 16;
			ret->items = arena_grow(ret->items, ret->n * sizeof(record),
			                        room * sizeof(record));
		}
		ret->items[ret->n++] = record;
	}
	return r == TEMPLATE_END ? 0 : refuse(template_error(r));
}

/* Nothing of an answer that is wrong somewhere, or of a call that failed. */
int available_ask(const struct template_options *options, const char *spec, struct available *ret)
{
	char *text = NULL;
	size_t len = 0;
	int failed, status, fd;
	pid_t pid;

	*ret = (struct available){0};
	fd = template_call("qubes.TemplateSearch", options, spec, &pid);
	if (fd < 0)
		return -1;
	failed = fd_read_to_end(fd, 65536, TEMPLATE_ANSWER_MAX, &text, &len);
	if (failed)
		(void)refuse(errno == EFBIG ? "more than 1 MiB" : strerror(errno));
	/* Whoever goes on writing is told. */
	fd_close(fd);
	status = child_status(pid);
	if (!failed && status != 0) {
		err_printf("qvm-template: qubes.TemplateSearch failed with status %d\n", status);
		failed = -1;
	}
	/* Records point into the copy. */
	if (!failed)
		failed = read_records(arena_copy(text, len), len, spec, ret);
	free(text);
	return failed ? -1 : 0;
}
