/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What qubes tell of themselves: qubes.FeaturesRequest, NotifyTools, NotifyUpdates. The source is the
 * qube; every value comes from its QubesDB and is checked here before anything looks at it.
 */
#include "services/admin/misc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/admin/feature_methods.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"
#include "services/admin/requested.h"

#define VALUE_SET_TEXT SET_LETTERS SET_DIGITS "-.,_= "
#define TOOLS_SET      SET_LETTERS SET_DIGITS
#define KEYS_MAX       512U
#define VALUE_MAX      512U

static bool safe_pairs(const struct pair *untrusted_pairs, size_t n, struct fault *f)
{
	size_t i;

	if (n > KEYS_MAX)
		return fault_set(f, E_PROTOCOL, "Too many features requested");
	for (i = 0; i < n; i++)
		if (!request_safe(untrusted_pairs[i].value, VALUE_SET_TEXT) ||
		    !request_safe(untrusted_pairs[i].name, SET_LETTERS SET_DIGITS "_.-") ||
		    strlen(untrusted_pairs[i].value) > VALUE_MAX)
			return fault_set(f, E_PROTOCOL, "Value outside safe set: " VALUE_SET_TEXT);
	return true;
}

/* In a turn of its own: the answer of QubesDB came. */
static void apply(struct call *c, const struct pair *pairs, size_t n)
{
	bool keep;

	turn_begin();
	if (c->src->gone)
		call_refuse(c, E_NOT_FOUND, "No such domain: '%s'", c->src->name);
	else if (!c->fault.type)
		requested_apply(c->src, pairs, n, &c->fault);
	keep = !c->fault.type;
	call_finish(c);
	turn_end(keep);
}

static void on_features(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n)
{
	struct call *c = arg;

	if (!ok)
		call_refuse(c, E_QUBES, "QubesDB of %s does not answer", c->src->name);
	else if (!safe_pairs(untrusted_pairs, n, &c->fault))
		n = 0;
	apply(c, untrusted_pairs, n);
}

/* QubesDB may answer at once: not within the request's own turn. */
struct reading {
	struct call *call;
	const char *prefix;
	void (*fn)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n);
};

static void on_turn_over(void *arg, const char *failed)
{
	struct reading *r = arg;

	qdb_read_all(r->call->src, r->prefix, r->fn, r->call);
	free(r);
}

static void read_later(struct call *c, const char *prefix,
                       void (*fn)(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n))
{
	struct reading *r = memory_get(sizeof(*r));

	*r = (struct reading){c, prefix, fn};
	call_wait(c);
	turn_then(on_turn_over, r);
}

static bool has_qubesdb(struct call *c)
{
	if (!c->src->run.domid)
		return fault_set(&c->fault, E_NOT_RUNNING,
		                 "Domain not running (either powered off or paused): '%s'",
		                 c->src->name);
	return true;
}

void method_features_request(struct call *c)
{
	if (!has_qubesdb(c))
		return;
	read_later(c, "/features-request/", on_features);
}

static void on_tools(void *arg, bool ok, const struct pair *untrusted_pairs, size_t n)
{
	static const char *const keys[] = {"qrexec", "gui", "gui-emulated", "default-user", "os"};
	struct call *c = arg;
	struct pair *pairs = NULL;
	size_t n_pairs = 0, i;

	if (!ok)
		call_refuse(c, E_QUBES, "QubesDB of %s does not answer", c->src->name);
	for (i = 0; ok && i < ARRAY_LEN(keys); i++) {
		const char *untrusted_value = pairs_get(untrusted_pairs, n, keys[i]);

		if (!untrusted_value)
			continue;
		if (!request_safe(untrusted_value, TOOLS_SET) || strlen(untrusted_value) > 31) {
			call_refuse(c, E_PROTOCOL, "Value outside safe set: " TOOLS_SET);
			break;
		}
		pairs_set(&pairs, &n_pairs, keys[i], untrusted_value);
	}
	apply(c, pairs, n_pairs);
	pairs_free(&pairs, &n_pairs);
}

void method_notify_tools(struct call *c)
{
	if (!has_qubesdb(c))
		return;
	read_later(c, "/qubes-tools/", on_tools);
}

static void updates(struct qube *q, bool available)
{
	const char *is = feature_get(q, "updates-available");
	bool were = feature_true(is);
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	feature_put(q, "updates-available", available ? "1" : "");
	feature_put(q, "last-updates-check", when);
	if (were && !available)
		feature_put(q, "last-update", when);
}

static bool outdated(const struct qube *q)
{
	size_t i;

	for (i = 0; i < q->n_volumes; i++)
		if (q->volumes[i]->outdated)
			return true;
	return false;
}

void method_notify_updates(struct call *c)
{
	AUTO_TEXT count = {0};
	struct qube *q = c->src;
	const char *s;
	size_t len;
	bool available;

	text_add(&count, c->payload, c->payload_len);
	s = count.data + strspn(count.data, " \t\n\r\v\f");
	len = strlen(s);
	while (len > 0 && strchr(" \t\n\r\v\f", s[len - 1]))
		len--;
	if (len == 0 || strspn(s, SET_DIGITS) != len || strlen(count.data) != c->payload_len ||
	    c->payload_len > 64) {
		call_refuse(c, E_PROTOCOL, "Update count is not a digit");
		return;
	}
	available = strspn(s, "0") < len;
	if (q->klass == CLASS_REMOTE)
		return;
	if (property_bool(q, PROP_UPDATEABLE)) {
		updates(q, available);
		return;
	}
	/* What an app qube sees is what its template had when the app qube was started. */
	if (!available || outdated(q))
		return;
	while (q && !property_bool(q, PROP_UPDATEABLE))
		q = property_has(q, PROP_TEMPLATE) ? property_qube(q, PROP_TEMPLATE) : NULL;
	if (q && !q->run.domid)
		updates(q, true);
}
