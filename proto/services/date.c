/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/date.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_LEN (sizeof("2026-05-01T10:11:12") - 1)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 'd' in the shape stands for a digit, everything else for itself. */
static bool has_shape(const char *text, const char *shape)
{
	for (; *shape; shape++, text++) {
		if (*shape == 'd' ? !is_digit(*text) : *text != *shape)
			return false;
	}
	return true;
}

enum date_result date_check(const char *data, size_t len)
{
	static const char zone[] = "+00:00\n";
	const size_t zone_len = sizeof(zone) - 1;

	len = MIN(len, (size_t)DATE_NS_LEN);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)data[i] > 0x7f)
			return DATE_E_ASCII;
	}
	if (len != DATE_LEN && len != DATE_NS_LEN)
		return DATE_E_LENGTH;
	if (memcmp(data + len - zone_len, zone, zone_len) != 0)
		return DATE_E_ZONE;
	if (!has_shape(data, "dddd-dd-ddTdd:dd:dd"))
		return DATE_E_FORM;
	if (len == DATE_NS_LEN && !has_shape(data + SECONDS_LEN, ",ddddddddd"))
		return DATE_E_FORM;
	if (memcmp(data, DATE_FLOOR, SECONDS_LEN) <= 0)
		return DATE_E_FLOOR;
	return DATE_OK;
}

const char *date_error(enum date_result result)
{
	static const char *const texts[] = {
	        [DATE_OK] = "",
	        [DATE_E_ASCII] = "Received non-ASCII date",
	        [DATE_E_LENGTH] = "Invalid date length",
	        [DATE_E_ZONE] = "Date not in UTC",
	        [DATE_E_FORM] = "Invalid date received",
	        [DATE_E_FLOOR] = "Received a date older than this program",
	        [DATE_E_VALUE] = "There is no such date",
	};

	return texts[result];
}

/* A cursor over the text: what is not there is no digit. */
struct cursor {
	const char *at;
	const char *end;
	bool bad;
};

static int take_number(struct cursor *c, int n_digits)
{
	int value = 0;

	for (int i = 0; i < n_digits; i++) {
		if (c->at == c->end || !is_digit(*c->at)) {
			c->bad = true;
			return 0;
		}
		value = value * 10 + (*c->at++ - '0');
	}
	return value;
}

static bool take_one_of(struct cursor *c, const char *set)
{
	if (c->at == c->end || *c->at == '\0' || !strchr(set, *c->at))
		return false;
	c->at++;
	return true;
}

static void need(struct cursor *c, const char *set)
{
	if (!take_one_of(c, set))
		c->bad = true;
}

static long take_fraction(struct cursor *c)
{
	long value = 0;
	int n = 0;

	while (c->at != c->end && is_digit(*c->at)) {
		if (n++ == 9) {
			c->bad = true;
			return 0;
		}
		value = value * 10 + (*c->at++ - '0');
	}
	if (n == 0)
		c->bad = true;
	for (; n < 9; n++)
		value *= 10;
	return value;
}

/* Seconds that the local time is ahead of UTC. */
static int take_zone(struct cursor *c)
{
	int sign;
	int hours;
	int minutes = 0;

	if (c->at == c->end || *c->at == '\n' || take_one_of(c, "Z"))
		return 0;
	sign = *c->at == '-' ? -1 : 1;
	need(c, "+-");
	hours = take_number(c, 2);
	if (c->at != c->end && *c->at != '\n') {
		(void)take_one_of(c, ":");
		minutes = take_number(c, 2);
	}
	if (hours > 14 || minutes > 59)
		c->bad = true;
	return sign * (hours * 3600 + minutes * 60);
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

enum date_result date_parse(const char *data, size_t len, struct timespec *ret_time)
{
	struct cursor c = {.at = data, .end = data + len};
	struct tm tm = {0};
	long ns = 0;
	int ahead;
	int year;

	year = take_number(&c, 4);
	need(&c, "-");
	tm.tm_mon = take_number(&c, 2) - 1;
	need(&c, "-");
	tm.tm_mday = take_number(&c, 2);
	need(&c, "T");
	tm.tm_hour = take_number(&c, 2);
	need(&c, ":");
	tm.tm_min = take_number(&c, 2);
	need(&c, ":");
	tm.tm_sec = take_number(&c, 2);
	if (!c.bad && take_one_of(&c, ".,"))
		ns = take_fraction(&c);
	ahead = c.bad ? 0 : take_zone(&c);
	(void)take_one_of(&c, "\n");
	if (c.bad || c.at != c.end)
		return DATE_E_FORM;
	if (year < 1970 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > days_of(year, tm.tm_mon + 1) || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return DATE_E_VALUE;
	tm.tm_year = year - 1900;
	*ret_time = (struct timespec){.tv_sec = timegm(&tm) - ahead, .tv_nsec = ns};
	return DATE_OK;
}

size_t date_write(const struct timespec *time, bool ns, char *out)
{
	struct tm tm;
	char fraction[16] = "";
	int n;

	if (!gmtime_r(&time->tv_sec, &tm) || tm.tm_year < 1000 - 1900 || tm.tm_year > 9999 - 1900)
		return 0;
	if (ns)
		(void)snprintf(fraction, sizeof(fraction), ",%09ld", time->tv_nsec % 1000000000L);
	n = snprintf(out, DATE_NS_LEN + 1, "%04d-%02d-%02dT%02d:%02d:%02d%s+00:00\n",
	             (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	             tm.tm_sec, fraction);
	return n > 0 && n <= DATE_NS_LEN ? (size_t)n : 0;
}
