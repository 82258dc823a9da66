/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *log_prog = "skerry";
static int log_fd = 2;

void log_init(const char *prog)
{
	log_prog = prog;
}

void log_set_fd(int fd)
{
	log_fd = fd;
}

static size_t put_prefix(char *dst, size_t len, const char *file, int line, const char *func)
{
	struct timespec now;
	struct tm tm = {0};
	int n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)localtime_r(&now.tv_sec, &tm);
	n = snprintf(dst, len,
	             "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s[%d]: %s:%d:%s: ", tm.tm_year + 1900,
	             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	             now.tv_nsec / 1000000, log_prog, (int)getpid(), file, line, func);
	return n < 0 ? 0 : MIN((size_t)n, len - 1);
}

void log_write(const char *file, int line, const char *func, int err, const char *fmt, ...)
{
	int saved = errno;
	char text[LOG_LINE_MAX];
	char out[LOG_LINE_MAX * 2];
	const char *base = strrchr(file, '/');
	va_list args;
	size_t len;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0)
		return;
	len = put_prefix(out, LOG_LINE_MAX / 2, base ? base + 1 : file, line, func);
	len += escape_text(out + len, sizeof(out) - len - 80, text,
	                   MIN((size_t)n, sizeof(text) - 1));
	if (err) {
		n = snprintf(out + len, 78, ": %s",
		             strerrordesc_np(err) ? strerrordesc_np(err) : "?");
		len += n < 0 ? 0 : MIN((size_t)n, 77U);
	}
	out[len++] = '\n';
	while (write(log_fd, out, len) < 0 && errno == EINTR)
		;
	errno = saved;
}

int log_allow(struct log_limit *limit)
{
	struct timespec now;
	unsigned long long now_ms;
	unsigned long long earned;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
	if (limit->last_ms == 0) {
		limit->tokens = limit->burst;
		limit->last_ms = now_ms;
	}
	earned = (now_ms - limit->last_ms) * limit->per_second / 1000;
	if (earned > 0) {
		limit->tokens = (unsigned int)MIN(earned + limit->tokens, limit->burst);
		limit->last_ms = now_ms;
	}
	if (limit->tokens == 0) {
		limit->dropped++;
		return 0;
	}
	limit->tokens--;
	if (limit->dropped > 0) {
		LOG("%u lines of this source were dropped", limit->dropped);
		limit->dropped = 0;
	}
	return 1;
}
