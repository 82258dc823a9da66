/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Features that qubes ask for. Contract: requested.h. */
#include "services/admin/requested.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/feature_methods.h"
#include "services/admin/property.h"
#include "services/admin/request.h"
#include "services/admin/turn.h"

#define BOOT_MODES_MAX  64U
#define WINDOWS_TIMEOUT "6000"

struct wish {
	struct qube *q;
	const struct pair *pairs;
	size_t n;
	struct fault *f;
};

static const char *asked(const struct wish *w, const char *name)
{
	return pairs_get(w->pairs, w->n, name);
}

static bool zero_or_one(const char *value)
{
	return value && value[0] && !value[1] && strchr("01", value[0]);
}

static void put_bool(struct qube *q, const char *name, const char *value)
{
	feature_put(q, name, strcmp(value, "1") == 0 ? "1" : "");
}

/* Entries PREFIX… = 1 are set, those that are missing go; a request with none changes nothing. */
static void supported(struct wish *w, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < w->n; i++) {
		if (!text_starts(w->pairs[i].name, prefix) || strcmp(w->pairs[i].value, "1") != 0)
			continue;
		n++;
		if (!text_equal(feature_get(w->q, w->pairs[i].name), "1"))
			feature_put(w->q, w->pairs[i].name, "1");
	}
	for (i = 0; n > 0 && i < w->q->n_features;) {
		const char *name = w->q->features[i].name, *value = asked(w, name);

		if (text_starts(name, prefix) && (!value || strcmp(value, "1") != 0))
			feature_drop(w->q, name);
		else
			i++;
	}
}

static void set_if_absent(struct qube *q, const char *name, const char *value)
{
	if (!feature_get(q, name))
		feature_put(q, name, value);
}

static void set_property(struct wish *w, enum property_id id, const char *value)
{
	struct fault ignored = {0};

	/* What may not change now (a qube that runs) stays as it is. */
	if (!property_set(w->q, property_by_name(w->q, property_of(id)->name), value, strlen(value),
	                  &ignored))
		return;
}

static void windows(struct wish *w)
{
	feature_put(w->q, "rpc-clipboard", "1");
	set_property(w, PROP_MAXMEM, "0");
	set_property(w, PROP_QREXEC_TIMEOUT, WINDOWS_TIMEOUT);
	set_if_absent(w->q, "stubdom-qrexec", "1");
	set_if_absent(w->q, "audio-model", "ich6");
	set_if_absent(w->q, "timezone", "localtime");
	set_if_absent(w->q, "no-monitor-layout", "1");
}

static void system_of(struct wish *w)
{
	const char *os = asked(w, "os");

	if (!os || (strcmp(os, "Windows") != 0 && strcmp(os, "Linux") != 0))
		return;
	feature_put(w->q, "os", os);
	if (strcmp(os, "Windows") == 0 && text_equal(asked(w, "qrexec"), "1"))
		windows(w);
}

static bool version_ok(const char *v)
{
	return isdigit((unsigned char)v[0]) && request_safe(v, SET_DIGITS ".-");
}

static bool date_ok(const char *d)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day, end = 0;

	if (strlen(d) != 10 || !request_safe(d, SET_DIGITS "-") || d[4] != '-' || d[7] != '-' ||
	    sscanf(d, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end != 10 || month < 1 ||
	    month > 12 || day < 1 || day > days[month - 1])
		return false;
	return month != 2 || day < 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* N.M of one to three digits each. */
static bool agent_ok(const char *v)
{
	size_t a = strspn(v, SET_DIGITS), b = v[a] == '.' ? strspn(v + a + 1, SET_DIGITS) : 0;

	return a >= 1 && a <= 3 && b >= 1 && b <= 3 && !v[a + 1 + b];
}

static void distribution(struct wish *w)
{
	static const char *const plain[] = {"os-distribution", "os-distribution-like"};
	const char *v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(plain); i++) {
		v = asked(w, plain[i]);
		if (v && v[0])
			feature_put(w->q, plain[i], v);
	}
	v = asked(w, "os-version");
	if (v && version_ok(v))
		feature_put(w->q, "os-version", v);
	v = asked(w, "os-eol");
	if (v && date_ok(v))
		feature_put(w->q, "os-eol", v);
	v = asked(w, "qubes-agent-version");
	if (v && agent_ok(v))
		feature_put(w->q, "qubes-agent-version", v);
}

static bool first_time(struct wish *w)
{
	static const char *const once[] = {"qrexec", "gui", "gui-emulated"};
	static const char *const always[] = {"qubes-firewall", "vmexec"};
	bool had = feature_true(feature_get(w->q, "qrexec"));
	size_t i;

	for (i = 0; i < ARRAY_LEN(once); i++)
		if (zero_or_one(asked(w, once[i])) && !feature_get(w->q, once[i]))
			put_bool(w->q, once[i], asked(w, once[i]));
	for (i = 0; i < ARRAY_LEN(always); i++)
		if (zero_or_one(asked(w, always[i])))
			put_bool(w->q, always[i], asked(w, always[i]));
	return !had && feature_true(feature_get(w->q, "qrexec"));
}

static const char *const boot_kinds[] = {"boot-mode.kernelopts.", "boot-mode.name.",
                                         "boot-mode.default-user."};

/* The mode that a key is about; NULL: the key is of another kind. */
static const char *boot_mode(const char *name, size_t *ret_kind)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(boot_kinds); i++)
		if (text_starts(name, boot_kinds[i])) {
			*ret_kind = i;
			return name + strlen(boot_kinds[i]);
		}
	return NULL;
}

static bool mode_known(const struct wish *w, const char *mode)
{
	AUTO_TEXT key = {0};

	if (strcmp(mode, "default") == 0)
		return true;
	text_printf(&key, "boot-mode.kernelopts.%s", mode);
	return asked(w, text_get(&key)) != NULL;
}

/* The whole set is taken, or nothing. */
static size_t boot_modes_valid(const struct wish *w)
{
	size_t i, kind = 0, n = 0;

	for (i = 0; i < w->n; i++) {
		const char *mode = boot_mode(w->pairs[i].name, &kind);

		if (!mode)
			continue;
		if (!mode[0] || strchr(mode, '.') || (strcmp(mode, "default") == 0 && kind != 1) ||
		    !mode_known(w, mode))
			return 0;
		n += kind == 0;
	}
	return n <= BOOT_MODES_MAX ? n : 0;
}

static void boot_modes(struct wish *w)
{
	static const char *const single[] = {"boot-mode.active", "boot-mode.appvm-default",
	                                     "boot-mode.standalone-default"};
	size_t i, kind;

	if (boot_modes_valid(w) == 0)
		return;
	for (i = 0; i < w->q->n_features;) {
		const char *name = w->q->features[i].name;

		if (boot_mode(name, &kind) && !asked(w, name))
			feature_drop(w->q, name);
		else
			i++;
	}
	for (i = 0; i < w->n; i++)
		if (boot_mode(w->pairs[i].name, &kind) &&
		    !text_equal(feature_get(w->q, w->pairs[i].name), w->pairs[i].value))
			feature_put(w->q, w->pairs[i].name, w->pairs[i].value);
	for (i = 0; i < ARRAY_LEN(single); i++) {
		const char *mode = asked(w, single[i]);

		if (mode && mode_known(w, mode) && (i != 1 || w->q->klass == CLASS_TEMPLATE))
			feature_put(w->q, single[i], mode);
	}
}

static void told(const struct wish *w)
{
	AUTO_TEXT dict = {0};
	size_t i;

	text_char(&dict, '{');
	for (i = 0; i < w->n; i++)
		text_printf(&dict, "%s'%s': '%s'", i ? ", " : "", w->pairs[i].name,
		            w->pairs[i].value);
	text_char(&dict, '}');
	event_fire(w->q, "features-request", "untrusted_features", text_get(&dict), NULL);
}

void requested_apply(struct qube *q, const struct pair *untrusted_pairs, size_t n, struct fault *f)
{
	struct wish w = {q, untrusted_pairs, n, f};
	bool based = property_has(q, PROP_TEMPLATE);

	supported(&w, "supported-rpc.");
	if (based) {
		told(&w);
		return;
	}
	supported(&w, "supported-service.");
	if (feature_get(q, "supported-service.apparmor"))
		set_if_absent(q, "apparmor", "1");
	else if (text_equal(feature_get(q, "apparmor"), "1"))
		feature_drop(q, "apparmor");
	supported(&w, "supported-feature.");
	system_of(&w);
	told(&w);
	distribution(&w);
	if (first_time(&w)) {
		boot_modes(&w);
		event_fire(q, "template-postinstall", NULL);
	} else {
		boot_modes(&w);
	}
	if (text_equal(asked(&w, "anon-timezone"), "1"))
		feature_put(q, "anon-timezone", "1");
}
