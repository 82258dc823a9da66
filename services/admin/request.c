/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form of requests, and of the small values in them. Pure: no state, no allocation. */
#include "services/admin/request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum request_verdict request_decode(char *data, size_t len, struct request *out)
{
	char *end = len <= REQUEST_MAX ? memchr(data, 0, len) : NULL;
	char *at = data, *method, *source, *type, *plus, *p;

	if (!end)
		return REQUEST_CLOSE;
	data[len] = 0;
	method = strsep(&at, " ");
	source = at ? strsep(&at, " ") : NULL;
	type = at ? strsep(&at, " ") : NULL;
	if (!at)
		return REQUEST_CLOSE;
	*out = (struct request){.untrusted_method = method,
	                        .untrusted_arg = "",
	                        .source = source,
	                        .untrusted_dest = at,
	                        .untrusted_payload = end + 1,
	                        .untrusted_payload_len = len - (size_t)(end - data) - 1};
	if (strcmp(type, "keyword") == 0 && strcmp(at, "adminvm") == 0)
		out->untrusted_dest = "dom0";
	else if (strcmp(type, "name") != 0)
		return REQUEST_CLOSE;
	for (p = data; p < end; p++)
		if ((unsigned char)*p >= 0x80)
			return REQUEST_REFUSED;
	plus = strchr(method, '+');
	if (plus) {
		*plus = 0;
		out->untrusted_arg = plus + 1;
	}
	return REQUEST_OK;
}

bool request_safe(const char *text, const char *set)
{
	return text[strspn(text, set)] == 0;
}

bool request_name_check(const char *name, struct fault *f, const char *type)
{
	size_t len = strlen(name);

	if (len > 31)
		return fault_set(f, type, "VM name must be shorter than 32 characters");
	if (len > 0 && strchr("-_.0123456789", name[0]))
		return fault_set(f, type,
		                 "VM name cannot start with hyphen, underscore, dot or numbers");
	if (len == 0 || !request_safe(name, SET_LETTERS SET_DIGITS "_.-"))
		return fault_set(f, type, "VM name contains illegal characters");
	if (strcmp(name, "Domain-0") == 0)
		return fault_set(f, type, "VM name cannot be 'Domain-0'");
	if (strcmp(name, "none") == 0 || strcmp(name, "default") == 0)
		return fault_set(f, type, "VM name cannot be 'none' nor 'default'");
	if (len >= 3 && strcmp(name + len - 3, "-dm") == 0)
		return fault_set(f, type, "VM name cannot end with -dm");
	return true;
}

bool request_uuid_check(const char *uuid)
{
	size_t i;

	if (strlen(uuid) != 36)
		return false;
	for (i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (uuid[i] != '-')
				return false;
		} else if (!strchr("0123456789abcdef", uuid[i])) {
			return false;
		}
	return true;
}

bool request_number(const char *text, size_t len, bool negative, const char *what, long long *ret,
                    struct fault *f)
{
	bool minus = negative && len > 1 && text[0] == '-';
	const char *digits = text + minus;
	size_t n = len - minus;

	if (n == 0 || strspn(digits, SET_DIGITS) != n)
		return fault_set(f, E_PROTOCOL, "%s contains non ASCII digits", what);
	if (n > 19)
		return fault_set(f, E_PROTOCOL, "%s is bigger than 19 decimal digits", what);
	if (n > 1 && digits[0] == '0')
		return fault_set(f, E_PROTOCOL, "%s contains spurious leading zeros", what);
	/* 19 digits may still not fit in 63 bits: the greatest number stands for them. */
	*ret = strtoll(digits, NULL, 10);
	if (minus)
		*ret = -*ret;
	return true;
}

int request_bool(const char *text)
{
	static const char *const words[2][4] = {{"0", "no", "false", "off"},
	                                        {"1", "yes", "true", "on"}};
	size_t i;

	for (i = 0; i < 4; i++) {
		if (strcasecmp(text, words[0][i]) == 0)
			return 0;
		if (strcasecmp(text, words[1][i]) == 0)
			return 1;
	}
	return -1;
}
