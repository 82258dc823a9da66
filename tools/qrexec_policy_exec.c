/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qrexec-policy-exec - decide one call, for a daemon that could not ask the policy service
 *
 * Asks the running service. If there is none it reads the policy and the system description itself and
 * decides with the same engine; it does not prompt then, so an ask is refused. Prints the answer, or in
 * the deprecated form with five arguments makes the call (policy_exec_call.c).
 * Source: doc/protocol/policy.md, Policy program.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "proto/limits.h"
#include "proto/policy.h"
#include "services/policy/decide.h"
#include "tools/policy_exec_call.h"

#define REPLY_MAX (16U << 20) /* bytes of a system description; chosen */

enum { EXIT_ALLOWED = 0, EXIT_DENIED = 1, EXIT_USAGE = 2 };

static struct policy_answer answer;
static const char *policy_dir;

char *policy_exec_exchange(const char *path, const char *request, size_t len, bool half_close,
                           unsigned int timeout_ms, size_t *ret_len)
{
	struct timeval timeout = {.tv_sec = timeout_ms / 1000};
	size_t room = 65536, n = 0;
	char full[PATH_MAX];
	OWNED_FD int fd = -1;
	char *data = NULL;

	if (path_make(full, sizeof(full), path, NULL) == 0)
		fd = fd_connect_unix(full, SOCK_STREAM);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    fd_write_all(fd, request, len) || (half_close && shutdown(fd, SHUT_WR)))
		return NULL;
	for (;;) {
		char *more = n + 1 < room && data ? data : realloc(data, room *= 2);
		ssize_t r = more && room <= REPLY_MAX ? read(fd, more + n, room - n - 1) : -1;

		data = more ? more : data;
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			break;
		if (r == 0) {
			data[n] = 0;
			*ret_len = n;
			return data;
		}
		n += (size_t)r;
	}
	free(data);
	return NULL;
}

static void print_answer(bool just)
{
	static char text[QREXEC_NAME_MAX + POLICY_TEXT_MAX];
	ssize_t n = policy_encode_text(text, sizeof(text), &answer, false);

	if (!just && n > 0)
		(void)printf("%.*s\n", (int)n, text);
}

/* 0: the service has answered. */
static int ask_service(const struct policy_question *question)
{
	static char text[QREXEC_NAME_MAX + POLICY_TEXT_MAX];
	ssize_t n = policy_encode_question_text(text, sizeof(text), question);
	bool just = question->flags & POLICY_JUST_EVALUATE;
	char *reply;
	size_t len;
	int r = -1;

	if (n < 0)
		return -1;
	reply = policy_exec_exchange("/var/run/qubes/" POLICY_SOCKET, text, (size_t)n, false,
	                             LIMIT_PROMPT_MS, &len);
	if (!reply)
		return -1;
	if (just && strcmp(reply, "result=allow") == 0) {
		memset(&answer, 0, sizeof(answer));
		answer.verdict = POLICY_ALLOWED;
		r = 0;
	} else {
		r = policy_decode_text(reply, len, &answer);
	}
	free(reply);
	return r;
}

static struct system *read_facts(void)
{
	static const char request[] = "internal.GetSystemInfo+ dom0 name dom0";
	const char *why = "the admin service cannot be reached";
	size_t len = 0;
	char *reply = policy_exec_exchange("/var/run/qubesd.internal.sock", request,
	                                   sizeof(request), true, LIMIT_POLICY_MS, &len);
	struct system *system = NULL;

	if (reply && len >= 2 && memcmp(reply, "0\0", 2) == 0)
		system = system_from_json(reply + 2, len - 2, &why);
	else if (reply)
		why = "the admin service refused";
	if (!system)
		LOG("no system description: %s", why);
	free(reply);
	return system;
}

static struct policy *read_policy(void)
{
	static char run[PATH_MAX], etc[PATH_MAX], legacy[PATH_MAX], text[PATH_MAX + 512];
	const char *dirs[] = {run, etc};
	struct policy_place place = {.dirs = dirs, .n_dirs = 2, .legacy_dir = legacy};
	static struct policy_fault fault;
	struct policy_inputs inputs;
	struct policy *policy;

	if (path_make(run, sizeof(run), POLICY_RUN_DIR, NULL) ||
	    path_make(etc, sizeof(etc), POLICY_ETC_DIR, NULL) ||
	    path_make(legacy, sizeof(legacy), POLICY_LEGACY_DIR, NULL))
		return NULL;
	if (policy_dir) {
		dirs[0] = policy_dir;
		place.n_dirs = 1;
	}
	policy = policy_load_disk(&place, &inputs, &fault);
	if (!policy) {
		(void)policy_fault_format(&fault, text, sizeof(text));
		LOG("error loading policy: %s", text);
	}
	policy_inputs_fini(&inputs);
	return policy;
}

static void decide(struct view *view, const struct policy_question *question)
{
	static struct decision d;

	policy_decide(view, question, &d);
	if (d.kind == DECISION_ASK && question->flags & POLICY_ASSUME_YES) {
		decision_choose(view, &d, d.offers, d.requested.text);
	} else if (d.kind == DECISION_ASK) {
		if (!(question->flags & POLICY_JUST_EVALUATE))
			LOG("the user would have to be asked, which needs the policy service: "
			    "refused");
		decision_refuse(&d);
	}
	memset(&answer, 0, sizeof(answer));
	if (d.kind == DECISION_ALLOW && question->flags & POLICY_JUST_EVALUATE)
		answer.verdict = POLICY_ALLOWED;
	else if (d.kind == DECISION_ALLOW)
		decision_execute(view, &d, question, &answer);
	if (d.kind == DECISION_ALLOW)
		return;
	memset(&answer, 0, sizeof(answer));
	answer.verdict = d.no_answer ? POLICY_NO_ANSWER : POLICY_REFUSED;
	LOG("qrexec: %s: %s -> %s: denied: %s", question->service, question->source,
	    question->target, refusal_name(d.reason));
}

/* -1: there is nothing to decide with. */
static int decide_here(const struct policy_question *question)
{
	struct policy *policy = read_policy();
	struct system *system = policy ? read_facts() : NULL;
	struct view *view = system ? view_new(policy, system) : NULL;

	if (view)
		decide(view, question);
	view_free(view);
	system_unref(system);
	policy_unref(policy);
	return view ? 0 : -1;
}

static int usage(FILE *out, int status)
{
	(void)fputs("usage: qrexec-policy-exec [--assume-yes-for-ask] [--just-evaluate] [--path "
	            "DIR] [--root DIR]\n"
	            "                          [--] SOURCE TARGET SERVICE[+ARGUMENT]\n"
	            "       qrexec-policy-exec [OPTIONS] [--] DOMID SOURCE TARGET "
	            "SERVICE[+ARGUMENT] IDENT\n",
	            out);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	        {"assume-yes-for-ask", no_argument, NULL, 'y'},
	        {"just-evaluate", no_argument, NULL, 'j'},
	        {"path", required_argument, NULL, 'p'},
	        {"root", required_argument, NULL, 'r'},
	        {"version", no_argument, NULL, 'V'},
	        {"help", no_argument, NULL, 'h'},
	        {NULL, 0, NULL, 0},
	};
	struct policy_question question = {.requested_source = ""};
	bool just, call;
	int option;

	log_init("qrexec-policy-exec");
	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (option) {
		case 'y':
			question.flags |= POLICY_ASSUME_YES;
			break;
		case 'j':
			question.flags |= POLICY_JUST_EVALUATE;
			break;
		case 'p':
			policy_dir = optarg;
			break;
		case 'r':
			paths_set_root(optarg);
			break;
		case 'V':
			return printf("qrexec-policy-exec %s\n", SKERRY_VERSION) < 0;
		case 'h':
			return usage(stdout, EXIT_ALLOWED);
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	call = argc - optind == 5;
	if (argc - optind != 3 && !call)
		return usage(stderr, EXIT_USAGE);
	argv += optind + call;
	question.source = argv[0];
	question.target = argv[1];
	question.service = argv[2];
	just = question.flags & POLICY_JUST_EVALUATE;
	if ((policy_dir || ask_service(&question)) && decide_here(&question))
		return EXIT_DENIED;
	if (call && !just && answer.verdict == POLICY_ALLOWED) {
		const struct policy_exec_caller caller = {
		        .domid = argv[-1], .name = argv[0], .service = argv[2], .ident = argv[3]};

		return policy_exec_call(&caller, &answer);
	}
	if (answer.verdict != POLICY_NO_ANSWER && !call)
		print_answer(just);
	return answer.verdict == POLICY_ALLOWED ? EXIT_ALLOWED : EXIT_DENIED;
}
