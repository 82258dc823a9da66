/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the qvm-* commands share: naming qubes, failing as the original's do, asking the user. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/qvm/qvm.h"

void fail(const struct args_program *program, const char *fmt, ...)
{
	va_list ap;
	char text[8192];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_printf("%s: error: %s\n", args_name(program), text);
	out_end(1);
}

void fail_trace(const struct admin_reply *reply)
{
	if (!admin_error_is(reply, ADMIN_ERROR_FOREIGN))
		return;
	err_printf("%s\n", admin_error_trace(reply));
	out_end(1);
}

void fail_reply(const struct args_program *program, const struct admin_reply *reply)
{
	fail_trace(reply);
	fail(program, "%s", admin_error_shown(reply));
}

struct admin_reply call_or_fail(const struct args_program *program, const char *method,
                                const char *argument, const char *target, const char *payload)
{
	struct admin_reply reply = admin_call(method, argument, target, payload);

	if (reply.error)
		fail_reply(program, &reply);
	return reply;
}

struct qubes qubes_or_fail(const struct args_program *program)
{
	struct qubes qubes = qubes_load();

	if (qubes.reply.error)
		fail_reply(program, &qubes.reply);
	return qubes;
}

bool is_dom0(const struct qube *qube)
{
	return strcmp(qube->class, "AdminVM") == 0;
}

static struct qube *find_or_end(const struct args *args, const struct qubes *qubes,
                                const char *name)
{
	struct qube *qube = qubes_find(qubes, name);

	if (!qube)
		args_error(args->program, "no such domain: %s", text_repr(name));
	return qube;
}

struct qube *qube_named(const struct args *args, const struct qubes *qubes, int row)
{
	return find_or_end(args, qubes, args_value(args, row));
}

static void list_add(struct qube_list *list, struct qube *qube)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i] == qube)
			return;
	list->items[list->n++] = qube;
}

/* Adds what a name or a pattern means. */
static void list_match(const struct args *args, const struct qubes *qubes, const char *pattern,
                       struct qube_list *list)
{
	size_t before = list->n;

	if (!strpbrk(pattern, "*?[")) {
		list_add(list, find_or_end(args, qubes, pattern));
		return;
	}
	for (size_t i = 0; i < qubes->n; i++)
		if (fnmatch(pattern, qubes->items[i].name, 0) == 0)
			list_add(list, &qubes->items[i]);
	if (list->n == before)
		args_error(args->program, "no such domain: %s", text_repr(pattern));
}

static bool is_excluded(const struct args *args, int exclude, const char *name)
{
	for (size_t i = 0; exclude >= 0 && i < args->given[exclude].n; i++)
		if (fnmatch(args->given[exclude].items[i], name, 0) == 0)
			return true;
	return false;
}

struct qube_list qubes_named(const struct args *args, const struct qubes *qubes, int row, int all,
                             int exclude)
{
	struct qube_list list = {.items = arena_alloc((qubes->n + 1) * sizeof(struct qube *))};

	if (all >= 0 && args_has(args, all)) {
		for (size_t i = 0; i < qubes->n; i++)
			if (!is_dom0(&qubes->items[i]) &&
			    !is_excluded(args, exclude, qubes->items[i].name))
				list_add(&list, &qubes->items[i]);
		return list;
	}
	for (size_t i = 0; i < args->given[row].n; i++)
		list_match(args, qubes, args->given[row].items[i], &list);
	return list;
}

const char *state_now(struct qube *qube)
{
	struct admin_reply reply = admin_call("admin.vm.CurrentState", NULL, qube->name, NULL);

	if (reply.error) {
		fail_trace(&reply);
		return "NA";
	}
	qube_take_current(qube, &reply);
	return qube->power;
}

const char *state_of(struct qube *qube)
{
	return qube->power ? qube->power : state_now(qube);
}

bool is_running(struct qube *qube)
{
	const char *state = state_of(qube);

	return strcmp(state, "Halted") != 0 && strcmp(state, "NA") != 0;
}

bool bool_parse(const char *text, bool *ret)
{
	static const char *const yes[] = {"1", "yes", "true", "on"};
	static const char *const no[] = {"0", "no", "false", "off"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*ret = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

bool confirm(void)
{
	char line[64];

	out_text("Are you sure? [y/N] ");
	out_flush();
	if (!fgets(line, sizeof(line), stdin))
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
}
