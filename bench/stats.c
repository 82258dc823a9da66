/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t stats_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

void stats_init(struct stats *stats, size_t max)
{
	*stats = (struct stats){.max = max, .us = calloc(max ? max : 1, sizeof(*stats->us))};
	if (!stats->us)
		stats_fail("samples");
	stats->began_ns = stats_now_ns();
}

void stats_fini(struct stats *stats)
{
	free(stats->us);
	*stats = (struct stats){0};
}

void stats_add(struct stats *stats, uint64_t ns)
{
	if (stats->n < stats->max)
		stats->us[stats->n++] = (double)ns / 1000.0;
	stats->ended_ns = stats_now_ns();
}

static int double_order(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double quantile(const struct stats *stats, double q)
{
	size_t i = (size_t)(q * (double)stats->n);

	return stats->n == 0 ? 0 : stats->us[MIN(i, stats->n - 1)];
}

void stats_print_latency(struct stats *stats, const char *name, const char *extra)
{
	double seconds = (double)(stats->ended_ns - stats->began_ns) / 1e9;

	qsort(stats->us, stats->n, sizeof(*stats->us), double_order);
	printf("{\"name\":\"%s\",\"n\":%zu,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
	       "\"p999_us\":%.1f,\"max_us\":%.1f%s%s}\n",
	       name, stats->n, seconds > 0 ? (double)stats->n / seconds : 0, quantile(stats, 0.5),
	       quantile(stats, 0.99), quantile(stats, 0.999), quantile(stats, 1.0),
	       extra ? "," : "", extra ? extra : "");
	(void)fflush(stdout);
}

void stats_print_rate(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", name, value, unit);
	(void)fflush(stdout);
}

void stats_fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}
