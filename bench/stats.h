/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Samples of one measurement, and their line of output: one JSON object a line, which bench/run puts
 * into the table.
 */

struct stats {
	double *us; /* owned */
	size_t n;
	size_t max;
	uint64_t began_ns;
	uint64_t ended_ns;
};

/** stats_now_ns() - CLOCK_MONOTONIC */
uint64_t stats_now_ns(void);

/** stats_init() - room for max samples; ends the program if there is no memory */
void stats_init(struct stats *stats, size_t max);
void stats_fini(struct stats *stats);

/** stats_add() - one sample; those beyond max are dropped */
void stats_add(struct stats *stats, uint64_t ns);

/** stats_print_latency() - {"name":…,"n":…,"per_s":…,"p50_us":…,"p99_us":…,"p999_us":…} + extra */
void stats_print_latency(struct stats *stats, const char *name, const char *extra);

/** stats_print_rate() - {"name":…,"value":…,"unit":…} */
void stats_print_rate(const char *name, double value, const char *unit);

/** stats_fail() - "PROGRAM: what: errno text" and exit 1: a measurement that failed is no figure */
NORETURN void stats_fail(const char *what);

#endif
