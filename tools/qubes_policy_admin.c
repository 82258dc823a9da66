/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy-admin - the services policy.* and policy.include.*: policy files over calls
 *
 * Its caller is as trusted as dom0 if policy lets it replace or remove, yet every byte is checked:
 * a change that would not load is refused before it is made. Only the persistent directory is
 * administered. Source: doc/protocol/policy.md, 13 and 19.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/policy/policy.h"
#include "services/policy/store.h"
#include "services/policy/text.h"

#define TOKEN_LEN      (sizeof("sha256:") + crypto_hash_sha256_BYTES * 2)
#define LOWER_CHARS    "abcdefghijklmnopqrstuvwxyz0123456789_-"
#define NAME_CHARS     LOWER_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ARGUMENT_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-._"
#define PROTOCOL       "PolicyAdminProtocolException"
#define LOG_FILE       "/var/log/qubes/policy-admin.log"

enum { DONE = 0, REFUSED = 1, INTERNAL = 2 };

/* One call. */
struct call {
	const char *service; /* without the argument */
	const char *argument;
	char *payload;
	size_t payload_len;
	bool include;              /* policy.include.* */
	char policy_dir[PATH_MAX]; /* real */
	char dir[PATH_MAX];        /* policy_dir, or include/ in it */
	char name[NAME_MAX + 1];   /* of the file in dir, links followed */
	char path[PATH_MAX];       /* dir/name */
	char *old;                 /* its bytes; NULL: there is no such file */
	size_t old_len;
	char message[512]; /* why it was refused */
};

static int refuse(struct call *call, const char *class, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int refuse(struct call *call, const char *class, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)snprintf(call->message, sizeof(call->message), "%s %s", class, text);
	return REFUSED;
}

static int internal(struct call *call, const char *what)
{
	(void)snprintf(call->message, sizeof(call->message), "%.300s: %.100s", what,
	               strerror(errno));
	return INTERNAL;
}

static void hash_token(const char *data, size_t len, char out[TOKEN_LEN])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const unsigned char *)data, len);
	memcpy(out, "sha256:", 7);
	(void)sodium_bin2hex(out + 7, TOKEN_LEN - 7, hash, sizeof(hash));
}

/* The file that a name stands for: it must lie in the directory itself, links followed. */
static int find_path(struct call *call)
{
	char real[PATH_MAX];
	size_t len = strlen(call->dir);
	struct stat st;

	(void)snprintf(call->name, sizeof(call->name), "%s%s", call->argument,
	               call->include ? "" : ".policy");
	if (snprintf(call->path, sizeof(call->path), "%s/%s", call->dir, call->name) >=
	    (int)sizeof(call->path)) {
		errno = ENAMETOOLONG;
		return internal(call, "path");
	}
	if (lstat(call->path, &st) < 0)
		return errno == ENOENT ? DONE : internal(call, call->path);
	if (!S_ISLNK(st.st_mode))
		return DONE;
	if (!realpath(call->path, real) || strncmp(real, call->dir, len) != 0 || real[len] != '/' ||
	    strchr(real + len + 1, '/'))
		return refuse(call, "PolicyAdminInvalidFilePathException",
		              "this name leads out of the policy directory");
	memcpy(call->path, real, strlen(real) + 1);
	(void)snprintf(call->name, sizeof(call->name), "%s", real + len + 1);
	return DONE;
}

/* A capital letter in a policy file's name makes every load fail: such a file is never written. */
static bool illegal_name(const struct call *call)
{
	return !call->include && call->argument[strspn(call->argument, LOWER_CHARS)] != '\0';
}

/* Name, path, and what is there now: the first checks of every call on a file. */
static int open_file(struct call *call)
{
	OWNED_FD
	int fd = -1;
	struct stat st;
	int r;

	if (!call->argument[0] || call->argument[strspn(call->argument, NAME_CHARS)] ||
	    strlen(call->argument) > 200)
		return refuse(call, "PolicyAdminInvalidFileNameException",
		              "a name holds a-z 0-9 _ - only, without a suffix");
	r = find_path(call);
	if (r != DONE)
		return r;
	fd = open(call->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? DONE : internal(call, call->path);
	if (fstat(fd, &st) < 0)
		return internal(call, call->path);
	if (!S_ISREG(st.st_mode)) {
		errno = EISDIR;
		return strstr(call->service, ".Replace") ? internal(call, call->path) : DONE;
	}
	if (fd_read_to_end(fd, 4096, POLICY_FILE_MAX, &call->old, &call->old_len))
		return internal(call, call->path);
	return DONE;
}

static int check_token(struct call *call, const char *token, size_t len)
{
	struct slice given = {token, len};
	char now[TOKEN_LEN];

	if (slice_is(given, "any"))
		return DONE;
	if (slice_is(given, "new"))
		return call->old ? refuse(call, "PolicyAdminTokenException",
		                          "the file exists already")
		                 : DONE;
	if (len < 7 || memcmp(token, "sha256:", 7) != 0)
		return refuse(call, PROTOCOL, "the token is any, new, or sha256:...");
	if (!call->old)
		return refuse(call, "PolicyAdminTokenException", "the file does not exist");
	hash_token(call->old, call->old_len, now);
	if (!slice_is(given, now))
		return refuse(call, "PolicyAdminTokenException", "the file was changed meanwhile");
	return DONE;
}

static struct policy *load(const struct call *call, struct policy_disk *disk,
                           struct policy_fault *fault)
{
	static char legacy[PATH_MAX];
	const char *dirs[] = {call->policy_dir};
	struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = legacy};
	struct policy_files files = policy_files_disk(disk);

	const char *given = getenv("QREXEC_POLICY_LEGACY_DIR");

	if (given)
		place.legacy_dir = given;
	else if (path_make(legacy, sizeof(legacy), POLICY_LEGACY_DIR, NULL))
		legacy[0] = '\0';
	return policy_load(&place, &files, fault);
}

/* Whether everything would still load; data NULL: without the file. */
static int validate(struct call *call, const char *data, size_t len)
{
	struct policy_disk disk = {.overlay_path = call->path,
	                           .overlay_data = data,
	                           .overlay_len = len};
	struct policy_fault fault;
	struct policy *policy = load(call, &disk, &fault);
	char text[400];

	if (policy) {
		(void)policy_unref(policy);
		return DONE;
	}
	(void)policy_fault_format(&fault, text, sizeof(text));
	if (fault.kind == FAULT_SYNTAX)
		return refuse(call, "PolicyAdminSyntaxException", "%s", text);
	(void)snprintf(call->message, sizeof(call->message), "%s", text);
	return INTERNAL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The name to list at an entry; false: it is none. */
static bool listed(const struct call *call, int dir, char *name)
{
	size_t len = strlen(name);
	struct stat st;

	if (fstatat(dir, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return false;
	if (call->include)
		return true;
	if (len < 7 || strcmp(name + len - 7, ".policy") != 0)
		return false;
	name[len - 7] = '\0';
	return true;
}

static int answer_list(struct call *call)
{
	DIR *dir = opendir(call->dir);
	struct dirent *entry;
	char **names = NULL;
	size_t n = 0;

	if (!dir)
		return call->include && errno == ENOENT ? DONE : internal(call, call->dir);
	while ((entry = readdir(dir))) {
		char **bigger;

		if (!listed(call, dirfd(dir), entry->d_name))
			continue;
		bigger = reallocarray(names, n + 1, sizeof(*names));
		if (bigger)
			names = bigger;
		if (!bigger || !(names[n] = strdup(entry->d_name))) {
			(void)closedir(dir);
			return internal(call, "list");
		}
		n++;
	}
	(void)closedir(dir);
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++) {
		printf("%s\n", names[i]);
		free(names[i]);
	}
	free(names);
	return DONE;
}

static int answer_get(struct call *call)
{
	char token[TOKEN_LEN];
	int r = open_file(call);

	if (r != DONE)
		return r;
	if (!call->old)
		return refuse(call, "PolicyAdminFileNotFoundException", "there is no such file");
	hash_token(call->old, call->old_len, token);
	printf("%s\n", token);
	(void)fwrite(call->old, 1, call->old_len, stdout);
	return DONE;
}

static int answer_replace(struct call *call)
{
	const char *newline = memchr(call->payload, '\n', call->payload_len);
	const char *data = newline ? newline + 1 : NULL;
	size_t len = newline ? call->payload_len - (size_t)(data - call->payload) : 0;
	int r = open_file(call);

	if (r != DONE)
		return r;
	if (illegal_name(call))
		return refuse(call, "PolicyAdminInvalidFileNameException",
		              "a policy file's name holds a-z 0-9 _ - only");
	if (!newline)
		return refuse(call, PROTOCOL, "the token must be a line of its own");
	r = check_token(call, call->payload, (size_t)(newline - call->payload));
	if (r != DONE)
		return r;
	if (!text_utf8(data, len)) {
		errno = EILSEQ;
		return internal(call, "the text");
	}
	r = validate(call, data, len);
	if (r != DONE)
		return r;
	return store_replace(call->dir, call->name, data, len) ? internal(call, call->path) : DONE;
}

static int answer_remove(struct call *call)
{
	int r = open_file(call);

	if (r == DONE)
		r = check_token(call, call->payload, call->payload_len);
	if (r != DONE)
		return r;
	if (!call->old)
		return refuse(call, "PolicyAdminFileNotFoundException", "there is no such file");
	/* As long as it is there nothing loads, so nothing can be said about the rest. */
	if (illegal_name(call)) {
		errno = EINVAL;
		return internal(call, "a file's name is not legal; rename it in dom0");
	}
	r = validate(call, NULL, 0);
	if (r != DONE)
		return r;
	return store_remove(call->dir, call->name) ? internal(call, call->path) : DONE;
}

/* Files below the policy directory by their stem, others by their path. */
static void print_file(const struct call *call, const char *path)
{
	size_t len = strlen(call->policy_dir);
	const char *base = strrchr(path, '/') + 1;
	const char *dot = strrchr(base, '.');

	if (strncmp(path, call->policy_dir, len) != 0 || path[len] != '/')
		printf("%s\n", path);
	else
		printf("%.*s\n", dot && dot != base ? (int)(dot - base) : (int)strlen(base), base);
}

static bool printed_before(const struct policy *policy, uint32_t rule, const char *service)
{
	const char *path = policy_file_name(policy, policy_rule(policy, rule)->file);

	for (uint32_t i = 0; i < rule; i++) {
		const struct rule *earlier = policy_rule(policy, i);
		const char *name = policy_symbol(policy, earlier->service);

		if ((strcmp(name, service) == 0 || earlier->service == NO_ID) &&
		    strcmp(policy_file_name(policy, earlier->file), path) == 0)
			return true;
	}
	return false;
}

static int answer_get_files(struct call *call)
{
	struct policy_disk disk = {0};
	struct policy_fault fault;
	struct policy *policy;

	if (!call->argument[0] || strchr(call->argument, '+'))
		return refuse(call, PROTOCOL, "the argument is a service's name");
	policy = load(call, &disk, &fault);
	if (!policy) {
		(void)policy_fault_format(&fault, call->message, sizeof(call->message));
		return INTERNAL;
	}
	for (uint32_t i = 0; i < policy_n_rules(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);

		if (rule->service != NO_ID &&
		    strcmp(policy_symbol(policy, rule->service), call->argument) != 0)
			continue;
		if (!printed_before(policy, i, call->argument))
			print_file(call, policy_file_name(policy, rule->file));
	}
	(void)policy_unref(policy);
	return DONE;
}

/* service, takes an argument, takes a payload, is about include/, answers */
static const struct {
	const char *service;
	bool argument;
	bool payload;
	bool include;
	int (*answer)(struct call *call);
} services[] = {
        {"policy.List", false, false, false, answer_list},
        {"policy.Get", true, false, false, answer_get},
        {"policy.Replace", true, true, false, answer_replace},
        {"policy.Remove", true, true, false, answer_remove},
        {"policy.GetFiles", true, false, false, answer_get_files},
        {"policy.include.List", false, false, true, answer_list},
        {"policy.include.Get", true, false, true, answer_get},
        {"policy.include.Replace", true, true, true, answer_replace},
        {"policy.include.Remove", true, true, true, answer_remove},
};

static int answer(struct call *call)
{
	OWNED_FD
	int lock = -1;
	size_t i = 0;

	if (call->argument[strspn(call->argument, ARGUMENT_CHARS)])
		return refuse(call, PROTOCOL, "the argument has a character that is not possible");
	while (i < ARRAY_LEN(services) && strcmp(services[i].service, call->service) != 0)
		i++;
	if (i == ARRAY_LEN(services))
		return refuse(call, PROTOCOL, "there is no such service");
	if (!services[i].argument && call->argument[0])
		return refuse(call, PROTOCOL, "this service takes no argument");
	if (!services[i].payload && call->payload_len > 0)
		return refuse(call, PROTOCOL, "this service takes no payload");
	call->include = services[i].include;
	if (snprintf(call->dir, sizeof(call->dir), "%s%s", call->policy_dir,
	             call->include ? "/include" : "") >= (int)sizeof(call->dir)) {
		errno = ENAMETOOLONG;
		return internal(call, "directory");
	}
	lock = store_lock(call->policy_dir);
	if (lock < 0)
		return internal(call, call->policy_dir);
	return services[i].answer(call);
}

static void write_log(const struct call *call, const char *caller, int r)
{
	const char *given = getenv("QREXEC_POLICY_ADMIN_LOG");
	char path[PATH_MAX];
	OWNED_FD
	int fd = -1;

	if (!given && path_make(path, sizeof(path), LOG_FILE, NULL))
		return;
	/* The log is for people; a call works without it. */
	fd = open(given ? given : path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0664);
	if (fd < 0)
		return;
	log_set_fd(fd);
	LOG("%s+%s (%s)%s%s", call->service, call->argument, caller, r ? ": error: " : "",
	    r ? call->message : "");
	log_set_fd(STDERR_FILENO);
}

static int find_directory(struct call *call)
{
	const char *given = getenv("QREXEC_POLICY_DIR");
	char path[PATH_MAX];

	if (!given && path_make(path, sizeof(path), POLICY_ETC_DIR, NULL))
		return internal(call, "path");
	return realpath(given ? given : path, call->policy_dir)
	               ? DONE
	               : internal(call, given ? given : path);
}

int main(int argc, char **argv)
{
	static struct call call;
	const char *full = getenv("QREXEC_SERVICE_FULL_NAME");
	const char *caller = getenv("QREXEC_REMOTE_DOMAIN");
	char *service;
	char *plus;
	int r;

	log_init("qubes-policy-admin");
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return printf("qubes-policy-admin %s\n", SKERRY_VERSION) < 0;
	service = strdup(full ? full : "");
	if (!service || sodium_init() < 0 ||
	    fd_read_to_end(STDIN_FILENO, 4096, POLICY_FILE_MAX, &call.payload, &call.payload_len)) {
		fprintf(stderr, "the call could not be read\n");
		free(service);
		return INTERNAL;
	}
	plus = strchr(service, '+');
	call.service = service;
	call.argument = plus ? plus + 1 : "";
	if (plus)
		*plus = '\0';
	r = find_directory(&call);
	if (r == DONE)
		r = answer(&call);
	if (r == DONE && fflush(stdout) != 0)
		r = internal(&call, "answer");
	write_log(&call, caller ? caller : "", r);
	if (r == REFUSED)
		fprintf(stderr, "%s\n", call.message);
	else if (r == INTERNAL)
		fprintf(stderr, "internal error, see %s in dom0\n", LOG_FILE);
	free(call.old);
	free(call.payload);
	free(service);
	return r;
}
