/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Columns of qvm-ls. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/qvm/ls.h"

#define MIB (1024LL * 1024)

static const char *dash(const char *text)
{
	return text && *text ? text : "-";
}

static const char *cell_property(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	(void)ls;
	return dash(qube_property(qube, column->property));
}

static const char *cell_name(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	(void)ls, (void)column;
	return qube->name;
}

static const char *cell_class(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	(void)ls, (void)column;
	return dash(qube->class);
}

static const char *cell_state(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	(void)column;
	return ls_state(ls, qube);
}

/* The first letter is the class, a capital for a full virtual machine; then the state; then switches. */
static const char *cell_flags(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	static const struct {
		const char *word;
		char letter;
	} classes[] = {{"AdminVM", '0'},
	               {"TemplateVM", 't'},
	               {"AppVM", 'a'},
	               {"StandaloneVM", 's'},
	               {"DispVM", 'd'}},
	  states[] = {{"Running", 'r'}, {"Transient", 't'}, {"Paused", 'p'},  {"Suspended", 's'},
	              {"Halting", 'h'}, {"Dying", 'd'},     {"Crashed", 'c'}, {"NA", '?'}},
	  switches[] = {{"updateable", 'U'},
	                {"provides_network", 'N'},
	                {"installed_by_rpm", 'R'},
	                {"internal", 'i'},
	                {"debug", 'D'},
	                {"autostart", 'A'}};
	const char *mode = qube_property(qube, "virt_mode");
	char *flags = arena_dup("--------");

	(void)column;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(classes[i].word, qube->class) == 0)
			flags[0] = classes[i].letter;
	if (mode && strcmp(mode, "hvm") == 0)
		flags[0] = (char)toupper((unsigned char)flags[0]);
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(states[i].word, ls_state(ls, qube)) == 0)
			flags[1] = states[i].letter;
	for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
		const char *value = qube_property(qube, switches[i].word);

		if (value && strcmp(value, "True") == 0)
			flags[2 + i] = switches[i].letter;
	}
	return flags;
}

static const char *cell_gateway(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	const char *name = qube_property(qube, "netvm");
	struct qube *netvm = name ? qubes_find(ls->qubes, name) : NULL;

	(void)column;
	return dash(netvm ? qube_property(netvm, "gateway") : NULL);
}

static const char *cell_memory(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	(void)column;
	if (strcmp(ls_state(ls, qube), "Halted") == 0)
		return "-";
	if (!qube->power)
		(void)state_now(qube);
	return arena_printf("%lld", qube->memory_kib / 1024);
}

static long long volume_number(const struct qube *qube, const char *volume, const char *key)
{
	struct admin_reply reply = admin_call("admin.vm.volume.Info", volume, qube->name, NULL);
	const char *value = lines_field(reply.content, key);

	return value ? strtoll(value, NULL, 10) : 0;
}

static struct text_list volumes_of(const struct qube *qube)
{
	static const struct qube *last;
	static struct text_list list;

	if (last != qube) {
		list = text_list_lines(
		        admin_call("admin.vm.volume.List", NULL, qube->name, NULL).content);
		last = qube;
	}
	return list;
}

static const char *cell_disk(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	struct text_list volumes = volumes_of(qube);
	long long sum = 0;

	(void)ls, (void)column;
	for (size_t i = 0; i < volumes.n; i++)
		sum += volume_number(qube, volumes.items[i], "usage");
	return volumes.n ? arena_printf("%lld", sum / MIB) : "-";
}

/* PRIV-CURR, ROOT-MAX …: the property of such a column is "VOLUME KEY". */
static const char *cell_volume(struct ls *ls, struct qube *qube, const struct ls_column *column)
{
	struct text_list volumes = volumes_of(qube);
	const char *key = strchr(column->property, ' ') + 1;
	const char *volume = arena_copy(column->property, (size_t)(key - 1 - column->property));
	long long usage, size;

	(void)ls;
	if (!text_list_has(&volumes, volume))
		return "-";
	if (strcmp(key, "used") != 0)
		return arena_printf("%lld", volume_number(qube, volume, key) / MIB);
	usage = volume_number(qube, volume, "usage");
	size = volume_number(qube, volume, "size");
	return size > 0 ? arena_printf("%lld%%", usage * 100 / size) : "-";
}

static const struct ls_column known[] = {
        {"NAME", 0, NULL, cell_name, "name of the qube"},
        {"STATE", LS_NEED_STATE, NULL, cell_state, "Halted, Running, Paused …"},
        {"CLASS", 0, NULL, cell_class, "class of the qube"},
        {"LABEL", LS_NEED_PROPERTIES, "label", cell_property, "label"},
        {"TEMPLATE", LS_NEED_PROPERTIES, "template", cell_property, "template"},
        {"NETVM", LS_NEED_PROPERTIES, "netvm", cell_property, "qube that gives it a network"},
        {"QID", LS_NEED_PROPERTIES, "qid", cell_property, "number of the qube"},
        {"XID", LS_NEED_PROPERTIES, "xid", cell_property, "number while it runs"},
        {"UUID", LS_NEED_PROPERTIES, "uuid", cell_property, "unique identifier"},
        {"IP", LS_NEED_PROPERTIES, "ip", cell_property, "IP address"},
        {"GATEWAY", LS_NEED_PROPERTIES | LS_NEED_MORE, "gateway", cell_gateway, "its gateway"},
        {"FLAGS", LS_NEED_PROPERTIES | LS_NEED_STATE, NULL, cell_flags,
         "class, state, Updateable, gives Network, from an Rpm, internal, Debug, Autostart"},
        {"MEMORY", LS_NEED_STATE | LS_NEED_MEMORY, NULL, cell_memory, "memory in use, MiB"},
        {"DISK", LS_NEED_MORE, NULL, cell_disk, "space that all volumes use, MiB"},
        {"PRIV-CURR", LS_NEED_MORE, "private usage", cell_volume,
         "space the private volume uses, MiB"},
        {"PRIV-MAX", LS_NEED_MORE, "private size", cell_volume, "size of the private volume, MiB"},
        {"PRIV-USED", LS_NEED_MORE, "private used", cell_volume, "use of the private volume, %"},
        {"ROOT-CURR", LS_NEED_MORE, "root usage", cell_volume, "space the root volume uses, MiB"},
        {"ROOT-MAX", LS_NEED_MORE, "root size", cell_volume, "size of the root volume, MiB"},
        {"ROOT-USED", LS_NEED_MORE, "root used", cell_volume, "use of the root volume, %"},
};

static const struct {
	const char *name, *columns;
} formats[] = {
        {"disk", "name,state,disk,priv-curr,priv-max,priv-used,root-curr,root-max,root-used"},
        {"full", "name,state,class,label,qid,xid,uuid"},
        {"kernel", "name,state,class,template,kernel,kernelopts"},
        {"network", "name,state,netvm,ip,ipback,gateway"},
        {"prefs", "name,label,template,netvm,vcpus,initialmem,maxmem,virt-mode"},
        {"simple", "name,state,class,label,template,netvm"},
};

const char *ls_format(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].columns;
	return NULL;
}

static const char *upper(const char *text, char from, char to)
{
	char *copy = arena_dup(text);

	for (char *p = copy; *p; p++)
		*p = *p == from ? to : (char)toupper((unsigned char)*p);
	return copy;
}

static struct ls_column column_named(const char *name)
{
	const char *heading = upper(name, '_', '-');
	char *property = arena_dup(name);

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].heading, heading) == 0)
			return known[i];
	for (char *p = property; *p; p++)
		*p = *p == '-' ? '_' : (char)tolower((unsigned char)*p);
	return (struct ls_column){heading, LS_NEED_PROPERTIES, property, cell_property, ""};
}

const struct ls_column *ls_columns(const char *names, size_t *ret_n)
{
	struct ls_column *columns;
	size_t n = 1;

	for (const char *p = names; *p; p++)
		n += *p == ',';
	columns = arena_alloc(n * sizeof(*columns));
	*ret_n = 0;
	while (*ret_n < n) {
		size_t len = strcspn(names, ",");

		columns[(*ret_n)++] = column_named(arena_copy(names, len));
		names += len + (names[len] == ',');
	}
	return columns;
}

void ls_formats_print(void)
{
	struct table table = table_new(2, NULL);

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		const char **cells = table_row(&table);

		cells[0] = formats[i].name;
		cells[1] = upper(formats[i].columns, ',', ' ');
	}
	table_print(&table);
}

void ls_columns_print(void)
{
	struct table table = table_new(2, NULL);

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const char **cells = table_row(&table);

		cells[0] = known[i].heading;
		cells[1] = known[i].help;
	}
	table_print(&table);
	out_text("\nEvery property is a column too: 'qvm-prefs --help-properties' lists them.\n");
}

const char *ls_state(struct ls *ls, struct qube *qube)
{
	return ls->named ? state_of(qube) : qube->state;
}

/* Adds a request; its answer is for the same qube. */
static void want(struct admin_request *requests, size_t *n, const char *method, struct qube *qube)
{
	requests[(*n)++] = (struct admin_request){.method = method, .target = qube->name};
}

#define FLAGS_SHOWN                                                                                \
	"virt_mode\nupdateable\nprovides_network\ninstalled_by_rpm\ninternal\ndebug\nautostart"

/* The properties that the columns show, a line each, and more. */
static const char *properties_shown(const struct ls *ls, const char *more)
{
	const char *names = more;

	for (size_t c = 0; c < ls->n_columns; c++) {
		const struct ls_column *column = &ls->columns[c];

		if (column->cell == cell_flags)
			names = arena_printf("%s\n" FLAGS_SHOWN, names);
		else if ((column->needs & LS_NEED_PROPERTIES) && column->property)
			names = arena_printf("%s\n%s", names, column->property);
	}
	return names;
}

void ls_load(struct ls *ls, unsigned int needs, const char *more)
{
	struct admin_request *requests = arena_alloc((2 * ls->n + 1) * sizeof(*requests));
	bool states = ls->named && (needs & LS_NEED_STATE);
	size_t n = 0, at = 0;

	if (needs & LS_NEED_MORE)
		return; /* asked for cell by cell */
	if ((needs & LS_NEED_PROPERTIES) &&
	    qube_properties_table(ls->shown, ls->n, properties_shown(ls, more)))
		needs &= ~(unsigned int)LS_NEED_PROPERTIES;
	for (size_t i = 0; i < ls->n; i++) {
		struct qube *qube = ls->shown[i];
		bool memory = (needs & LS_NEED_MEMORY) && strcmp(qube->state, "Halted") != 0;

		if (!qube->power && (states || memory))
			want(requests, &n, "admin.vm.CurrentState", qube);
		if (!qube->properties && (needs & LS_NEED_PROPERTIES))
			want(requests, &n, "admin.vm.property.GetAll", qube);
	}
	admin_call_all(requests, n);
	for (size_t i = 0; i < ls->n; i++) {
		for (; at < n && requests[at].target == ls->shown[i]->name; at++) {
			if (strcmp(requests[at].method, "admin.vm.CurrentState") == 0)
				qube_take_current(ls->shown[i], &requests[at].reply);
			else
				qube_properties_take(ls->shown[i], &requests[at].reply);
		}
	}
}
