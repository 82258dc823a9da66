/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

#include <stddef.h>

#include "lib/base/compat.h"
#include "lib/base/escape.h"

/*
 * One line per event to standard error, in the form of the programs that Skerry stands in for:
 *
 *   2026-01-31 12:34:56.789 prog[1234]: file.c:12:function: text[: errno text]
 *
 * The whole text passes the escaper: every byte outside 0x20..0x7e, and the backslash, becomes
 * \xNN, so nothing that a qube wrote can start a line or drive a terminal. A line is cut at
 * LOG_LINE_MAX bytes and written with one write(2).
 */

#define LOG_LINE_MAX 1024

/* A limit on lines that a qube can cause; see log_limited(). One per source of such lines. */
struct log_limit {
	unsigned int burst;         /* lines at once */
	unsigned int per_second;    /* lines a second after that */
	unsigned int tokens;        /* private */
	unsigned int dropped;       /* private */
	unsigned long long last_ms; /* private; 0 before the first line */
};

#define LOG_LIMIT_QUBE                                                                             \
	{                                                                                          \
		.burst = 50, .per_second = 5                                                       \
	}

/** log_init() - the program's name for every line, borrowed for ever. The time zone's file is read
 *  with the first line, or by confine(): a program that has nothing to say does not look at it. */
void log_init(const char *prog);

/** log_set_fd() - where lines go from now on; default 2 */
void log_set_fd(int fd);

void log_write(const char *file, int line, const char *func, int err, const char *fmt, ...)
        PRINTF_LIKE(5, 6);

/* The text alone; with the text of errno appended; and what a qube caused, limited. */
#define LOG(...)       log_write(__FILE__, __LINE__, __func__, 0, __VA_ARGS__)
#define LOG_ERRNO(...) log_write(__FILE__, __LINE__, __func__, errno, __VA_ARGS__)
#define LOG_QUBE(limit, ...)                                                                       \
	do {                                                                                       \
		if (log_allow(limit))                                                              \
			log_write(__FILE__, __LINE__, __func__, 0, __VA_ARGS__);                   \
	} while (0)

/** log_allow() - whether this source may write a line now; says once how many were dropped */
int log_allow(struct log_limit *limit);

#endif
