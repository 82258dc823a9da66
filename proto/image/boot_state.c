/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/image/boot_state.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/check.h"

#define FIRST_LINE     "# GRUB Environment Block\n"
#define LINE_MAX_BYTES 64U

enum name { GOOD, TRYING, TRIES, FLOOR, SEEN, UNTIL, N_NAMES };
static const char *const names[N_NAMES] = {"good", "try", "tries", "floor", "seen", "until"};

/* Decimal, without zeros in front; empty is not. */
static int number(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -1;
	for (; *text; text++) {
		uint64_t next = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > (UINT64_MAX - next) / 10)
			return -1;
		value = value * 10 + next;
	}
	*ret = value;
	return 0;
}

static int slot(const char *text, char *ret)
{
	if (*text && ((text[0] != 'a' && text[0] != 'b') || text[1]))
		return -1;
	*ret = *text;
	return 0;
}

static int set(struct boot_state *s, enum name name, const char *value)
{
	uint64_t tries;

	switch (name) {
	case GOOD:
		return slot(value, &s->good);
	case TRYING:
		return slot(value, &s->trying);
	case TRIES:
		if (number(value, &tries) || tries > BOOT_STATE_TRIES_MAX)
			return -1;
		s->tries = (uint8_t)tries;
		return 0;
	case FLOOR:
		return number(value, &s->floor);
	case SEEN:
		return number(value, &s->seen);
	case UNTIL:
		return number(value, &s->until);
	case N_NAMES:
		break;
	}
	return -1;
}

/* NAME=VALUE, each name at most once: GRUB keeps the order that it likes. */
static int take_line(struct boot_state *s, const char *text, size_t len, bool had[N_NAMES])
{
	char line[LINE_MAX_BYTES];
	char *value;

	if (len >= sizeof(line))
		return -1;
	memcpy(line, text, len);
	line[len] = '\0';
	value = strchr(line, '=');
	if (!value || strlen(line) != len)
		return -1;
	*value++ = '\0';
	for (size_t i = 0; i < N_NAMES; i++) {
		if (strcmp(line, names[i]) != 0)
			continue;
		if (had[i])
			return -1;
		had[i] = true;
		return set(s, (enum name)i, value);
	}
	return -1;
}

int boot_state_decode(const uint8_t untrusted[BOOT_STATE_LEN], struct boot_state *ret)
{
	const char *text = (const char *)untrusted;
	size_t at = strlen(FIRST_LINE);
	bool had[N_NAMES] = {false};

	*ret = (struct boot_state){0};
	if (memcmp(text, FIRST_LINE, at) != 0)
		return -1;
	while (at < BOOT_STATE_USED && text[at] != '#') {
		const char *end = memchr(text + at, '\n', BOOT_STATE_USED - at);

		if (!end || take_line(ret, text + at, (size_t)(end - text) - at, had))
			return -1;
		at = (size_t)(end - text) + 1;
	}
	for (; at < BOOT_STATE_LEN; at++) {
		if (text[at] != '#')
			return -1;
	}
	return ret->trying && ret->trying == ret->good ? -1 : 0;
}

void boot_state_encode(uint8_t out[BOOT_STATE_LEN], const struct boot_state *state)
{
	char text[BOOT_STATE_USED];
	int n = snprintf(text, sizeof(text),
	                 FIRST_LINE "good=%.1s\ntry=%.1s\ntries=%u\nfloor=%" PRIu64
	                            "\nseen=%" PRIu64 "\nuntil=%" PRIu64 "\n",
	                 &state->good, &state->trying, state->tries, state->floor, state->seen,
	                 state->until);

	CHECK(n > 0 && (size_t)n < sizeof(text));
	memset(out, '#', BOOT_STATE_LEN);
	memcpy(out, text, (size_t)n);
}
