/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/events.h"

#include <string.h>

/*
 * Events as far as the policy service needs them: to know when its facts are stale. An event that is
 * wrongly taken as relevant costs one query; one that is wrongly ignored would let a decision rest on
 * old facts, so whole families are taken.
 */

/* The next text, with its NUL; 0: not here yet. */
static size_t text_len(const char *data, size_t len, size_t at)
{
	const char *end = at < len ? memchr(data + at, 0, len - at) : NULL;

	return end ? (size_t)(end - (data + at)) + 1 : 0;
}

ssize_t events_decode(const char *data, size_t len, struct event *out)
{
	size_t at = 2, n;
	unsigned int i;

	if (len > 0 && data[0] != '1')
		return -1;
	if (len > 1 && data[1] != 0)
		return -1;
	for (i = 0; i < 2; i++) {
		n = text_len(data, len, at);
		if (n == 0)
			return 0;
		*(i == 0 ? &out->subject : &out->name) = data + at;
		at += n;
	}
	for (;;) {
		n = text_len(data, len, at);
		if (n == 0)
			return 0;
		at += n;
		if (n == 1)
			return (ssize_t)at;
		n = text_len(data, len, at);
		if (n == 0)
			return 0;
		at += n;
	}
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool events_change_facts(const char *name)
{
	static const char *const properties[] = {
	        "template_for_dispvms", "default_dispvm", "icon", "label", "guivm", "relayvm",
	        "transport_rpc",        "uuid",           "name",
	};
	const char *colon = strchr(name, ':');
	size_t i;

	if (strstr(name, "-pre-"))
		return false;
	if (begins(name, "property-")) {
		for (i = 0; colon && i < ARRAY_LEN(properties); i++)
			if (strcmp(colon + 1, properties[i]) == 0)
				return true;
		return false;
	}
	if (begins(name, "domain-feature-"))
		return colon && strcmp(colon + 1, "internal") == 0;
	return begins(name, "domain-") || strcmp(name, "connection-established") == 0;
}
