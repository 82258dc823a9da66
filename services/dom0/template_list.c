/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the update qube answers: lists, of which all is checked before any is shown, and packages. */
#include "services/dom0/template.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/untrusted/text.h"
#include "proto/services/template.h"
#include "services/dom0/package.h"

#define TEXT_MAX 4096U /* of one text that is shown */

struct answer {
	char *text; /* owned; hostile but for what template_next() checks */
	size_t len;
	struct template_record *records; /* owned */
	size_t n;
};

static int call_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* name, name-version, name-version-release, name-epoch:version-release: what was asked for. */
static bool matches(const struct template_record *r, const char *spec)
{
	char text[5 * TEMPLATE_SHORT_MAX];

	if (fnmatch(spec, r->name, 0) == 0)
		return true;
	(void)snprintf(text, sizeof(text), "%s-%s", r->name, r->version);
	if (fnmatch(spec, text, 0) == 0)
		return true;
	(void)snprintf(text, sizeof(text), "%s-%s-%s", r->name, r->version, r->release);
	if (fnmatch(spec, text, 0) == 0)
		return true;
	(void)snprintf(text, sizeof(text), "%s-%s:%s-%s", r->name, r->epoch, r->version,
	               r->release);
	return fnmatch(spec, text, 0) == 0;
}

static int read_records(struct answer *a, const char *spec)
{
	enum template_result r = TEMPLATE_OK;
	struct template_record record;
	size_t at = 0;

	while ((r = template_next(a->text, a->len, &at, &record)) == TEMPLATE_OK) {
		struct template_record *more;

		if (a->n == TEMPLATE_RECORDS_MAX || !matches(&record, spec)) {
			LOG("the answer is refused: %s",
			    a->n == TEMPLATE_RECORDS_MAX ? "too many templates"
			                                 : "a template that was not asked for");
			return -1;
		}
		more = reallocarray(a->records, a->n + 1, sizeof(*more));
		if (!more)
			return -1;
		a->records = more;
		a->records[a->n++] = record;
	}
	if (r == TEMPLATE_END)
		return 0;
	LOG("the answer is refused: %s", template_error(r));
	return -1;
}

static void answer_fini(struct answer *a)
{
	free(a->text);
	free(a->records);
}

/* Nothing of an answer that is wrong somewhere, or of a call that failed. */
static int ask(const struct template_options *options, const struct repos *repos, const char *spec,
               struct answer *ret)
{
	pid_t pid;
	OWNED_FD int fd = template_call("qubes.TemplateSearch", options, repos, spec, &pid);
	int failed;
	int status;

	*ret = (struct answer){0};
	if (fd < 0)
		return -1;
	failed = fd_read_to_end(fd, 65536, TEMPLATE_ANSWER_MAX, &ret->text, &ret->len);
	if (failed)
		LOG(errno == EFBIG ? "the answer is refused: more than 1 MiB" : "the answer: %m");
	/* Whoever goes on writing is told. */
	(void)fd_close(fd_take(&fd));
	status = call_status(pid);
	if (!failed && status != 0) {
		LOG("qubes.TemplateSearch failed with status %d", status);
		failed = -1;
	}
	return failed ? -1 : read_records(ret, spec);
}

static bool has_term(const struct template_record *r, const char *term)
{
	char summary[TEXT_MAX];
	char description[TEXT_MAX];

	(void)untrusted_text_escape(summary, sizeof(summary), r->untrusted_summary, r->summary_len);
	(void)untrusted_text_escape(description, sizeof(description), r->untrusted_description,
	                            r->description_len);
	return strcasestr(r->name, term) || strcasestr(summary, term) ||
	       strcasestr(description, term);
}

static bool is_wanted(const struct template_record *r, const char *command, char *const *words)
{
	if (strcmp(command, "search") != 0)
		return true;
	for (; *words; words++) {
		if (!has_term(r, *words))
			return false;
	}
	return true;
}

/* A text for JSON: escaped as for a terminal, which leaves a backslash only where it wrote one. */
static void print_json_text(const char *key, const char *untrusted, size_t len)
{
	char text[TEXT_MAX];

	(void)untrusted_text_escape(text, sizeof(text), untrusted, len);
	(void)printf(",\"%s\":\"", key);
	for (const char *c = text; *c; c++)
		(void)printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	(void)putchar('"');
}

static void print_json(const struct template_record *r, bool first)
{
	(void)printf("%s{\"name\":\"%s\",\"epoch\":\"%s\",\"version\":\"%s\",\"release\":\"%s\","
	             "\"repository\":\"%s\",\"size\":%llu,\"built\":\"%s\",\"license\":\"%s\"",
	             first ? "" : ",\n ", r->name, r->epoch, r->version, r->release, r->repository,
	             (unsigned long long)r->size, r->built, r->license);
	print_json_text("url", r->untrusted_url, r->url_len);
	print_json_text("summary", r->untrusted_summary, r->summary_len);
	print_json_text("description", r->untrusted_description, r->description_len);
	(void)putchar('}');
}

/* A line each; what is not ours is told apart by its escapes. */
static void print_text(const struct template_record *r, bool all)
{
	char text[TEXT_MAX];

	(void)untrusted_text_escape(text, sizeof(text), r->untrusted_summary, r->summary_len);
	if (!all) {
		(void)printf("%-28s %s-%s  %s  %s\n", r->name, r->version, r->release,
		             r->repository, text);
		return;
	}
	(void)printf("Name        %s\nVersion     %s:%s-%s\nRepository  %s\nSize        %llu MiB\n"
	             "Built       %s\nLicense     %s\nSummary     %s\n",
	             r->name, r->epoch, r->version, r->release, r->repository,
	             (unsigned long long)(r->size >> 20), r->built, r->license, text);
	(void)untrusted_text_escape(text, sizeof(text), r->untrusted_url, r->url_len);
	(void)printf("URL         %s\n", text);
	(void)untrusted_text_escape(text, sizeof(text), r->untrusted_description,
	                            r->description_len);
	(void)printf("Description %s\n\n", text);
}

int template_list(const struct template_options *options, const struct repos *repos,
                  const char *command, char *const *words)
{
	bool search = strcmp(command, "search") == 0;
	const char *spec = search || !words[0] ? "*" : words[0];
	struct answer answer;
	size_t shown = 0;

	if (ask(options, repos, spec, &answer)) {
		answer_fini(&answer);
		return 1;
	}
	if (options->json)
		(void)printf("[");
	for (size_t i = 0; i < answer.n; i++) {
		if (!is_wanted(&answer.records[i], command, words))
			continue;
		if (options->json)
			print_json(&answer.records[i], shown == 0);
		else
			print_text(&answer.records[i], strcmp(command, "info") == 0);
		shown++;
	}
	if (options->json)
		(void)printf("]\n");
	answer_fini(&answer);
	if (shown == 0)
		LOG("no such template");
	return fflush(stdout) || shown == 0 ? 1 : 0;
}

/* Exactly the one key of its repository. */
static int keys_of(const struct repos *repos, const char *id, struct package_keys *keys)
{
	const struct repo *repo = repos_find(repos, id);
	char path[PATH_MAX];

	*keys = (struct package_keys){0};
	if (!repo || !repo->key[0]) {
		LOG("%s: no repository of dom0, or one without a key", id);
		return -1;
	}
	if (path_make(path, sizeof(path), repo->key, NULL) || !(keys->paths[0] = strdup(path)))
		return -1;
	keys->n = 1;
	return 0;
}

/* What is inside must be what was chosen from the list. */
static bool is_same(const struct rpm_package *p, const struct template_record *r)
{
	return strncmp(p->name, TEMPLATE_PREFIX, strlen(TEMPLATE_PREFIX)) == 0 &&
	       strcmp(p->name + strlen(TEMPLATE_PREFIX), r->name) == 0 &&
	       strcmp(p->version, r->version) == 0 && strcmp(p->release, r->release) == 0;
}

static int receive(const struct package_keys *keys, const struct template_record *wanted, int in,
                   int out)
{
	char why[PACKAGE_WHY_MAX];
	struct rpm_package package;

	if (package_check(keys, in, out, &package, why)) {
		LOG("what came is refused: %s", why);
		return -1;
	}
	if (!is_same(&package, wanted)) {
		LOG("what came is refused: it is %s-%s-%s", package.name, package.version,
		    package.release);
		return -1;
	}
	return fsync(out);
}

static int download(const struct template_options *options, const struct repos *repos,
                    const struct package_keys *keys, const struct template_record *wanted)
{
	char path[PATH_MAX];
	char temporary[PATH_MAX];
	char spec[4 * TEMPLATE_SHORT_MAX];
	OWNED_FD int in = -1;
	OWNED_FD int out = -1;
	pid_t pid;
	int failed;

	(void)snprintf(spec, sizeof(spec), "%s-%s-%s", wanted->name, wanted->version,
	               wanted->release);
	if (snprintf(path, sizeof(path), "%s/" TEMPLATE_PREFIX "%s.noarch.rpm", options->folder,
	             spec) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return -1;
	out = mkostemp(temporary, O_CLOEXEC);
	if (out < 0) {
		LOG_ERRNO("%s", temporary);
		return -1;
	}
	in = template_call("qubes.TemplateDownload", options, repos, spec, &pid);
	failed = in < 0 || receive(keys, wanted, in, out);
	if (in >= 0) {
		(void)fd_close(fd_take(&in));
		(void)call_status(pid);
	}
	if (!failed && fchmod(out, 0644) == 0 && rename(temporary, path) == 0) {
		(void)printf("%s\n", path);
		return fflush(stdout) ? -1 : 0;
	}
	(void)unlink(temporary);
	return -1;
}

int template_download(const struct template_options *options, const struct repos *repos,
                      const char *spec)
{
	struct package_keys keys = {0};
	struct answer answer;
	int failed = ask(options, repos, spec, &answer);

	if (!failed && answer.n != 1) {
		LOG("%s: %s", spec,
		    answer.n ? "more than one: name a version too" : "no such template");
		failed = -1;
	}
	if (!failed)
		failed = keys_of(repos, answer.records[0].repository, &keys) ||
		         download(options, repos, &keys, &answer.records[0]);
	package_keys_fini(&keys);
	answer_fini(&answer);
	return failed ? 1 : 0;
}
