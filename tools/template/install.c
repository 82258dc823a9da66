/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-template install, reinstall, upgrade, downgrade, download: which packages, and into which qubes. */
#include "tools/template/install.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/untrusted/name.h"

enum { POOL = ARG_OWN, NAME, NOCHECK, ALLOW_PV, SKIP_START, FOLDER, RETRIES, SPECS };

#define ROW_NOCHECK                                                                                \
	[NOCHECK] = {ARG_FLAG, {"--nogpgcheck"}, .help = "take packages whoever signed them"}
#define ROW_FOLDER                                                                                 \
	[FOLDER] = {ARG_VALUE,                                                                     \
	            {"--downloaddir"},                                                             \
	            .metavar = "DOWNLOADDIR",                                                      \
	            .help = "where packages are put; default: here"}
#define ROW_RETRIES                                                                                \
	[RETRIES] = {ARG_VALUE,                                                                    \
	             {"--retries"},                                                                \
	             .metavar = "RETRIES",                                                         \
	             .help = "how often a download is tried; default: 5"}
#define ROW_SPECS                                                                                  \
	[SPECS] = {                                                                                \
	        ARG_ANY, .metavar = "TEMPLATESPEC",                                                \
	        .help = "name, with a version if you want, and shell patterns; or a file *.rpm"}
#define ROWS_INSTALL                                                                               \
	ROW_NOCHECK,                                                                               \
	        [ALLOW_PV] = {ARG_FLAG,                                                            \
	                      {"--allow-pv"},                                                      \
	                      .help = "take templates that set virt_mode to pv"},                  \
	        [SKIP_START] = {ARG_FLAG,                                                          \
	                        {"--skip-start"},                                                  \
	                        .help = "do not start the template to call its "                   \
	                                "qubes.PostInstall"},                                      \
	        ROW_FOLDER, ROW_RETRIES, ROW_SPECS

static const struct arg install_table[] = {
        ARGS_COMMON,
        [POOL] = {ARG_VALUE, {"--pool"}, .metavar = "POOL", .help = "pool for its volumes"},
        [NAME] = {ARG_VALUE, {"--name"}, .metavar = "NAME", .help = "name of the new template"},
        ROWS_INSTALL,
        {ARG_END},
};
static const struct arg change_table[] = {
        ARGS_COMMON, [POOL] = {ARG_ABSENT}, [NAME] = {ARG_ABSENT}, ROWS_INSTALL, {ARG_END},
};
static const struct arg download_table[] = {
        ARGS_COMMON,
        [POOL] = {ARG_ABSENT},
        [NAME] = {ARG_ABSENT},
        [ALLOW_PV] = {ARG_ABSENT},
        [SKIP_START] = {ARG_ABSENT},
        ROW_NOCHECK,
        ROW_FOLDER,
        ROW_RETRIES,
        ROW_SPECS,
        {ARG_END},
};

enum mode { INSTALL, REINSTALL, UPGRADE, DOWNGRADE, DOWNLOAD };

struct task {
	const struct template_options *options;
	const struct args_program *program;
	const struct args *args;
	enum mode mode;
	struct qubes qubes;
	struct installed_list installed;
	unsigned int retries;
	int status;
};

/* What is to be installed: a file, or one of a repository. */
struct choice {
	const char *file;
	const struct template_record *record;
	const char *qube;
};

struct choices {
	struct choice *items;
	size_t n;
};

static void choose(struct choices *choices, const struct choice *choice)
{
	choices->items = arena_grow(choices->items, choices->n * sizeof(*choice),
	                            (choices->n + 1) * sizeof(*choice));
	choices->items[choices->n++] = *choice;
}

/* May this version be taken in place of what is there? */
static bool is_wanted(const struct task *task, const struct template_record *r)
{
	const struct installed *t = installed_find(&task->installed, r->name);
	struct evr evr = record_evr(r);
	int c = t ? evr_compare(&evr, &t->evr) : 0;

	switch (task->mode) {
	case REINSTALL:
		return t && c == 0;
	case UPGRADE:
		return t && (c > 0 || (c == 0 && t->unfinished));
	case DOWNGRADE:
		return t && c < 0;
	case INSTALL:
	case DOWNLOAD:
	default:
		return true;
	}
}

/* That of a repository with this name; NULL: it was not chosen yet. */
static struct choice *chosen(const struct choices *choices, const char *name)
{
	for (size_t i = 0; i < choices->n; i++) {
		struct choice *c = &choices->items[i];

		if (c->record && strcmp(c->record->name, name) == 0)
			return c;
	}
	return NULL;
}

/* Of each name the newest that is wanted. */
static void choose_records(const struct task *task, const struct available *available,
                           struct choices *choices)
{
	for (size_t i = 0; i < available->n; i++) {
		const struct template_record *r = &available->items[i];
		struct choice *c = chosen(choices, r->name);
		struct evr evr = record_evr(r), other;

		if (!is_wanted(task, r))
			continue;
		if (!c) {
			choose(choices, &(struct choice){.record = r, .qube = r->name});
			continue;
		}
		other = record_evr(c->record);
		if (evr_compare(&evr, &other) > 0)
			c->record = r;
	}
}

static bool is_file(const char *spec)
{
	const char *dot = strrchr(spec, '.');

	return dot && dot != spec && strcmp(dot, ".rpm") == 0;
}

static const char *nothing_text(enum mode mode)
{
	static const char *const texts[] = {
	        [INSTALL] = "no such template",
	        [REINSTALL] = "not installed, or its version is in no repository",
	        [UPGRADE] = "nothing newer",
	        [DOWNGRADE] = "not installed, or nothing older",
	        [DOWNLOAD] = "no such template",
	};

	return texts[mode];
}

static void choose_spec(struct task *task, const char *spec, struct choices *choices)
{
	struct available available;
	size_t before = choices->n;

	if (is_file(spec)) {
		choose(choices, &(struct choice){.file = spec});
		return;
	}
	if (!spec_legal(spec)) {
		err_printf("qvm-template: %s: not the name of a template\n", spec);
		task->status = 1;
		return;
	}
	if (available_ask(task->options, spec, &available)) {
		task->status = 1;
		return;
	}
	choose_records(task, &available, choices);
	if (choices->n > before)
		return;
	err_printf("qvm-template: %s: %s\n", spec, nothing_text(task->mode));
	/* Nothing newer is no failure. */
	task->status = task->mode == UPGRADE && available.n > 0 ? task->status : 1;
}

static const char *package_name(const struct fetched *f)
{
	return f->package->name + strlen(TEMPLATE_PREFIX);
}

static int fetch(const struct task *task, const struct choice *choice, struct fetched *ret)
{
	bool unchecked = args_has(task->args, NOCHECK);

	if (choice->file)
		return fetch_file(task->options, choice->file, unchecked, ret);
	return fetch_record(task->options, choice->record, unchecked, task->retries, ret);
}

/* Only a file's package tells then for which version it is. */
static bool file_fits(const struct task *task, const struct fetched *f, const struct installed *t)
{
	const struct evr evr = {arena_printf("%u", f->package->epoch), f->package->version,
	                        f->package->release};
	int c = t ? evr_compare(&evr, &t->evr) : 0;

	if (t && (task->mode == REINSTALL ? c == 0 : task->mode == UPGRADE ? c > 0 : c < 0))
		return true;
	err_printf("%s: %s\n", f->spec, nothing_text(task->mode));
	return false;
}

static bool is_halted(const struct task *task, const char *name)
{
	struct qube *qube = qubes_find(&task->qubes, name);

	if (qube && strcmp(qube->class, "TemplateVM") == 0 && !is_running(qube))
		return true;
	err_printf("%s: shut it down first\n", name);
	return false;
}

static int install(const struct task *task, const struct fetched *f, const char *qube)
{
	const struct installed *t = installed_find(&task->installed, qube);
	const struct install job = {
	        .options = task->options,
	        .package = f,
	        .qube = qube,
	        .pool = task->mode == INSTALL ? args_value(task->args, POOL) : NULL,
	        .existing = task->mode != INSTALL,
	        .allow_pv = args_has(task->args, ALLOW_PV),
	        .skip_start = args_has(task->args, SKIP_START),
	};

	if (untrusted_qube_name_check(qube, strlen(qube)) != UNTRUSTED_QUBE_NAME_OK) {
		err_printf("%s: not a name for a qube; --name gives another\n", qube);
		return -1;
	}
	if (task->mode != INSTALL && (!file_fits(task, f, t) || !is_halted(task, qube)))
		return -1;
	if (!task->options->quiet)
		err_printf("%s: installing %s-%s\n", qube, f->package->version,
		           f->package->release);
	return install_make(&job);
}

/* With its name already taken: said, and left as it is. */
static bool is_there(const struct task *task, const char *qube)
{
	if (task->mode != INSTALL || !qubes_find(&task->qubes, qube))
		return false;
	if (installed_find(&task->installed, qube))
		err_printf("Template '%s' already installed, skipping... (You may want to use the "
		           "{reinstall,upgrade,downgrade} operations.)\n",
		           qube);
	else
		err_printf("%s: there is a qube of this name\n", qube);
	return true;
}

static int do_choice(struct task *task, const struct choice *choice)
{
	const char *name = task->mode == INSTALL ? args_value(task->args, NAME) : NULL;
	const char *folder = task->mode == DOWNLOAD || args_has(task->args, FOLDER)
	                             ? args_value(task->args, FOLDER)
	                             : NULL;
	const char *path;
	struct fetched f;
	int r = 0;

	if (task->mode == DOWNLOAD && !folder)
		folder = ".";
	name = name ? name : choice->qube;
	if (name && is_there(task, name))
		return installed_find(&task->installed, name) ? 0 : -1;
	if (fetch(task, choice, &f))
		return -1;
	name = name ? name : package_name(&f);
	if (folder && !choice->file) {
		path = fetch_keep(&f, folder);
		r = path ? 0 : -1;
		if (path && task->mode == DOWNLOAD)
			out_printf("%s\n", path);
	}
	if (r == 0 && task->mode != DOWNLOAD) {
		if (!choice->qube && is_there(task, name))
			r = installed_find(&task->installed, name) ? 0 : -1;
		else
			r = install(task, &f, name);
	}
	(void)close(f.fd);
	return r;
}

/* What is in these templates is lost: is that meant? */
static bool may_change(const struct task *task, const struct choices *choices)
{
	if (task->mode == INSTALL || task->mode == DOWNLOAD || choices->n == 0 ||
	    task->options->yes)
		return true;
	err_printf("This will override changes made in the following VMs:\n");
	for (size_t i = 0; i < choices->n; i++)
		out_printf("  %s\n", choices->items[i].qube ? choices->items[i].qube
		                                            : choices->items[i].file);
	return confirm();
}

static void choose_all(struct task *task, struct choices *choices)
{
	const struct arg_given *specs = &task->args->given[SPECS];

	for (size_t i = 0; i < specs->n; i++)
		choose_spec(task, specs->items[i], choices);
	if (specs->n > 0)
		return;
	if (task->mode != UPGRADE)
		args_error(task->program, "the following arguments are required: TEMPLATESPEC");
	if (task->installed.n > 0)
		choose_spec(task, "*", choices);
}

static unsigned int retries_of(const struct args *args)
{
	const char *text = args_value(args, RETRIES);
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 5;

	if (text && (*text < '0' || *text > '9' || *end || n > 1000))
		args_error(args->program, "argument --retries: invalid int value: %s",
		           text_repr(text));
	return (unsigned int)n;
}

static int do_all(struct task *task)
{
	struct choices choices = {0};

	task->retries = retries_of(task->args);
	if (task->mode != DOWNLOAD) {
		cache_lock(task->options);
		task->qubes = qubes_or_fail(task->program);
		task->installed = installed_load(&task->qubes);
	}
	choose_all(task, &choices);
	if (task->mode == INSTALL && args_has(task->args, NAME) && choices.n != 1)
		args_error(task->program, "--name goes with exactly one template");
	if (!may_change(task, &choices)) {
		err_printf("Cancelled.\n");
		return 1;
	}
	for (size_t i = 0; i < choices.n; i++) {
		if (do_choice(task, &choices.items[i]))
			task->status = 1;
	}
	return task->status;
}

int template_install(const struct template_options *options, const char *command, int argc,
                     const char *const *argv)
{
	static const struct {
		const char *command, *description;
		const struct arg *table;
	} rows[] = {
	        [INSTALL] = {"install", "Install templates.", install_table},
	        [REINSTALL] = {"reinstall", "Install templates again, over what they became.",
	                       change_table},
	        [UPGRADE] = {"upgrade", "Replace templates by newer ones.", change_table},
	        [DOWNGRADE] = {"downgrade", "Replace templates by older ones.", change_table},
	};
	struct task task = {.options = options};
	size_t i = 0;

	while (i < ARRAY_LEN(rows) - 1 && strcmp(rows[i].command, command) != 0)
		i++;
	task.mode = (enum mode)i;
	task.program = &(const struct args_program){arena_printf("qvm-template %s", command),
	                                            rows[i].description, NULL, rows[i].table};
	task.args = args_parse(task.program, argc, argv);
	return do_all(&task);
}

int template_download(const struct template_options *options, int argc, const char *const *argv)
{
	static const struct args_program program = {"qvm-template download",
	                                            "Download the packages of templates.", NULL,
	                                            download_table};
	struct task task = {.options = options, .program = &program, .mode = DOWNLOAD};

	task.args = args_parse(&program, argc, argv);
	return do_all(&task);
}
