/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-volume */
#include "tools/qvm/volume.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const actions[] = {"list", "ls",  "l",      "info",   "i",      "config",
                                      "c",    "set", "s",      "resize", "extend", "revert",
                                      "rv",   "r",   "import", "clear",  "clone",  NULL};

enum { ACTION = ARG_OWN };
static const struct arg table[] = {
        ARGS_COMMON,
        [ACTION] = {ARG_COMMANDS, .metavar = "COMMAND", .choices = actions,
                    .help = "list (the default), info, config, resize, revert, import, clear, "
                            "clone; each has --help"},
        {ARG_END},
};
static const struct args_program program = {"qvm-volume", "Show and change the volumes of qubes.",
                                            NULL, table};

enum { LIST_POOL = ARG_OWN, LIST_VMNAME };
static const struct arg list_table[] = {
        ARGS_COMMON,
        [LIST_POOL] = {ARG_VALUE,
                       {"--pool", "-p"},
                       .metavar = "POOL",
                       .help = "only volumes of this pool"},
        [LIST_VMNAME] = ARG_ROW_VMNAME(ARG_ANY),
        {ARG_END},
};

/* The others have the volume first, then up to two words; and these options. */
enum { FORCE = ARG_OWN, SIZE, NO_RESIZE, VOLUME, WORD1, WORD2 };
#define ROW_FORCE                                                                                  \
	[FORCE] = {ARG_FLAG, {"--force", "-f"}, .help = "do not ask, do it where it may lose data"}
#define ROW_NO_FORCE [FORCE] = {ARG_ABSENT}
#define ROWS_NO_SIZE [SIZE] = {ARG_ABSENT}, [NO_RESIZE] = {ARG_ABSENT}
#define ROW_VOLUME   [VOLUME] = {ARG_ONE, .metavar = "VMNAME:VOLUME", .help = "the volume"}

static const struct arg info_table[] = {ARGS_COMMON,
                                        ROW_NO_FORCE,
                                        ROWS_NO_SIZE,
                                        ROW_VOLUME,
                                        [WORD1] = {ARG_ONE_MAYBE, .metavar = "PROPERTY",
                                                   .help = "show this only; revisions too"},
                                        {ARG_END}};
static const struct arg config_table[] = {
        ARGS_COMMON,
        ROW_NO_FORCE,
        ROWS_NO_SIZE,
        ROW_VOLUME,
        [WORD1] = {ARG_ONE, .metavar = "PROPERTY", .help = "revisions_to_keep, rw or ephemeral"},
        [WORD2] = {ARG_ONE, .metavar = "VALUE", .help = "new value"},
        {ARG_END}};
static const struct arg resize_table[] = {
        ARGS_COMMON,
        ROW_FORCE,
        ROWS_NO_SIZE,
        ROW_VOLUME,
        [WORD1] = {ARG_ONE, .metavar = "SIZE", .help = "new size: bytes, or with a unit as 10GiB"},
        {ARG_END}};
static const struct arg revert_table[] = {ARGS_COMMON,
                                          ROW_NO_FORCE,
                                          ROWS_NO_SIZE,
                                          ROW_VOLUME,
                                          [WORD1] = {ARG_ONE_MAYBE, .metavar = "REVISION",
                                                     .help = "revision; without it the newest"},
                                          {ARG_END}};
static const struct arg clear_table[] = {
        ARGS_COMMON, ROW_FORCE, ROWS_NO_SIZE, ROW_VOLUME, {ARG_END}};
static const struct arg clone_table[] = {ARGS_COMMON,
                                         ROW_FORCE,
                                         ROWS_NO_SIZE,
                                         ROW_VOLUME,
                                         [WORD1] = {ARG_ONE, .metavar = "VMNAME:VOLUME",
                                                    .help = "the volume that becomes a copy"},
                                         {ARG_END}};
static const struct arg import_table[] = {ARGS_COMMON,
                                          ROW_NO_FORCE,
                                          [SIZE] = {ARG_VALUE,
                                                    {"--size"},
                                                    .metavar = "SIZE",
                                                    .group = 1,
                                                    .help = "bytes that come; for a pipe"},
                                          [NO_RESIZE] = {ARG_FLAG,
                                                         {"--no-resize"},
                                                         .group = 1,
                                                         .help = "keep the size of the volume"},
                                          ROW_VOLUME,
                                          [WORD1] = {ARG_ONE, .metavar = "PATH",
                                                     .help = "file, or - for standard input"},
                                          {ARG_END}};

static int error(const char *text)
{
	err_printf("Error: %s\n", text);
	return 1;
}

static int done(const struct admin_reply *reply)
{
	if (!reply->error)
		return 0;
	fail_trace(reply);
	return error(admin_error_shown(reply));
}

long long size_parse(const char *text)
{
	static const struct {
		const char *unit;
		long long bytes;
	} units[] = {
	        {"", 1},
	        {"b", 1},
	        {"k", 1024},
	        {"kb", 1000},
	        {"kib", 1024},
	        {"m", 1024 * 1024},
	        {"mb", 1000 * 1000},
	        {"mib", 1024 * 1024},
	        {"g", 1024LL * 1024 * 1024},
	        {"gb", 1000LL * 1000 * 1000},
	        {"gib", 1024LL * 1024 * 1024},
	        {"t", 1024LL * 1024 * 1024 * 1024},
	        {"tb", 1000LL * 1000 * 1000 * 1000},
	        {"tib", 1024LL * 1024 * 1024 * 1024},
	};
	char *lower = arena_dup(text), *end;
	long long n, bytes;

	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!isdigit((unsigned char)*lower) || strspn(lower, "0123456789") > 18)
		return -1;
	n = strtoll(lower, &end, 10);
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(end, units[i].unit) == 0)
			return __builtin_mul_overflow(n, units[i].bytes, &bytes) ? -1 : bytes;
	return -1;
}

struct volume_name {
	const char *qube, *volume;
};

static struct volume_name name_split(const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon)
		args_error(&program,
		           "expected a qube and volume identifier like \"foo:bar\" but got %s",
		           text_repr(text));
	return (struct volume_name){arena_copy(text, (size_t)(colon - text)), colon + 1};
}

/* Whether there is such a volume. */
static void name_check(const struct qubes *qubes, const struct volume_name *name)
{
	struct text_list volumes;

	if (!qubes_find(qubes, name->qube))
		fail(&program, "no vm %s", text_repr(name->qube));
	volumes = text_list_lines(
	        call_or_fail(&program, "admin.vm.volume.List", NULL, name->qube, NULL).content);
	if (!text_list_has(&volumes, name->volume))
		fail(&program, "vm %s has no volume %s", text_repr(name->qube),
		     text_repr(name->volume));
}

static struct admin_reply call(const struct volume_name *name, const char *what,
                               const char *payload)
{
	return admin_call(arena_printf("admin.vm.volume.%s", what), name->volume, name->qube,
	                  payload);
}

/* One value, asked for by itself. */
static const char *field(const struct volume_name *name, const char *key)
{
	struct admin_reply reply = call(name, "Info", NULL);

	if (reply.error)
		fail_reply(&program, &reply);
	return lines_field(reply.content, key);
}

static struct text_list revisions_of(const struct volume_name *name)
{
	struct admin_reply reply = call(name, "ListSnapshots", NULL);

	if (reply.error)
		fail_reply(&program, &reply);
	return text_list_lines(reply.content);
}

static int info(const struct args *args, const struct volume_name *name)
{
	static const char *const keys[] = {"pool",      "vid",          "rw",
	                                   "source",    "save_on_stop", "snap_on_start",
	                                   "size",      "usage",        "revisions_to_keep",
	                                   "ephemeral", "is_outdated"};
	const char *wanted = args_value(args, WORD1), *value;
	struct table shown = table_new(2, NULL);
	struct text_list revisions;

	if (wanted && strcmp(wanted, "revisions") != 0) {
		value = field(name, wanted);
		if (!value)
			return error(arena_printf("Invalid property: %s", wanted));
		out_printf("%s\n", value);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys) && !wanted; i++) {
		const char **cells;

		value = field(name, keys[i]);
		if (!value)
			continue;
		cells = table_row(&shown);
		cells[0] = keys[i];
		cells[1] = value;
	}
	table_print(&shown);
	revisions = revisions_of(name);
	if (out_is_json() && !wanted)
		return 0;
	if (!wanted)
		out_printf("List of available revisions (for revert):%s\n",
		           revisions.n ? "" : " none");
	for (size_t i = 0; i < revisions.n; i++)
		out_printf("%s%s\n", wanted ? "" : "  ", revisions.items[i]);
	return 0;
}

static int config(const struct args *args, const struct volume_name *name)
{
	static const char *const keys[] = {"revisions_to_keep", "rw", "ephemeral"};
	const char *key = args_value(args, WORD1);
	struct admin_reply reply;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i], key) != 0)
			continue;
		reply = call(name, arena_printf("Set.%s", key), args_value(args, WORD2));
		return done(&reply);
	}
	return error(arena_printf("Invalid property: %s", key));
}

static int resize(const struct args *args, const struct volume_name *name)
{
	const char *text = args_value(args, WORD1), *now;
	long long size = size_parse(text);
	struct admin_reply reply;

	if (size < 0)
		args_error(args->program, "Invalid size: %s", text_repr(text));
	now = field(name, "size");
	if (now && size < strtoll(now, NULL, 10) && !args_has(args, FORCE)) {
		return error(arena_printf(
		        "Refusing to shrink volume %s:%s from %s to %lld bytes.\n"
		        "If you really know what you are doing: Manually shrink the filesystem on "
		        "the "
		        "volume first, and repartition the volume if it is partitioned. Do this in "
		        "a "
		        "VM, not in dom0. Then use 'qvm-volume resize --force %s:%s %lld'",
		        name->qube, name->volume, now, size, name->qube, name->volume, size));
	}
	reply = call(name, "Resize", arena_printf("%lld", size));
	return done(&reply);
}

static int revert(const struct args *args, const struct volume_name *name)
{
	const char *revision = args_value(args, WORD1);
	struct text_list revisions;
	struct admin_reply reply;

	if (!revision) {
		if (revisions_of(name).n == 0)
			return error("No snapshots available");
		revisions = revisions_of(name);
		if (revisions.n == 0)
			return error("No snapshots available");
		revision = revisions.items[revisions.n - 1];
	}
	reply = call(name, "Revert", revision);
	return done(&reply);
}

static bool may_lose(const struct args *args, const struct volume_name *name)
{
	if (args_has(args, FORCE))
		return true;
	err_printf("This replaces everything that is on volume %s:%s.\n", name->qube, name->volume);
	return confirm();
}

static int clear(const struct args *args, const struct volume_name *name)
{
	struct admin_reply reply;

	if (!may_lose(args, name))
		return 1;
	reply = call(name, "Clear", NULL);
	return done(&reply);
}

static bool is_saved(const struct volume_name *name)
{
	const char *saved = field(name, "save_on_stop");

	return saved && strcmp(saved, "True") == 0;
}

static int clone(const struct args *args, const struct volume_name *from,
                 const struct volume_name *to)
{
	struct admin_reply reply;

	if (!is_saved(from) || !is_saved(to))
		return error("Volumes must be save_on_stop for cloning");
	if (!may_lose(args, to))
		return 1;
	reply = call(from, "CloneFrom", NULL);
	if (!reply.error)
		reply = call(to, "CloneTo", reply.content);
	return done(&reply);
}

static int import(const struct args *args, const struct volume_name *name)
{
	const char *text = args_value(args, SIZE);
	long long size =
	        args_has(args, NO_RESIZE) ? VOLUME_IMPORT_NO_RESIZE : VOLUME_IMPORT_SIZE_OF_FILE;
	struct admin_reply reply;

	if (text) {
		size = size_parse(text);
		if (size < 0)
			args_error(args->program, "Invalid size: %s", text_repr(text));
	}
	reply = volume_import(name->qube, name->volume, args_value(args, WORD1), size);
	return done(&reply);
}

static const struct {
	const char *names[3];
	const char *description;
	const struct arg *table;
	int (*run)(const struct args *args, const struct volume_name *name);
} runs[] = {
        {{"info", "i"}, "Show a volume.", info_table, info},
        {{"config", "c"}, "Change a property of a volume.", config_table, config},
        {{"set", "s"}, "Change a property of a volume.", config_table, config},
        {{"resize", "extend"}, "Change the size of a volume.", resize_table, resize},
        {{"revert", "rv", "r"}, "Bring back an earlier state of a volume.", revert_table, revert},
        {{"import"}, "Replace the contents of a volume by a file.", import_table, import},
        {{"clear"}, "Empty a volume.", clear_table, clear},
        {{"clone"}, "Replace a volume by a copy of another: from, to.", clone_table, NULL},
};

static int list(int argc, const char *const *argv)
{
	static const struct args_program list_program = {"qvm-volume list", "List volumes.", NULL,
	                                                 list_table};
	const struct args *args = args_parse(&list_program, argc, argv);
	struct qubes qubes = qubes_or_fail(&program);
	struct qube_list only;

	if (!args->given[LIST_VMNAME].n)
		return volume_list(&program, &qubes, NULL, args_value(args, LIST_POOL));
	only = qubes_named(args, &qubes, LIST_VMNAME, -1, -1);
	return volume_list(&program, &qubes, &only, args_value(args, LIST_POOL));
}

static int run(size_t which, int argc, const char *const *argv)
{
	struct args_program this = {arena_printf("qvm-volume %s", runs[which].names[0]),
	                            runs[which].description, NULL, runs[which].table};
	const struct args *args = args_parse(&this, argc, argv);
	struct volume_name name = name_split(args_value(args, VOLUME)), other;
	struct qubes qubes = qubes_or_fail(&program);

	name_check(&qubes, &name);
	if (runs[which].run)
		return runs[which].run(args, &name);
	other = name_split(args_value(args, WORD1));
	name_check(&qubes, &other);
	return clone(args, &name, &other);
}

int qvm_volume_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	const char *action;
	int n;

	if (!args_has(args, ACTION))
		return list(0, argv);
	action = args->given[ACTION].items[0];
	n = (int)args->given[ACTION].n - 1;
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		for (size_t j = 0; j < ARRAY_LEN(runs[i].names) && runs[i].names[j]; j++)
			if (strcmp(runs[i].names[j], action) == 0)
				return run(i, n, args->given[ACTION].items + 1);
	return list(n, args->given[ACTION].items + 1);
}
