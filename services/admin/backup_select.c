/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which qubes are in a backup, and the table that says so. */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/paths.h"
#include "services/admin/backup_internal.h"
#include "services/admin/request.h"

static struct {
	char name[64]; /* dom0-home/USER; "": none */
	char path[PATH_MAX];
} home;

/* The first folder in /home: a dom0 has one user. */
void backup_home_find(void)
{
	char dir[PATH_MAX];
	struct dirent **entries;
	int n = path_make(dir, sizeof(dir), "/home", NULL)
	                ? -1
	                : scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (!home.name[0] && entries[i]->d_type == DT_DIR && name[0] != '.' &&
		    strcmp(name, "lost+found") != 0 && strlen(name) < 40 &&
		    request_safe(name, SET_LETTERS SET_DIGITS "_.-") && name[0] != '-' &&
		    path_make(home.path, sizeof(home.path), "/home", name) == 0)
			(void)snprintf(home.name, sizeof(home.name), "dom0-home/%s", name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

const char *backup_home(const char **ret_path)
{
	*ret_path = home.path;
	return home.name[0] ? home.name : NULL;
}

struct volume *backup_volume(const struct qube *q, size_t part)
{
	static const char *const names[BACKUP_PARTS] = {"root", "private"};
	struct volume *v = volume_by_name(q, names[part]);
	const struct pool *p = v ? pool_by_name(v->pool) : NULL;

	return v && v->save_on_stop && p && !text_equal(p->driver, "host") ? v : NULL;
}

/* "$type:CLASS", "$tag:TAG", the same with "@", or a name. */
static bool term_matches(const char *term, const struct qube *q)
{
	if (term[0] != '$' && term[0] != '@')
		return text_equal(term, q->name);
	if (text_starts(term + 1, "type:"))
		return text_equal(term + 6, class_name(q->klass));
	return text_starts(term + 1, "tag:") && tag_has(q, term + 5);
}

static bool any_matches(const char *const *terms, size_t n, const struct qube *q)
{
	for (size_t i = 0; i < n; i++)
		if (term_matches(terms[i], q))
			return true;
	return false;
}

static bool check_term(const char *term, struct fault *f)
{
	if (term[0] == '$' || term[0] == '@')
		return text_starts(term + 1, "type:") || text_starts(term + 1, "tag:")
		               ? true
		               : fault_set(f, E_QUBES, "Invalid backup profile - unknown: %.100s",
		                           term);
	return qube_by_name(term) ? true
	                          : fault_set(f, E_NOT_FOUND, "No such domain: '%.100s'", term);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct saved *)a)->q->name, ((const struct saved *)b)->q->name);
}

const struct saved *backup_find(const struct saved *list, size_t n, struct qube *q)
{
	const struct saved key = {.q = q};

	return n > 0 ? bsearch(&key, list, n, sizeof(*list), by_name) : NULL;
}

bool backup_select(const struct backup_profile *p, struct saved **ret_list, size_t *ret_n,
                   struct fault *f)
{
	struct saved *list;
	size_t n = 0;

	for (size_t i = 0; i < p->n_include; i++)
		if (!check_term(p->include[i], f))
			return false;
	list = memory_get((world.n_qubes + 1) * sizeof(*list));
	for (size_t i = 0; i < world.n_qubes; i++) {
		struct qube *q = world.qubes[i];

		if (any_matches(p->include, p->n_include, q) &&
		    !any_matches(p->exclude, p->n_exclude, q))
			list[n++].q = qube_hold(q);
	}
	qsort(list, n, sizeof(*list), by_name);
	*ret_list = list;
	*ret_n = n;
	return true;
}

static void put_size(uint64_t size, char *out, size_t max)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)size / 1024;
	size_t unit = 0;

	if (size < 1024) {
		snprintf(out, max, "%" PRIu64, size);
		return;
	}
	for (; value >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		value /= 1024;
	snprintf(out, max, "%.1f %s", value, units[unit]);
}

static const char *kind_of(const struct qube *q)
{
	static const char *const kinds[CLASS_COUNT] = {
	        [CLASS_ADMIN] = "User home",          [CLASS_TEMPLATE] = "Template VM",
	        [CLASS_STANDALONE] = "Standalone VM", [CLASS_APP] = "VM",
	        [CLASS_DISP] = "Disposable",          [CLASS_REMOTE] = "Remote VM"};

	return kinds[q->klass] ? kinds[q->klass] : "";
}

#define RULER "------------------+--------------+--------------+\n"

static void put_others(const struct saved *list, size_t n, struct text *out)
{
	struct saved *all = memory_get((world.n_qubes + 1) * sizeof(*all));
	size_t at = 0;

	for (size_t i = 0; i < world.n_qubes; i++)
		all[i].q = world.qubes[i];
	qsort(all, world.n_qubes, sizeof(*all), by_name);
	text_puts(out, "VMs not selected for backup:\n");
	for (size_t i = 0; i < world.n_qubes; i++) {
		if (at < n && list[at].q == all[i].q)
			at++;
		else
			text_printf(out, " - %s\n", all[i].q->name);
	}
	free(all);
}

void backup_table(const struct saved *list, size_t n, struct text *out)
{
	uint64_t total = 0;
	char size[40];

	text_printf(out, RULER "%17s |%13s |%13s |\n" RULER, "VM", "type", "size");
	for (size_t i = 0; i < n; i++) {
		const struct qube *q = list[i].q;

		put_size(list[i].size, size, sizeof(size));
		text_printf(out, "%17s |%13s |%13s |", q->name, kind_of(q),
		            q->klass == CLASS_ADMIN ? "-" : size);
		text_puts(out, q->klass != CLASS_ADMIN && qube_active(q)
		                       ? " <-- runs; saved as it was before its start\n"
		                       : "\n");
		total += list[i].size;
	}
	put_size(total, size, sizeof(size));
	text_printf(out, RULER "%17s |%28s |\n" RULER, "Total size:", size);
	put_others(list, n, out);
}
