/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-status [PROGRAM ARGUMENT…]: a line for each kind of process that dom0 has, or had while that program of /usr/bin ran:
 * name, user, group, how many other groups, capabilities in effect and at all, filter of system calls, no new privileges. What the
 * program says goes to standard error. Only in the images of tests. */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 256
#define LINE_LEN  256
#define PAUSE_NS  5000000

static char lines[LINES_MAX][LINE_LEN];
static size_t n_lines;

static void add(const char *line)
{
	for (size_t i = 0; i < n_lines; i++)
		if (strcmp(lines[i], line) == 0)
			return;
	if (n_lines == LINES_MAX) {
		(void)fprintf(stderr, "xen-status: more than %d kinds of processes\n", LINES_MAX);
		exit(1);
	}
	memcpy(lines[n_lines++], line, LINE_LEN);
}

/* What stands behind a key at the beginning of a line. */
static const char *field(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *at = text;

	while (at && strncmp(at, key, len) != 0)
		at = (at = strchr(at, '\n')) ? at + 1 : NULL;
	return at ? at + len : "";
}

static unsigned int words(const char *at)
{
	unsigned int n = 0;

	for (at += strspn(at, " \t"); *at && *at != '\n'; at += strspn(at, " \t")) {
		n++;
		at += strcspn(at, " \t\n");
	}
	return n;
}

static void look_at(const char *pid)
{
	char path[64], exe[PATH_MAX], text[8192], line[LINE_LEN] = "";
	unsigned long effective, permitted;
	const char *name;
	ssize_t len;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	(void)snprintf(path, sizeof(path), "/proc/%.16s/status", pid);
	f = len > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return;
	exe[len] = '\0';
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	if (strncmp(field(text, "State:\t"), "Z", 1) == 0)
		return;
	name = strrchr(exe, '/');
	effective = strtoul(field(text, "CapEff:\t"), NULL, 16);
	permitted = strtoul(field(text, "CapPrm:\t"), NULL, 16);
	(void)snprintf(line, sizeof(line), "%.64s %lu %lu %u %lx %lx %ld %ld",
	               name ? name + 1 : exe, strtoul(field(text, "Uid:\t"), NULL, 10),
	               strtoul(field(text, "Gid:\t"), NULL, 10), words(field(text, "Groups:\t")),
	               effective, permitted, strtol(field(text, "Seccomp:\t"), NULL, 10),
	               strtol(field(text, "NoNewPrivs:\t"), NULL, 10));
	add(line);
}

static void look(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			look_at(e->d_name);
	if (dir)
		(void)closedir(dir);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int status = 0;
	pid_t pid = argc > 1 ? fork() : 0;

	if (argc > 1 && pid == 0) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "/usr/bin/%.200s", argv[1]);
		(void)dup2(2, 1);
		(void)execv(path, argv + 1);
		_exit(127);
	}
	if (pid < 0)
		return 1;
	for (look(); pid > 0 && waitpid(pid, &status, WNOHANG) == 0; look())
		(void)nanosleep(&pause, NULL);
	for (size_t i = 0; i < n_lines; i++)
		if (printf("%s\n", lines[i]) < 0)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
