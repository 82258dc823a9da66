/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qubes-policy-editor [[include/]NAME] - edit one file of the policy
 *
 * The text is fetched with its token, edited in a private file, looked over line by line, and handed
 * back with the token, so that a change that somebody else made meanwhile is not lost. Whatever goes
 * wrong after the editor ended, the text is not: its place is named.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/need_root.h"
#include "tools/policy.h"
#include "tools/policy_client.h"

#define DEFAULT_NAME "30-user"
#define TOKEN_MAX    80U
#define FILE_MAX     (16U << 20) /* bytes; the service has its own limit */

static const char usage[] = "usage: qubes-policy-editor [[include/]NAME]\n"
                            "Edits a file of the policy (default " DEFAULT_NAME
                            ") in $VISUAL, $EDITOR or vi. NAME is without .policy.\n";

struct edit {
	struct policy_file file;
	char token[TOKEN_MAX];
	char *old; /* owned */
	size_t old_len;
	char folder[PATH_MAX]; /* private, removed at the end unless the text is to be kept */
	char path[PATH_MAX];
	char *text; /* owned; after editing */
	size_t len;
};

/* Whether there is such a file: in a qube, the reason of a refusal stays in dom0. */
static bool is_listed(const struct policy_file *file)
{
	const struct policy_file all = {.include = file->include, .name = ""};
	size_t len = strlen(file->name);
	struct policy_reply reply;
	bool found = policy_call("List", &all, NULL, 0, &reply) || reply.status;

	for (const char *line = reply.out; line && *line && !found;) {
		size_t n = strcspn(line, "\n");

		found = n == len && strncmp(line, file->name, len) == 0;
		line += n + (line[n] == '\n');
	}
	policy_reply_fini(&reply);
	return found;
}

static int keep_old(struct edit *edit, const char *token, const char *text, size_t len)
{
	(void)snprintf(edit->token, sizeof(edit->token), "%s", token);
	edit->old = malloc(len + 1);
	if (!edit->old) {
		perror(edit->file.name);
		return 1;
	}
	memcpy(edit->old, text, len);
	edit->old_len = len;
	return 0;
}

static int fetch(struct edit *edit)
{
	struct policy_reply reply;
	const char *token = "new";
	const char *text = "";
	size_t len = 0;
	int r = policy_call("Get", &edit->file, NULL, 0, &reply);

	if (r == 0 && reply.status == 0) {
		text = policy_reply_content(&reply, &token, &len);
		r = text && strlen(token) < TOKEN_MAX ? 0 : 1;
		if (r)
			fprintf(stderr, "%s: the answer is not that of a policy service\n",
			        edit->file.name);
	} else if (r == 0 && !policy_reply_is(&reply, "PolicyAdminFileNotFoundException") &&
	           (reply.status != 1 || reply.error[0] || is_listed(&edit->file))) {
		policy_reply_show(&reply, "Get", &edit->file);
		r = 1;
	}
	if (r == 0)
		r = keep_old(edit, token, text, len);
	policy_reply_fini(&reply);
	return r ? 1 : 0;
}

/* The name stays visible to the editor, which may choose colours by it. */
static int write_text(struct edit *edit)
{
	const char *dir = getenv("TMPDIR");
	OWNED_FD int fd = -1;

	if (snprintf(edit->folder, sizeof(edit->folder), "%s/qubes-policy.XXXXXX",
	             dir && *dir ? dir : "/tmp") >= (int)sizeof(edit->folder) - NAME_MAX) {
		fprintf(stderr, "TMPDIR is too long\n");
		edit->folder[0] = '\0';
		return 1;
	}
	if (!mkdtemp(edit->folder)) {
		perror(edit->folder);
		edit->folder[0] = '\0';
		return 1;
	}
	if (snprintf(edit->path, sizeof(edit->path), "%s/%s.policy", edit->folder,
	             edit->file.name) >= (int)sizeof(edit->path))
		errno = ENAMETOOLONG;
	else
		fd = open(edit->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && fd_write_all(fd, edit->old, edit->old_len) == 0)
		return 0;
	perror(edit->path);
	return 1;
}

static int run_editor(const char *path)
{
	const char *visual = getenv("VISUAL");
	const char *editor = getenv("EDITOR");
	int status = 0;
	pid_t pid;

	if (!visual || !*visual)
		visual = editor && *editor ? editor : "vi";
	pid = fork();
	if (pid == 0) {
		char script[PATH_MAX];

		/* As every program does it: the variable may hold options. */
		if (snprintf(script, sizeof(script), "%s \"$1\"", visual) < (int)sizeof(script))
			(void)execl("/bin/sh", "sh", "-c", script, "sh", path, (char *)NULL);
		perror(visual);
		_exit(127);
	}
	if (pid < 0) {
		perror("fork");
		return 1;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(stderr, "%s ended with an error; nothing is changed\n", visual);
	return 1;
}

static int read_text(struct edit *edit)
{
	OWNED_FD int fd = open(edit->path, O_RDONLY | O_CLOEXEC);

	free(edit->text);
	edit->text = NULL;
	if (fd >= 0 && fd_read_to_end(fd, 4096, FILE_MAX, &edit->text, &edit->len) == 0)
		return 0;
	perror(edit->path);
	return 1;
}

static void show_fault(void *ctx, const struct policy_fault *fault, const char *line, size_t len)
{
	const bool *show = ctx;

	if (*show)
		fprintf(stderr, "line %u: %s: %.*s\n", fault->line, fault->text, (int)len, line);
}

/* An include file is in one of two formats, and who includes it says in which. */
static bool lines_good(const struct edit *edit)
{
	bool show = false;

	if (edit->file.include && lint_file(edit->path, true, show_fault, &show) == 0)
		return true;
	show = true;
	return lint_file(edit->path, false, show_fault, &show) == 0;
}

static int send_back(struct edit *edit)
{
	size_t token_len = strlen(edit->token);
	char *payload = malloc(token_len + 1 + edit->len);
	struct policy_reply reply;
	int r;

	if (!payload) {
		perror(edit->file.name);
		return 1;
	}
	memcpy(payload, edit->token, token_len);
	payload[token_len] = '\n';
	memcpy(payload + token_len + 1, edit->text, edit->len);
	r = policy_call("Replace", &edit->file, payload, token_len + 1 + edit->len, &reply);
	if (r == 0 && reply.status) {
		policy_reply_show(&reply, "Replace", &edit->file);
		if (policy_reply_is(&reply, "PolicyAdminTokenException"))
			fprintf(stderr, "Somebody else changed it meanwhile; begin again.\n");
		r = 1;
	}
	policy_reply_fini(&reply);
	free(payload);
	return r ? 1 : 0;
}

static bool again(void)
{
	char answer[16];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fprintf(stderr, "Edit again? [Y/n] ");
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] != 'n' && answer[0] != 'N';
}

/* 0: stored or unchanged; 1: not, and the text that was written is worth keeping if *ret_keep. */
static int edit_file(struct edit *edit, bool *ret_keep)
{
	for (;;) {
		if (run_editor(edit->path) || read_text(edit))
			return 1;
		*ret_keep =
		        edit->len != edit->old_len || memcmp(edit->text, edit->old, edit->len) != 0;
		if (!*ret_keep) {
			fprintf(stderr, "unchanged\n");
			return 0;
		}
		if (lines_good(edit) && send_back(edit) == 0) {
			*ret_keep = false;
			return 0;
		}
		if (!again())
			return 1;
	}
}

static void clean_up(struct edit *edit, bool keep)
{
	free(edit->old);
	free(edit->text);
	if (keep) {
		fprintf(stderr, "nothing is changed; your text is in %s\n", edit->path);
		return;
	}
	if (edit->path[0]) {
		char backup[PATH_MAX + 1];

		(void)snprintf(backup, sizeof(backup), "%s~", edit->path);
		(void)unlink(backup); /* many editors leave one */
		if (unlink(edit->path) < 0 && errno != ENOENT)
			perror(edit->path);
	}
	if (edit->folder[0] && rmdir(edit->folder) < 0)
		fprintf(stderr, "%s: %s\n", edit->folder, strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
	                                        {"version", no_argument, NULL, 'V'},
	                                        {0}};
	static struct edit edit;
	bool keep = false;
	int option;
	int r;

	need_root("qubes-policy-editor");
	while ((option = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0;
		if (option == 'V')
			return puts("qubes-policy-editor (Skerry) " SKERRY_VERSION) < 0;
		fputs(usage, stderr);
		return 2;
	}
	if (argc - optind > 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (policy_file_parse(optind < argc ? argv[optind] : DEFAULT_NAME, &edit.file))
		return 1;
	if (!edit.file.name[0]) {
		fputs(usage, stderr);
		return 2;
	}
	r = fetch(&edit);
	if (r == 0)
		r = write_text(&edit);
	if (r == 0)
		r = edit_file(&edit, &keep);
	clean_up(&edit, keep);
	return r;
}
