/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call/answer_time.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "proto/services/date.h"

#define SPREAD_S 180 /* protocol */

/* Uniform in 0 … bound - 1; bound is far below 2^32, so the bias is below 2^-32. */
static int random_below(uint32_t bound, uint32_t *ret_value)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		return -1;
	*ret_value = (uint32_t)(value % bound);
	return 0;
}

int answer_randomized_time(void)
{
	struct timespec now;
	uint32_t shift;
	uint32_t ns;
	char text[64];
	int n;

	if (clock_gettime(CLOCK_REALTIME, &now) || random_below(2 * SPREAD_S + 1, &shift) ||
	    random_below(1000000000, &ns)) {
		LOG_ERRNO("the time");
		return 1;
	}
	n = snprintf(text, sizeof(text), "%lld.%09u\n",
	             (long long)now.tv_sec + (long long)shift - SPREAD_S, ns);
	return fd_write_all(STDOUT_FILENO, text, (size_t)n) ? 1 : 0;
}

int answer_time(bool ns)
{
	char text[DATE_NS_LEN + 1];
	struct timespec now;
	size_t len;

	if (clock_gettime(CLOCK_REALTIME, &now)) {
		LOG_ERRNO("the time");
		return 1;
	}
	len = date_write(&now, ns, text);
	return len == 0 || fd_write_all(STDOUT_FILENO, text, len) ? 1 : 0;
}
