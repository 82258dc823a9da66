/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a template's package says about the qube: the texts beside the image, and the package's own description. */
#include "tools/template/install.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/escape.h"

#define MENU_NAME_MAX 200U /* chosen, as of the menus themselves */

static struct admin_reply set_feature(const char *qube, const char *name, const char *value)
{
	return admin_call("admin.vm.feature.Set", name, qube, value);
}

/* What template.conf may say; all else in it is for others, and left. */
static const struct setting {
	const char *key, *values[4];
	bool property;
} settings[] = {
        {"gui", {"0", "1"}, false},
        {"gui-emulated", {"0", "1"}, false},
        {"qrexec", {"0", "1"}, false},
        {"linux-stubdom", {"0", "1"}, false},
        {"no-monitor-layout", {"0", "1"}, false},
        {"pci-e820-host", {"0", "1"}, false},
        {"virt_mode", {"pvh", "hvm", "pv"}, true},
        {"kernel", {""}, true}, /* the template's own */
};

static const struct setting *setting_of(const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];

		if (strcmp(s->key, key) != 0)
			continue;
		for (size_t j = 0; j < ARRAY_LEN(s->values) && s->values[j]; j++) {
			if (strcmp(s->values[j], value) == 0)
				return s;
		}
	}
	return NULL;
}

static struct admin_reply apply_conf(const char *qube, const char *conf, bool allow_pv)
{
	struct admin_reply reply = {0};
	char line[256];
	size_t at = 0;

	while (!reply.error && payload_line(conf, &at, line, sizeof(line))) {
		char *value = strchr(line, '=');
		const struct setting *s;

		if (!value)
			continue;
		*value++ = '\0';
		s = setting_of(line, value);
		/* Whoever read the package looked at this too. */
		if (!s || (!allow_pv && strcmp(value, "pv") == 0))
			continue;
		if (s->property)
			reply = admin_call("admin.vm.property.Set", s->key, qube, value);
		else
			reply = set_feature(qube, s->key, strcmp(value, "0") == 0 ? "" : value);
	}
	return reply;
}

static bool is_menu_name(const char *name)
{
	return strlen(name) <= MENU_NAME_MAX &&
	       name[strspn(name,
	                   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] ==
	               '\0';
}

/* The names of applications, with blanks between. */
static const char *menu_text(const char *list)
{
	struct text_list names = {0};
	char line[PAYLOAD_TEXT_MAX];
	size_t at = 0;

	while (payload_line(list, &at, line, sizeof(line))) {
		if (is_menu_name(line))
			text_list_add(&names, arena_dup(line));
	}
	return text_list_join(&names, " ");
}

static struct admin_reply apply_menus(const char *qube, const struct payload_info *info)
{
	static const struct {
		enum payload_text text;
		const char *feature;
	} rows[] = {
	        {PAYLOAD_MENU, "default-menu-items"},
	        {PAYLOAD_OWN_MENU, "menu-items"},
	        {PAYLOAD_NETVM_MENU, "netvm-menu-items"},
	};
	struct admin_reply reply = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows) && !reply.error; i++) {
		const char *text = menu_text(info->texts[rows[i].text]);

		if (*text)
			reply = set_feature(qube, rows[i].feature, text);
	}
	return reply;
}

struct admin_reply settings_apply(const struct install *job, const struct payload_info *info)
{
	struct admin_reply reply = apply_conf(job->qube, info->texts[PAYLOAD_CONF], job->allow_pv);

	return reply.error ? reply : apply_menus(job->qube, info);
}

static const char *time_text(time_t when)
{
	char text[32];
	struct tm tm;

	if (!gmtime_r(&when, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return "";
	return arena_dup(text);
}

/* ASCII, lines apart by '|'; what could drive a terminal is escaped already here. */
static const char *about(const char *untrusted)
{
	size_t len = strlen(untrusted);
	char *copy = arena_copy(untrusted, len);
	char *text = arena_alloc(4 * len + 1);

	for (char *p = copy; *p; p++)
		*p = *p == '\n' ? '|' : *p;
	(void)escape_text(text, 4 * len + 1, copy, len);
	return text;
}

struct admin_reply settings_describe(const struct install *job)
{
	const struct rpm_package *p = job->package->package;
	const struct {
		const char *feature, *value;
	} rows[] = {
	        {"template-epoch", arena_printf("%u", p->epoch)},
	        {"template-version", p->version},
	        {"template-release", p->release},
	        {"template-reponame", job->package->reponame},
	        {"template-buildtime", p->build_time ? time_text((time_t)p->build_time) : ""},
	        {"template-installtime", time_text(time(NULL))},
	        {"template-license", about(p->untrusted_license)},
	        {"template-url", about(p->untrusted_url)},
	        {"template-summary", about(p->untrusted_summary)},
	        {"template-description", about(p->untrusted_description)},
	        /* With this one it is a template that is installed. */
	        {"template-name", p->name + strlen(TEMPLATE_PREFIX)},
	};
	struct admin_reply reply = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows) && !reply.error; i++)
		reply = set_feature(job->qube, rows[i].feature, rows[i].value);
	return reply;
}
