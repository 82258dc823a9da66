/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decisions: how many a second, and how long a policy takes to load.
 *
 * usage: bench-policy write DIR RULES FILES QUBES       make the rules
 *        bench-policy inside DIR QUBES NAME             load and decide in this process
 *        bench-policy text SOCKET QUBES NAME PARALLEL   one connection a question, as the original
 *        bench-policy calls SOCKET QUBES NAME PARALLEL  one kept connection, so many questions open
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/policy_text.h"
#include "bench/stats.h"
#include "lib/base/fd.h"
#include "proto/policy.h"
#include "services/policy/decide.h"
#include "services/policy/policy.h"
#include "services/policy/system.h"

#define LOADS       7
#define QUESTIONS   1024 /* different ones, asked in turn */
#define INSIDE_NS   300000000ULL
#define SOCKET_ASKS 20000

static unsigned int number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value == 0 || value > 1000000) {
		fprintf(stderr, "bench-policy: not a number: %s\n", text);
		exit(2);
	}
	return (unsigned int)value;
}

static struct system *system_make(unsigned int qubes)
{
	struct system *system = system_new();
	struct policy_text_random random = {.state = 0xfac7};
	char name[32], uuid[40], tag[16];
	const char *tags[] = {tag, "created-by-dom0"};
	struct system_qube qube = {
	        .uuid = SYSTEM_ZERO_UUID, .type = "AdminVM", .name = "dom0", .running = true};

	if (!system || system_add(system, &qube) < 0)
		stats_fail("system");
	qube = (struct system_qube){.name = name,
	                            .uuid = uuid,
	                            .type = "AppVM",
	                            .tags = tags,
	                            .n_tags = ARRAY_LEN(tags),
	                            .running = true,
	                            .guivm = "dom0",
	                            .icon = "appvm-red"};
	for (unsigned int i = 0; i < qubes; i++) {
		snprintf(name, sizeof(name), "q%u", i);
		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012x", i);
		snprintf(tag, sizeof(tag), "t%u", policy_text_random(&random, 10));
		if (system_add(system, &qube) < 0)
			stats_fail("system");
	}
	if (system_seal(system) < 0)
		stats_fail("system");
	return system;
}

static struct policy *policy_make(const char *dir, const char *name)
{
	const char *dirs[] = {dir};
	const struct policy_place place = {.dirs = dirs, .n_dirs = 1, .legacy_dir = dir};
	struct policy *policy = NULL;
	double best_ms = 0;
	char text[96];

	for (int i = 0; i < LOADS; i++) {
		struct policy_inputs inputs = {0};
		static struct policy_fault fault;
		uint64_t began = stats_now_ns();
		double ms;

		policy_unref(policy);
		policy = policy_load_disk(&place, &inputs, &fault);
		ms = (double)(stats_now_ns() - began) / 1e6;
		if (!policy) {
			char why[PATH_MAX + 300];

			policy_fault_format(&fault, why, sizeof(why));
			fprintf(stderr, "bench-policy: %s\n", why);
			exit(1);
		}
		best_ms = i == 0 ? ms : MIN(best_ms, ms);
		policy_inputs_fini(&inputs);
	}
	snprintf(text, sizeof(text), "%s load", name);
	stats_print_rate(text, best_ms, "ms");
	return policy;
}

static void questions_make(struct policy_text_question *texts, unsigned int qubes, int miss)
{
	struct policy_text_random random = {.state = 0xa5c};

	for (size_t i = 0; i < QUESTIONS; i++)
		policy_text_question(&random, qubes, miss, &texts[i]);
}

static struct policy_question question_of(const struct policy_text_question *text)
{
	return (struct policy_question){.source = text->source,
	                                .requested_source = "",
	                                .target = text->target,
	                                .service = text->service};
}

static void measure_inside(struct view *view, unsigned int qubes, const char *name, int miss)
{
	static struct policy_text_question texts[QUESTIONS];
	static struct policy_question questions[QUESTIONS];
	uint64_t began, kinds[3] = {0}, n = 0;
	char text[96];

	questions_make(texts, qubes, miss);
	for (size_t i = 0; i < QUESTIONS; i++)
		questions[i] = question_of(&texts[i]);
	began = stats_now_ns();
	do {
		for (size_t i = 0; i < QUESTIONS; i++, n++) {
			struct decision decision;

			policy_decide(view, &questions[i], &decision);
			kinds[decision.kind]++;
		}
	} while (stats_now_ns() - began < INSIDE_NS);
	snprintf(text, sizeof(text), "%s %s", name, miss ? "miss" : "mixed");
	stats_print_rate(text, (double)n * 1e9 / (double)(stats_now_ns() - began), "decisions/s");
	fprintf(stderr, "%s: %.0f %% refused, %.0f %% allowed, %.0f %% asked\n", text,
	        100.0 * (double)kinds[DECISION_DENY] / (double)n,
	        100.0 * (double)kinds[DECISION_ALLOW] / (double)n,
	        100.0 * (double)kinds[DECISION_ASK] / (double)n);
}

static int inside(const char *dir, unsigned int qubes, const char *name)
{
	struct policy *policy = policy_make(dir, name);
	struct system *system = system_make(qubes);
	struct view *view = view_new(policy, system);

	if (!view)
		stats_fail("view");
	measure_inside(view, qubes, name, 0);
	measure_inside(view, qubes, name, 1);
	view_free(view);
	policy_unref(policy);
	system_unref(system);
	return 0;
}

/* One question over a connection of its own. */
static void text_ask(const char *path, const struct policy_text_question *text)
{
	OWNED_FD int fd = fd_connect_unix(path, SOCK_STREAM);
	char message[512], answer[POLICY_TEXT_MAX];
	size_t got = 0;
	ssize_t n;
	int len =
	        snprintf(message, sizeof(message),
	                 "source=%s\nintended_target=%s\nservice_and_arg=%s\njust_evaluate=yes\n\n",
	                 text->source, text->target, text->service);

	if (fd < 0 || fd_write_all(fd, message, (size_t)len) < 0)
		stats_fail(path);
	while ((n = read(fd, answer + got, sizeof(answer) - got)) > 0)
		got += (size_t)n;
	if (n < 0 || got < 11 || memcmp(answer, "result=", 7) != 0) {
		errno = EBADMSG;
		stats_fail("answer");
	}
}

static int text_child(const char *path, unsigned int qubes, const char *name, bool print)
{
	static struct policy_text_question texts[QUESTIONS];
	struct stats stats;

	questions_make(texts, qubes, 0);
	stats_init(&stats, SOCKET_ASKS / 2);
	for (size_t i = 0; i < SOCKET_ASKS / 2; i++) {
		uint64_t began = stats_now_ns();

		text_ask(path, &texts[i % QUESTIONS]);
		stats_add(&stats, stats_now_ns() - began);
	}
	if (print)
		stats_print_latency(&stats, name, NULL);
	stats_fini(&stats);
	return 0;
}

static int text(const char *path, unsigned int qubes, const char *name, unsigned int parallel)
{
	uint64_t began = stats_now_ns();
	char line[96];
	int status;

	if (parallel == 1)
		return text_child(path, qubes, name, true);
	for (unsigned int i = 0; i < parallel; i++) {
		pid_t pid = fork();

		if (pid < 0)
			stats_fail("fork");
		if (pid == 0)
			_exit(text_child(path, qubes, name, false));
	}
	for (unsigned int i = 0; i < parallel; i++)
		if (wait(&status) < 0 || status != 0)
			stats_fail("asker");
	snprintf(line, sizeof(line), "%s", name);
	stats_print_rate(
	        line, (double)parallel * (SOCKET_ASKS / 2) * 1e9 / (double)(stats_now_ns() - began),
	        "decisions/s");
	return 0;
}

static void call_send(int fd, const struct policy_text_question *from, uint32_t id)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	struct policy_question question = question_of(from);
	ssize_t len;

	question.id = id;
	question.flags = POLICY_JUST_EVALUATE;
	len = policy_encode_question(packet, sizeof(packet), &question);
	if (len < 0 || send(fd, packet, (size_t)len, MSG_NOSIGNAL) != len)
		stats_fail("question");
}

static int calls(const char *path, unsigned int qubes, const char *name, unsigned int parallel)
{
	static struct policy_text_question texts[QUESTIONS];
	static uint8_t packet[POLICY_PACKET_MAX];
	static struct policy_answer answer;
	static uint64_t began[SOCKET_ASKS * 10];
	int fd = fd_connect_unix(path, SOCK_SEQPACKET);
	uint32_t sent = 0, total = parallel == 1 ? SOCKET_ASKS : SOCKET_ASKS * 10;
	struct stats stats;

	if (fd < 0)
		stats_fail(path);
	questions_make(texts, qubes, 0);
	stats_init(&stats, total);
	while (stats.n < total) {
		ssize_t len;

		while (sent < total && sent - stats.n < parallel) {
			began[sent] = stats_now_ns();
			call_send(fd, &texts[sent % QUESTIONS], sent);
			sent++;
		}
		len = recv(fd, packet, sizeof(packet), 0);
		if (len <= 0 || policy_decode_answer(packet, (size_t)len, &answer) < 0 ||
		    answer.id >= sent || answer.verdict == POLICY_NO_ANSWER)
			stats_fail("answer");
		stats_add(&stats, stats_now_ns() - began[answer.id]);
	}
	stats_print_latency(&stats, name, NULL);
	stats_fini(&stats);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "write") == 0) {
		if (policy_text_write(argv[2], number(argv[3]), number(argv[4]), number(argv[5])) <
		    0)
			stats_fail(argv[2]);
		return 0;
	}
	if (argc == 5 && strcmp(argv[1], "inside") == 0)
		return inside(argv[2], number(argv[3]), argv[4]);
	if (argc == 6 && strcmp(argv[1], "text") == 0)
		return text(argv[2], number(argv[3]), argv[4], number(argv[5]));
	if (argc == 6 && strcmp(argv[1], "calls") == 0)
		return calls(argv[2], number(argv[3]), argv[4], number(argv[5]));
	fprintf(stderr, "usage: bench-policy write|inside|text|calls ...; see the source\n");
	return 2;
}
