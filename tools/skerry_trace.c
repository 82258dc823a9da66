/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry trace - where the time of calls went, stage by stage
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "tools/skerry.h"
#include "tools/trace_read.h"

#define FOLLOW_MS     200          /* between two looks at the rings; chosen */
#define FOLLOW_AGE_NS 300000000ULL /* a call without an event for so long is shown; chosen */
#define BAR_MAX       30           /* characters; chosen */

struct trace_wish {
	bool summary;
	bool follow;
	bool has_id;
	uint64_t id;
	const char *service; /* NULL: any */
	const char *dir;
};

static const struct trace_event *event_of(const struct trace_set *set,
                                          const struct trace_call *call, size_t i)
{
	return &set->events[call->events[i]];
}

/* The service's name: the first text that a stage that carries one has. */
static const char *call_service(const struct trace_set *set, const struct trace_call *call)
{
	for (size_t i = 0; i < call->n_events; i++) {
		const struct trace_event *event = event_of(set, call, i);

		if (event->stage == TRACE_TRIGGER && event->text[0] != '\0')
			return event->text;
	}
	for (size_t i = 0; i < call->n_events; i++) {
		const struct trace_event *event = event_of(set, call, i);

		if (event->stage != TRACE_PORT && event->text[0] != '\0')
			return event->text;
	}
	return "-";
}

static double us_between(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1000.0 : 0.0;
}

static double call_us(const struct trace_set *set, const struct trace_call *call)
{
	return us_between(event_of(set, call, 0)->time_ns,
	                  event_of(set, call, call->n_events - 1)->time_ns);
}

/* Whether its beginning is in the rings: a port that is released later is not a call. In a qube a
 * call begins with its service. */
static bool call_began(const struct trace_set *set, const struct trace_call *call)
{
	for (size_t i = 0; i < call->n_events; i++) {
		uint32_t stage = event_of(set, call, i)->stage;

		if (stage == TRACE_TRIGGER || stage == TRACE_EXEC_SENT ||
		    stage == TRACE_SERVICE_SPAWN)
			return true;
	}
	return false;
}

static bool call_wanted(const struct trace_set *set, const struct trace_call *call,
                        const struct trace_wish *wish)
{
	if (!call_began(set, call))
		return false;
	if (wish->service &&
	    strncmp(call_service(set, call), wish->service, strlen(wish->service)) != 0)
		return false;
	if (!wish->has_id)
		return true;
	for (size_t i = 0; i < call->n_events; i++)
		if (event_of(set, call, i)->call == wish->id)
			return true;
	return false;
}

static void call_print_json(const struct trace_set *set, const struct trace_call *call)
{
	const struct trace_event *first = event_of(set, call, 0);

	/* Texts hold sanitised characters only; quotes and backslashes are not among them, but a
	 * ring may be a qube's own: replace rather than trust. */
	printf("{\"call\":\"%016" PRIx64 "\",\"total_us\":%.1f,\"stages\":[", call->id,
	       call_us(set, call));
	for (size_t i = 0; i < call->n_events; i++) {
		const struct trace_event *event = event_of(set, call, i);
		char text[2][41];

		for (int t = 0; t < 2; t++) {
			size_t c = 0;

			for (const char *s = t ? event->text : event->process; *s; s++)
				text[t][c++] = *s == '"' || *s == '\\' ? '_' : *s;
			text[t][c] = '\0';
		}
		printf("%s{\"us\":%.1f,\"process\":\"%s\",\"pid\":%u,\"stage\":\"%s\","
		       "\"detail\":%u,\"text\":\"%s\"}",
		       i ? "," : "", us_between(first->time_ns, event->time_ns), text[0],
		       event->pid, trace_stage_text(event->stage), event->detail, text[1]);
	}
	printf("]}\n");
}

static void bar_print(double part, const struct skerry_options *options)
{
	int n = (int)(part * BAR_MAX + 0.5);

	printf("%s", skerry_style(options, part > 0.33   ? STYLE_BAD
	                                   : part > 0.15 ? STYLE_WARN
	                                                 : STYLE_GOOD));
	for (int i = 0; i < BAR_MAX; i++)
		putchar(i < n ? '#' : ' ');
	printf("%s", skerry_style(options, STYLE_PLAIN));
}

static void call_print(const struct trace_set *set, const struct trace_call *call,
                       const struct skerry_options *options)
{
	uint64_t start = event_of(set, call, 0)->time_ns;
	double total = call_us(set, call);
	uint64_t before = start;

	if (options->json) {
		call_print_json(set, call);
		return;
	}
	printf("%scall %016" PRIx64 "  %s  %.0f us, %zu stages%s\n",
	       skerry_style(options, STYLE_BOLD), call->id, call_service(set, call), total,
	       call->n_events, skerry_style(options, STYLE_PLAIN));
	printf("%10s %9s  %-*s  %-24s %s\n", "us", "step", BAR_MAX, "", "stage", "process");
	for (size_t i = 0; i < call->n_events; i++) {
		const struct trace_event *event = event_of(set, call, i);
		double step = us_between(before, event->time_ns);

		printf("%10.1f %9.1f  ", us_between(start, event->time_ns), step);
		bar_print(total > 0 ? step / total : 0, options);
		printf("  %-24s %s%s[%u]%s %s", trace_stage_text(event->stage),
		       skerry_style(options, STYLE_FAINT), event->process, event->pid,
		       skerry_style(options, STYLE_PLAIN), event->text);
		if (event->detail != 0)
			printf(" (%u)", event->detail);
		putchar('\n');
		before = event->time_ns;
	}
}

static int double_order(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double quantile(const double *sorted, size_t n, double q)
{
	size_t i = (size_t)(q * (double)n);

	return n == 0 ? 0 : sorted[MIN(i, n - 1)];
}

/* One row: the time up to this stage since the one before it, over all calls; or the whole call. */
static int summary_row(const struct trace_set *set, const struct trace_wish *wish, uint32_t stage,
                       const struct skerry_options *options)
{
	double *steps = calloc(set->n_events + 1, sizeof(*steps));
	const char *name = stage == TRACE_NONE ? "whole call" : trace_stage_text(stage);
	size_t n = 0;

	if (!steps)
		return -1;
	for (size_t c = 0; c < set->n_calls; c++) {
		const struct trace_call *call = &set->calls[c];

		if (!call_wanted(set, call, wish) || call->n_events < 2)
			continue;
		if (stage == TRACE_NONE)
			steps[n++] = call_us(set, call);
		for (size_t i = 1; i < call->n_events && stage != TRACE_NONE; i++)
			if (event_of(set, call, i)->stage == stage)
				steps[n++] = us_between(event_of(set, call, i - 1)->time_ns,
				                        event_of(set, call, i)->time_ns);
	}
	qsort(steps, n, sizeof(*steps), double_order);
	if (n > 0 && options->json)
		printf("{\"stage\":\"%s\",\"n\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,"
		       "\"max_us\":%.1f}\n",
		       name, n, quantile(steps, n, 0.5), quantile(steps, n, 0.99), steps[n - 1]);
	else if (n > 0)
		printf("%-26s %8zu %10.1f %10.1f %10.1f\n", name, n, quantile(steps, n, 0.5),
		       quantile(steps, n, 0.99), steps[n - 1]);
	free(steps);
	return 0;
}

static int summary_print(const struct trace_set *set, const struct trace_wish *wish,
                         const struct skerry_options *options)
{
	if (!options->json)
		printf("%s%-26s %8s %10s %10s %10s%s\n", skerry_style(options, STYLE_BOLD),
		       "step up to", "calls", "p50 us", "p99 us", "max us",
		       skerry_style(options, STYLE_PLAIN));
	for (uint32_t stage = TRACE_NONE + 1; stage <= TRACE_STAGE_MAX; stage++)
		if (summary_row(set, wish, stage % TRACE_STAGE_MAX, options) < 0)
			return -1;
	return 0;
}

static int trace_read(const struct trace_wish *wish, struct trace_set *ret_set)
{
	char dir[PATH_MAX];

	if (wish->dir ? (size_t)snprintf(dir, sizeof(dir), "%s", wish->dir) >= sizeof(dir)
	              : path_make(dir, sizeof(dir), TRACE_DIR, NULL) < 0) {
		LOG("the path of the trace folder is too long");
		return -1;
	}
	if (trace_set_read(dir, ret_set) < 0) {
		LOG_ERRNO("no traces in %s", dir);
		return -1;
	}
	return 0;
}

/* Calls that began after the last one shown and have been quiet for a moment. */
static int trace_follow(const struct trace_wish *wish, const struct skerry_options *options)
{
	uint64_t shown_ns = 0;
	struct trace_set set;

	for (;;) {
		struct timespec now;
		uint64_t quiet_ns, shown_before = shown_ns;

		if (trace_read(wish, &set) < 0)
			return SKERRY_REFUSED;
		clock_gettime(CLOCK_MONOTONIC, &now);
		quiet_ns = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec -
		           FOLLOW_AGE_NS;
		for (size_t c = 0; c < set.n_calls; c++) {
			const struct trace_call *call = &set.calls[c];
			uint64_t last;

			if (!call_wanted(&set, call, wish))
				continue;
			last = event_of(&set, call, call->n_events - 1)->time_ns;
			if (last > quiet_ns || last <= shown_before)
				continue;
			call_print(&set, call, options);
			shown_ns = MAX(shown_ns, last);
		}
		trace_set_fini(&set);
		if (fflush(stdout) != 0)
			return SKERRY_REFUSED;
		(void)poll(NULL, 0, FOLLOW_MS);
	}
}

static int trace_once(const struct trace_wish *wish, const struct skerry_options *options)
{
	struct trace_set set;
	int status = SKERRY_DONE;
	size_t c;

	if (trace_read(wish, &set) < 0)
		return SKERRY_REFUSED;
	if (wish->summary) {
		if (summary_print(&set, wish, options) < 0)
			status = SKERRY_REFUSED;
	} else {
		for (c = set.n_calls; c > 0 && !call_wanted(&set, &set.calls[c - 1], wish); c--)
			;
		if (c == 0) {
			fprintf(stderr, "skerry: no such call in %zu rings\n", set.n_rings);
			status = SKERRY_REFUSED;
		} else {
			call_print(&set, &set.calls[c - 1], options);
		}
	}
	trace_set_fini(&set);
	return status;
}

int skerry_trace(int argc, char **argv, const struct skerry_options *options)
{
	static const struct option longs[] = {
	        {"call", required_argument, NULL, 'c'},
	        {"service", required_argument, NULL, 's'},
	        {"summary", no_argument, NULL, 'S'},
	        {"follow", no_argument, NULL, 'f'},
	        {"last", no_argument, NULL, 'l'},
	        {"dir", required_argument, NULL, 'd'},
	        {0},
	};
	struct trace_wish wish = {0};
	char *end;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c') {
			wish.has_id = true;
			wish.id = strtoull(optarg, &end, 16);
			if (*optarg == '\0' || *end != '\0')
				return skerry_usage("trace");
		} else if (c == 's') {
			wish.service = optarg;
		} else if (c == 'd') {
			wish.dir = optarg;
		} else if (c == 'S') {
			wish.summary = true;
		} else if (c == 'f') {
			wish.follow = true;
		} else if (c != 'l') {
			return skerry_usage("trace");
		}
	}
	if (optind != argc)
		return skerry_usage("trace");
	return wish.follow ? trace_follow(&wish, options) : trace_once(&wish, options);
}
