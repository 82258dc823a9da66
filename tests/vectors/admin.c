/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tests/vectors/tree.h"

/* Calls of the administration program: status, answer, error class, and every file afterwards. */

/* Room in a file for what goes in and out: no pipe that could fill up. */
static int temporary(void)
{
	char name[] = "/tmp/skerry-admin-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd >= 0)
		(void)unlink(name);
	return fd;
}

static struct json_object *read_back(int fd)
{
	static char data[65536];
	ssize_t n = pread(fd, data, sizeof(data), 0);

	return json_object_new_string_len(data, n < 0 ? 0 : (int)n);
}

static void run_child(const struct vector *v, struct json_object *call, const char *program, int in,
                      int out, int err)
{
	char full[4096];

	(void)snprintf(full, sizeof(full), "%s%s%s", vector_text(call, "service"),
	               vector_text(call, "argument")[0] ? "+" : "", vector_text(call, "argument"));
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    setenv("QREXEC_SERVICE_FULL_NAME", full, 1) || setenv("QREXEC_POLICY_DIR", v->etc, 1) ||
	    setenv("QREXEC_REMOTE_DOMAIN", "work", 1) ||
	    setenv("QREXEC_POLICY_LEGACY_DIR", v->legacy, 1) ||
	    setenv("QREXEC_POLICY_ADMIN_LOG", "/dev/null", 1))
		_exit(126);
	(void)execl(program, program, (char *)NULL);
	_exit(127);
}

static int run_call(const struct vector *v, const char *program, int out, int err)
{
	struct json_object *call = NULL;
	struct json_object *payload = NULL;
	OWNED_FD
	int in = temporary();
	static char bytes[65536];
	size_t len;
	pid_t pid;
	int status;

	(void)json_object_object_get_ex(v->json, "call", &call);
	(void)json_object_object_get_ex(call, "payload", &payload);
	len = tree_bytes(v, payload, bytes, sizeof(bytes));
	if (in < 0 || fd_write_all(in, bytes, len) || lseek(in, 0, SEEK_SET) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		run_child(v, call, program, in, out, err);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* What changed between two sets of files: new text, or null for one that went away. */
static struct json_object *difference(struct json_object *before, struct json_object *after)
{
	struct json_object *out = json_object_new_object();
	struct json_object *other;

	json_object_object_foreach(before, name, text)
	{
		if (!json_object_object_get_ex(after, name, &other))
			(void)json_object_object_add(out, name, NULL);
		else if (!json_object_equal(text, other))
			(void)json_object_object_add(out, name, json_object_get(other));
	}
	json_object_object_foreach(after, added, content)
	{
		if (!json_object_object_get_ex(before, added, NULL))
			(void)json_object_object_add(out, added, json_object_get(content));
	}
	return out;
}

/* A text as written in a case, {{ETC}} and base64 resolved. */
static struct json_object *plain(const struct vector *v, struct json_object *text)
{
	static char bytes[65536];

	if (!text)
		return NULL;
	return json_object_new_string_len(bytes, (int)tree_bytes(v, text, bytes, sizeof(bytes)));
}

/* What a case expects, in the form of what was seen. */
static struct json_object *plain_result(const struct vector *v, struct json_object *want)
{
	struct json_object *out = json_object_new_object();
	struct json_object *changed = json_object_new_object();

	json_object_object_foreach(want, key, value)
	{
		if (strcmp(key, "stdout") == 0) {
			(void)json_object_object_add(out, key, plain(v, value));
		} else if (strcmp(key, "changed") == 0) {
			json_object_object_foreach(value, name, text)(void)
			        json_object_object_add(changed, name, plain(v, text));
		} else {
			(void)json_object_object_add(out, key, json_object_get(value));
		}
	}
	(void)json_object_object_add(out, "changed", changed);
	return out;
}

static enum outcome compare(struct vector *v, struct json_object *want, struct json_object *got)
{
	static const char *const keys[] = {"exit", "stdout", "error", "changed"};
	struct json_object *exit_code = NULL;
	bool crashed;

	(void)json_object_object_get_ex(want, "exit", &exit_code);
	crashed = json_object_get_int(exit_code) == 2;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct json_object *a;
		struct json_object *b = NULL;

		if (!json_object_object_get_ex(want, keys[i], &a))
			continue;
		(void)json_object_object_get_ex(got, keys[i], &b);
		/* Where the original failed within, any failure is right. */
		if (i == 0 && crashed && json_object_get_int(b) > 0)
			continue;
		if (!json_object_equal(a, b))
			return vector_fail(v, keys[i], want, got);
	}
	return PASSED;
}

enum outcome vector_admin(struct vector *v)
{
	const char *build = getenv("SKERRY_BUILD"); /* it may be reached by another path now */
	char program[PATH_MAX];
	struct json_object *before = tree_read(v);
	struct json_object *got = json_object_new_object();
	struct json_object *want = NULL;
	OWNED_FD
	int out = temporary();
	OWNED_FD
	int err = temporary();
	struct json_object *after;
	struct json_object *text;
	char class[128] = "";
	enum outcome outcome;

	(void)snprintf(program, sizeof(program), "%s%s", build ? build : "",
	               build ? "/tools/qubes-policy-admin" : POLICY_ADMIN);
	(void)json_object_object_add(got, "exit",
	                             json_object_new_int(run_call(v, program, out, err)));
	after = tree_read(v);
	text = read_back(err);
	(void)snprintf(class, sizeof(class), "%.*s",
	               (int)strcspn(json_object_get_string(text), " \n"),
	               json_object_get_string(text));
	(void)json_object_object_add(got, "error", json_object_new_string(class));
	(void)json_object_object_add(got, "stdout", read_back(out));
	(void)json_object_object_add(got, "changed", difference(before, after));
	(void)json_object_object_get_ex(v->json, "result", &want);
	want = plain_result(v, want);
	outcome = compare(v, want, got);
	json_object_put(want);
	if (outcome == FAILED && json_object_object_get_ex(v->json, "alt", &want)) {
		want = plain_result(v, want);
		outcome = compare(v, want, got);
		json_object_put(want);
	}
	json_object_put(text);
	json_object_put(got);
	json_object_put(before);
	json_object_put(after);
	return outcome;
}
