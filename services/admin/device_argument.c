/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices as requests name them. Contract: device_argument.h. */
#include "services/admin/device_argument.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/request.h"

#define PORT_SET     SET_LETTERS SET_DIGITS "_.-" /* no ":": it ends the port in a stored key */
#define PAIRS_MAX    64U
#define UNKNOWN_CODE "_______"

static char *copy_part(const char *s, size_t len)
{
	char *out = memory_get(len + 1);

	memcpy(out, s, len);
	return out;
}

/* "+" stands for ":", "_" alone for any, the unknown interface for itself. */
static char *identity_of(const char *untrusted_text)
{
	char *out = memory_text(untrusted_text), *p;
	size_t len = strlen(out);

	if (strcmp(out, "_") == 0) {
		out[0] = '*';
		return out;
	}
	for (p = out; *p; p++)
		if (*p == '+')
			*p = ':';
	if (len >= 7 && strcmp(out + len - 7, UNKNOWN_CODE) == 0)
		memcpy(out + len - 7, "?******", 7);
	return out;
}

static bool identity_ok(const char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e || *s == '\'' || *s == '"' || *s == '`')
			return false;
	return true;
}

struct assignment *device_argument(const char *devclass, const char *untrusted_arg, bool *ret_full,
                                   struct fault *f)
{
	const char *plus = strchr(untrusted_arg, '+'), *second;
	struct assignment *a;
	size_t port_len;

	*ret_full = false;
	if (!plus) {
		fault_set(f, E_PROTOCOL, "Invalid device argument: expected BACKEND+PORT");
		return NULL;
	}
	second = strchr(plus + 1, '+');
	port_len = second ? (size_t)(second - plus - 1) : strlen(plus + 1);
	a = memory_get(sizeof(*a));
	a->devclass = memory_text(devclass);
	a->backend = copy_part(untrusted_arg, (size_t)(plus - untrusted_arg));
	a->port = copy_part(plus + 1, port_len);
	a->identity = second ? identity_of(second + 1) : memory_text("*");
	*ret_full = second && !text_equal(a->identity, "*");
	if (text_equal(a->backend, "_"))
		a->backend[0] = 0;
	if (text_equal(a->port, "_"))
		a->port[0] = '*';
	if (a->backend[0] && !request_name_check(a->backend, f, E_VALUE))
		return assignment_free(a);
	if (!a->port[0] || strlen(a->port) > 63 ||
	    (!text_equal(a->port, "*") && !request_safe(a->port, PORT_SET)) ||
	    !identity_ok(a->identity) || !a->identity[0] || strlen(a->identity) > 512) {
		fault_set(f, E_PROTOCOL,
		          "Invalid device argument: illegal characters in port or identity");
		return assignment_free(a);
	}
	return a;
}

/* The characters of a text that may not stand there, as Python shows a set of one. */
static bool bad_chars(struct fault *f, const char *what, char c)
{
	return fault_set(f, E_PROTOCOL, "Invalid chars in property %s: {'%c'}", what,
	                 isprint((unsigned char)c) ? c : '?');
}

/* key='value' from *at on; both are given. */
static bool take_pair(const char **at, const char *end, char **ret_key, char **ret_value,
                      struct fault *f)
{
	const char *p = *at, *quote = memchr(p, '\'', (size_t)(end - p));
	AUTO_TEXT value = {0};
	size_t key_len, i;

	/* A value without quotes makes its "=" part of the name. */
	if (!quote || quote == p || quote[-1] != '=')
		return bad_chars(f, "name", memchr(p, '=', (size_t)(end - p)) ? '=' : *p);
	key_len = (size_t)(quote - 1 - p);
	for (i = 0; i < key_len; i++)
		if (p[i] <= 0x20 || p[i] > 0x7e || strchr("'\"=`", p[i]))
			return bad_chars(f, "name", p[i]);
	for (p = quote + 1; p < end && *p != '\''; p++) {
		if (*p == '\\' && p + 1 < end && p[1] == '\'')
			p++;
		if (*p < 0x20 || *p > 0x7e)
			return bad_chars(f, "value", *p);
		text_char(&value, *p);
	}
	if (p == end || (p + 1 < end && p[1] != ' '))
		return bad_chars(f, "value", '\'');
	*ret_key = copy_part(*at, key_len);
	*ret_value = text_take(&value);
	*at = p + 1 < end ? p + 2 : end;
	return true;
}

static bool agree(const char *expected, const char *given)
{
	return text_equal(expected, given) || text_equal(given, "*");
}

static bool use_pair(struct assignment *a, const char *key, const char *value, const char *frontend,
                     bool *full, struct fault *f)
{
	int mode;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): take_pair() gave both */
	if (strcmp(key, "backend_domain") == 0) {
		if (a->backend[0] && !agree(a->backend, value))
			return fault_set(
			        f, E_PROTOCOL,
			        "Got device exposed by %.40s when expected devices from %s.", value,
			        a->backend);
	} else if (strcmp(key, "port_id") == 0) {
		if (!agree(a->port, value))
			return fault_set(f, E_PROTOCOL,
			                 "Got device from port: %.80s when expected port: %s.",
			                 value, a->port);
	} else if (strcmp(key, "devclass") == 0) {
		if (!agree(a->devclass, value))
			return fault_set(f, E_PROTOCOL, "Got %.40s device when expected %s.", value,
			                 a->devclass);
	} else if (strcmp(key, "device_id") == 0) {
		if (text_equal(a->identity, "*") && !text_equal(value, "*")) {
			free(a->identity);
			a->identity = memory_text(value);
			*full = true;
		} else if (!agree(a->identity, value)) {
			return fault_set(f, E_PROTOCOL,
			                 "Unrecognized device identity '%.200s' expected '%.200s'",
			                 value, a->identity);
		}
	} else if (strcmp(key, "mode") == 0) {
		mode = mode_by_name(value);
		if (mode < 0)
			return fault_set(f, E_PROTOCOL, "'%.40s' is not a valid AssignmentMode",
			                 value);
		a->mode = (enum assignment_mode)mode;
	} else if (strcmp(key, "frontend_domain") == 0) {
		if (frontend && !text_equal(frontend, value))
			return fault_set(f, E_PROTOCOL,
			                 "Got device for frontend %.40s when expected frontend %s.",
			                 value, frontend);
	} else if (key[0] == '_' && key[1]) {
		pairs_set(&a->options, &a->n_options, key + 1, value);
	}
	return true;
}

bool device_payload(struct assignment *a, const char *untrusted_payload, size_t len,
                    const char *frontend, bool *full, struct fault *f)
{
	const char *at = untrusted_payload, *end = at + len;
	unsigned int n = 0;
	bool ok = true;

	while (at < end && ok) {
		char *key = NULL, *value = NULL;

		if (++n > PAIRS_MAX)
			return fault_set(f, E_PROTOCOL, "Too many device properties");
		if (!take_pair(&at, end, &key, &value, f))
			return false;
		ok = use_pair(a, key, value, frontend, full, f);
		free(key);
		free(value);
	}
	return ok;
}
