/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-kill NAME [WORD]: SIGKILL to every process of dom0 whose program is called NAME (and has that WORD on its command
 * line); prints how many. xen-kill /PATH: removes that file. Only in the images of tests. */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_called(const char *pid, const char *name)
{
	char path[64], program[PATH_MAX];
	const char *slash;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	n = readlink(path, program, sizeof(program) - 1);
	if (n <= 0)
		return false;
	program[n] = '\0';
	slash = strrchr(program, '/');
	return slash && strcmp(slash + 1, name) == 0;
}

static bool has_word(const char *pid, const char *word)
{
	char path[64], words[4096];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
	f = fopen(path, "re");
	n = f ? fread(words, 1, sizeof(words) - 1, f) : 0;
	if (f)
		(void)fclose(f);
	words[n] = '\0';
	for (size_t at = 0; at < n; at += strlen(words + at) + 1)
		if (strcmp(words + at, word) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int killed = 0;

	if (argc < 2 || !dir)
		return 2;
	if (argv[1][0] == '/')
		return unlink(argv[1]) != 0;
	while ((entry = readdir(dir))) {
		int pid = entry->d_name[0] >= '1' && entry->d_name[0] <= '9'
		                  ? (int)strtol(entry->d_name, NULL, 10)
		                  : 0;

		if (pid > 1 && is_called(entry->d_name, argv[1]) &&
		    (argc < 3 || has_word(entry->d_name, argv[2])))
			killed += kill(pid, SIGKILL) == 0;
	}
	(void)closedir(dir);
	return printf("%d\n", killed) < 0 || killed == 0;
}
