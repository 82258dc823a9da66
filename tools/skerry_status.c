/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry status: what runs of the system, what each process takes, and what this ground does not keep apart.
 *
 * Which processes: those named skerry… whose environment or whose ancestor's has this system's prefix.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/skerry_admin.h"

#define PROC_FILE_MAX 1048576 /* bytes of a file of /proc that are read */

struct process {
	int pid, parent;
	const char *name;  /* of its program */
	const char *about; /* the qube that it serves; "" */
	long kib;          /* its share of memory */
	long seconds;      /* since its start */
	bool ours;
};

struct processes {
	struct process *items;
	size_t n, room;
};

/* A file of a process; NULL: it cannot be read (it ended, it is somebody else's). */
static const char *proc_read(int pid, const char *name, size_t *ret_len)
{
	const char *path = arena_printf("/proc/%d/%s", pid, name);
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *copy;
	char *data;

	if (fd < 0 || fd_read_to_end(fd, 4096, PROC_FILE_MAX, &data, ret_len))
		return NULL;
	copy = arena_copy(data, *ret_len);
	free(data);
	return copy;
}

/* "Pss:  123 kB", summed up by the kernel; the whole of what is resident where that is not told. */
static long memory_of(int pid)
{
	size_t len;
	const char *text = proc_read(pid, "smaps_rollup", &len);
	const char *line = text ? strstr(text, "\nPss:") : NULL;

	if (!line) {
		text = proc_read(pid, "status", &len);
		line = text ? strstr(text, "\nVmRSS:") : NULL;
	}
	if (!line)
		return 0;
	return strtol(line + 1 + strcspn(line + 1, ":") + 1, NULL, 10);
}

/* The fields of /proc/PID/stat behind the name, which may hold anything. */
static bool stat_read(struct process *process)
{
	size_t len;
	const char *text = proc_read(process->pid, "stat", &len),
	           *at = text ? strrchr(text, ')') : NULL;
	long long ticks = 0;
	struct timespec boot;

	if (!at || strlen(at) < 4)
		return false;
	at += 4; /* the state */
	process->parent = (int)strtol(at, NULL, 10);
	for (int field = 4; field < 22 && at; field++) {
		at = strchr(at + 1, ' ');
		ticks = at ? strtoll(at, NULL, 10) : 0;
	}
	if (clock_gettime(CLOCK_BOOTTIME, &boot) == 0)
		process->seconds = (long)(boot.tv_sec - ticks / sysconf(_SC_CLK_TCK));
	return true;
}

/* Whether a NUL-separated list has this entry. */
static bool list_has(const char *list, size_t len, const char *entry)
{
	if (!list)
		return false;
	for (size_t at = 0; at < len; at += strlen(list + at) + 1)
		if (strcmp(list + at, entry) == 0)
			return true;
	return false;
}

/* The qube that a process serves: on its command line the name stands behind the number. */
static const char *about_of(int pid)
{
	size_t len, at = 0;
	const char *list = proc_read(pid, "cmdline", &len);
	bool number = false;

	if (!list)
		return "";
	for (; at < len; at += strlen(list + at) + 1) {
		if (number)
			return list + at;
		number = list[at] && strspn(list + at, "0123456789") == strlen(list + at);
	}
	return "";
}

/* Whether a process was started for this system: by its environment or its command line. */
static bool has_root(int pid)
{
	const char *in_environment = arena_printf("SKERRY_ROOT=%s", paths_root());
	const char *in_words = arena_printf("--root=%s", paths_root());
	size_t environ_len = 0, words_len = 0;
	const char *env = proc_read(pid, "environ", &environ_len);
	const char *words = proc_read(pid, "cmdline", &words_len);

	if (*paths_root())
		return list_has(env, environ_len, in_environment) ||
		       list_has(words, words_len, in_words);
	return env && words && !memmem(env, environ_len, "SKERRY_ROOT=", 12) &&
	       !memmem(words, words_len, "--root=", 7);
}

/* Of its program; of its first word where the kernel hides the program of a process that is not to be looked into. */
static const char *name_of(int pid)
{
	char path[PATH_MAX];
	ssize_t n = readlink(arena_printf("/proc/%d/exe", pid), path, sizeof(path) - 1);
	const char *text = path, *slash;
	size_t len;

	if (n >= 0)
		path[n] = '\0';
	else
		text = proc_read(pid, "cmdline", &len);
	if (!text || !*text)
		return NULL;
	slash = strrchr(text, '/');
	return arena_dup(slash ? slash + 1 : text);
}

static void process_add(struct processes *all, int pid)
{
	struct process process = {.pid = pid, .name = name_of(pid)};

	if (!process.name || !stat_read(&process))
		return;
	if (strncmp(process.name, "skerry", 6) == 0)
		process.ours = has_root(pid);
	if (all->n == all->room) {
		all->room = all->room ? all->room * 2 : 256;
		all->items = arena_grow(all->items, all->n * sizeof(*all->items),
		                        all->room * sizeof(*all->items));
	}
	all->items[all->n++] = process;
}

static struct processes processes_load(void)
{
	struct processes all = {0};
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool more = true;

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			process_add(&all, (int)strtol(entry->d_name, NULL, 10));
	if (dir)
		(void)closedir(dir);
	/* Children of ours are ours: what runs in a qube is not named skerry. */
	while (more) {
		more = false;
		for (size_t i = 0; i < all.n; i++)
			for (size_t j = 0; j < all.n && !all.items[i].ours; j++)
				if (all.items[j].ours && all.items[j].pid == all.items[i].parent &&
				    strcmp(all.items[j].name, "skerry") != 0)
					more = all.items[i].ours = true;
	}
	return all;
}

static const char *span(long seconds)
{
	if (seconds < 120)
		return arena_printf("%ld s", seconds);
	if (seconds < 7200)
		return arena_printf("%ld min", seconds / 60);
	if (seconds < 172800)
		return arena_printf("%ld h", seconds / 3600);
	return arena_printf("%ld d", seconds / 86400);
}

static bool is_own(const struct process *process)
{
	return process->ours && strncmp(process->name, "skerry", 6) == 0 &&
	       process->pid != getpid() && strcmp(process->name, "skerry") != 0;
}

static int compare(const void *a, const void *b)
{
	const struct process *left = a, *right = b;
	int r = strcmp(left->name, right->name);

	return r ? r : (left->pid > right->pid) - (left->pid < right->pid);
}

static long print_processes(struct processes *all, const struct skerry_options *options,
                            size_t *ret_n)
{
	static const char *const keys[] = {"process", "pid", "serves", "memory", "runs for"};
	struct table table = table_new(ARRAY_LEN(keys), keys);
	const char **cells = table_row(&table);
	long sum = 0;

	memcpy(cells, keys, sizeof(keys));
	if (all->n)
		qsort(all->items, all->n, sizeof(*all->items), compare);
	for (size_t i = 0; i < all->n; i++) {
		struct process *process = &all->items[i];

		if (!is_own(process))
			continue;
		process->kib = memory_of(process->pid);
		sum += process->kib;
		(*ret_n)++;
		cells = table_row(&table);
		cells[0] = process->name;
		cells[1] = arena_printf("%d", process->pid);
		cells[2] = about_of(process->pid);
		cells[3] = arena_printf("%ld KiB", process->kib);
		cells[4] = span(process->seconds);
	}
	if (!options->json && *ret_n)
		table_print(&table);
	return sum;
}

static void print_json(const struct processes *all, const struct qubes *qubes, size_t running,
                       long kib)
{
	bool first = true;

	out_printf("{\"root\": %s, \"answers\": %s, \"qubes\": %zu, \"running\": %zu, "
	           "\"memory_kib\": %ld, "
	           "\"processes\": [",
	           json_text(*paths_root() ? paths_root() : "/"),
	           qubes->reply.error ? "false" : "true", qubes->n, running, kib);
	for (size_t i = 0; i < all->n; i++) {
		if (!is_own(&all->items[i]))
			continue;
		out_printf("%s{\"name\": %s, \"pid\": %d, \"memory_kib\": %ld, \"seconds\": %ld}",
		           first ? "" : ", ", json_text(all->items[i].name), all->items[i].pid,
		           all->items[i].kib, all->items[i].seconds);
		first = false;
	}
	out_text("]}\n");
}

static bool runs(const struct processes *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].ours && strcmp(all->items[i].name, name) == 0)
			return true;
	return false;
}

/* What a person should know who trusts this ground with something. */
static void print_ground(const struct processes *all, const struct skerry_options *options)
{
	if (!runs(all, "skerry-ground-local"))
		return;
	out_escape(skerry_style(options, STYLE_WARN));
	out_text("\nGround: local. Qubes are sandboxes on this kernel, no virtual machines. Not "
	         "kept apart:\n");
	out_escape(skerry_style(options, STYLE_PLAIN));
	out_text("  the kernel: a flaw in a system call that a qube may make opens every qube\n"
	         "  the processor: caches and timing tell one qube about another\n"
	         "  the user: whoever can act as you on this machine can act on every qube\n"
	         "'skerry doctor' checks the mechanisms; doc/confinement.md says what each is "
	         "for.\n");
}

int skerry_status(int argc, char **argv, const struct skerry_options *options)
{
	struct processes all;
	struct qubes qubes;
	size_t running = 0, n = 0;
	long kib;

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	if (argc != 1)
		return skerry_usage("status");
	qubes = qubes_load();
	all = processes_load();
	for (size_t i = 0; i < qubes.n; i++)
		running += strcmp(qubes.items[i].state, "Halted") != 0;
	kib = print_processes(&all, options, &n);
	if (options->json) {
		print_json(&all, &qubes, running, kib);
	} else {
		out_printf("%s%zu processes of the system, %ld KiB; folder %s\n", n ? "\n" : "", n,
		           kib, *paths_root() ? paths_root() : "/");
		if (!qubes.reply.error)
			out_printf("%zu qubes, %zu of them running\n", qubes.n, running);
		print_ground(&all, options);
	}
	if (qubes.reply.error)
		return refuse("status", "", qubes.reply.text, NULL);
	return SKERRY_DONE;
}
