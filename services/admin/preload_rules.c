/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the settings say about the pool of ready disposables. */
#include <stdlib.h>
#include <string.h>

#include "services/admin/feature_methods.h"
#include "services/admin/preload.h"
#include "services/admin/preload_internal.h"
#include "services/admin/property.h"
#include "services/admin/request.h"

#define DELAY_DEFAULT 3LL /* seconds; the original's */
#define DELAY_MAX     3600LL

/* The setting of the system counts for its default template. */
static const char *maximum(const struct qube *template)
{
	const struct qube *dom0 = qube_by_name("dom0");
	const char *value = feature_get(dom0, "preload-dispvm-max");

	if (feature_true(value) && property_qube(world.system, SYS_DEFAULT_DISPVM) == template)
		return value;
	return feature_get(template, "preload-dispvm-max");
}

static bool can_preload(const struct qube *template)
{
	return feature_true(feature_with_template(template, "qrexec")) &&
	       feature_true(
	               feature_with_template(template, "supported-rpc.qubes.WaitForRunningSystem"));
}

size_t preload_wanted(const struct qube *template)
{
	const char *value = maximum(template);
	long long memory = property_int(template, PROP_MEMORY);
	unsigned long long n, fit;

	if (!feature_true(value) || !request_safe(value, SET_DIGITS) || strlen(value) > 9 ||
	    !property_bool(template, PROP_TEMPLATE_FOR_DISPVMS) || !can_preload(template))
		return 0;
	n = strtoull(value, NULL, 10);
	/* At most half of the machine's memory waits. */
	fit = memory > 0 ? world.host.memory_mib / 2 / (unsigned long long)memory : PRELOAD_MAX;
	n = MIN(n, fit);
	return MIN(n, (unsigned long long)PRELOAD_MAX);
}

long long preload_delay(const struct qube *template)
{
	const char *value = feature_get(template, "preload-dispvm-delay");
	long long delay;

	if (!feature_true(value))
		return DELAY_DEFAULT;
	delay = strtoll(value, NULL, 10);
	return delay < 0 ? 0 : MIN(delay, DELAY_MAX);
}

void preload_settings(const struct qube *template, struct text *out)
{
	const struct property *p;
	const struct qube *at = template;
	size_t n, i;

	p = property_table(&n);
	for (i = 0; i < n; i++)
		if (p[i].classes & CLASS_BIT(CLASS_DISP) && template->values[p[i].id] &&
		    !(p[i].flags & (PROP_READ_ONLY | PROP_FIXED)) && p[i].id != PROP_AUTOSTART &&
		    p[i].id != PROP_BACKUP_TIMESTAMP && p[i].id != PROP_INCLUDE_IN_BACKUPS)
			text_printf(out, "%s=%s\n", p[i].name, template->values[p[i].id]);
	for (i = 0; i < template->n_features; i++)
		if (!text_starts(template->features[i].name, "preload-dispvm"))
			text_printf(out, "%s:%s\n", template->features[i].name,
			            template->features[i].value);
	for (i = 0; i < template->n_tags; i++)
		text_printf(out, "%s\n", template->tags[i]);
	text_puts(out, template->firewall ? template->firewall : "");
	/* What the volumes of the templates above were made of. */
	for (; at; at = property_has(at, PROP_TEMPLATE) ? property_qube(at, PROP_TEMPLATE) : NULL)
		for (i = 0; i < at->n_volumes; i++)
			text_printf(out, "%s %llu %llu\n", at->volumes[i]->vid,
			            (unsigned long long)at->volumes[i]->size,
			            (unsigned long long)at->volumes[i]->generation);
}

bool preload_outdated(const struct preload *p)
{
	AUTO_TEXT now = {0};
	size_t i;

	preload_settings(p->template, &now);
	if (!text_equal(p->settings, text_get(&now)))
		return true;
	for (i = 0; p->state == PRELOAD_READY && i < p->q->n_volumes; i++)
		if (p->q->volumes[i]->outdated)
			return true;
	return false;
}

uint32_t preload_wait_ms(const struct qube *q)
{
	long long seconds = property_int(q, PROP_QREXEC_TIMEOUT);

	return seconds < 1 ? 1000U : seconds > 3600 ? 3600000U : (uint32_t)seconds * 1000U;
}

static bool missing(const struct qube *q, const char *feature, struct text *out)
{
	if (!feature_true(feature_with_template(q, feature)))
		text_printf(out, "%s%s", out->len ? ", " : "", feature);
	return out->len > 0;
}

bool preload_feature_check(struct qube *q, const char *name, const char *value, struct fault *f)
{
	bool number = value[0] && request_safe(value, SET_DIGITS);
	AUTO_TEXT not = {0};

	if (q->klass != CLASS_ADMIN && !property_bool(q, PROP_TEMPLATE_FOR_DISPVMS))
		return true;
	if (strcmp(name, "preload-dispvm-delay") == 0 ||
	    strcmp(name, "preload-dispvm-threshold") == 0) {
		if (value[0] && !request_safe(value, SET_DIGITS "."))
			return fault_set(f, E_VALUE, "Invalid %s value: not a number", name);
		return true;
	}
	if (strcmp(name, "preload-dispvm-max") != 0 || !value[0])
		return true;
	if (!number)
		return fault_set(f, E_VALUE, "Invalid preload-dispvm-max value: not a digit");
	if (strlen(value) > 4 || strtoul(value, NULL, 10) > PRELOAD_MAX)
		return fault_set(f, E_VALUE, "Invalid preload-dispvm-max value: at most %u",
		                 PRELOAD_MAX);
	if (q->klass == CLASS_ADMIN)
		return true;
	if (missing(q, "qrexec", &not ) ||
	    missing(q, "supported-rpc.qubes.WaitForRunningSystem", &not ) ||
	    missing(q, "supported-rpc.qubes.WaitForSession", &not ))
		return fault_set(f, E_VALUE, "Qube does not support the following features: %.200s",
		                 text_get(&not ));
	return true;
}
