/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is installed: features say it, so it can be asked for from anywhere. */
#include <string.h>

#include "tools/template/template.h"

enum {
	NAME,
	EPOCH,
	VERSION,
	RELEASE,
	REPO,
	BUILD,
	INSTALL,
	LICENSE,
	URL,
	SUMMARY,
	DESCRIPTION,
	MARK,
	FEATURES
};

static const char *const features[FEATURES] = {
        [NAME] = "template-name",
        [EPOCH] = "template-epoch",
        [VERSION] = "template-version",
        [RELEASE] = "template-release",
        [REPO] = "template-reponame",
        [BUILD] = "template-buildtime",
        [INSTALL] = "template-installtime",
        [LICENSE] = "template-license",
        [URL] = "template-url",
        [SUMMARY] = "template-summary",
        [DESCRIPTION] = "template-description",
        [MARK] = TEMPLATE_UNFINISHED,
};

static const char *content(const struct admin_request *request)
{
	return request->reply.error ? "" : request->reply.content;
}

struct installed_list installed_load(const struct qubes *qubes)
{
	struct admin_request *requests = arena_alloc((qubes->n + 1) * FEATURES * sizeof(*requests));
	struct installed_list list = {
	        .items = arena_alloc((qubes->n + 1) * sizeof(struct installed))};
	size_t n = 0;

	for (size_t i = 0; i < qubes->n; i++) {
		if (strcmp(qubes->items[i].class, "TemplateVM") != 0)
			continue;
		for (size_t j = 0; j < FEATURES; j++)
			requests[n++] = (struct admin_request){.method = "admin.vm.feature.Get",
			                                       .argument = features[j],
			                                       .target = qubes->items[i].name};
	}
	admin_call_all(requests, n);
	for (size_t i = 0; i < n; i += FEATURES) {
		const struct admin_request *r = requests + i;

		if (r[NAME].reply.error || !*r[NAME].reply.content)
			continue;
		list.items[list.n++] = (struct installed){
		        .name = r[NAME].target,
		        .from = content(&r[NAME]),
		        .evr = {content(&r[EPOCH]), content(&r[VERSION]), content(&r[RELEASE])},
		        .reponame = content(&r[REPO]),
		        .buildtime = content(&r[BUILD]),
		        .installtime = content(&r[INSTALL]),
		        .license = content(&r[LICENSE]),
		        .url = content(&r[URL]),
		        .summary = content(&r[SUMMARY]),
		        .description = content(&r[DESCRIPTION]),
		        .unfinished = !r[MARK].reply.error,
		};
	}
	return list;
}

const struct installed *installed_find(const struct installed_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	}
	return NULL;
}
