/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/image/release.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FIRST_LINE "skerry-image 1\n"

/* What is left of the text; the first mistake sticks. */
struct text {
	const char *at;
	size_t left;
	bool bad;
};

static bool take(struct text *t, const char *word)
{
	size_t len = strlen(word);

	if (t->bad || t->left < len || memcmp(t->at, word, len) != 0)
		return false;
	t->at += len;
	t->left -= len;
	return true;
}

static void expect(struct text *t, const char *word)
{
	if (!take(t, word))
		t->bad = true;
}

/* Decimal, without zeros in front. */
static uint64_t number(struct text *t, uint64_t max)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; n < t->left && t->at[n] >= '0' && t->at[n] <= '9'; n++) {
		uint64_t next = (uint64_t)(t->at[n] - '0');

		if ((n > 0 && value == 0) || value > (max - next) / 10) {
			t->bad = true;
			return 0;
		}
		value = value * 10 + next;
	}
	if (n == 0)
		t->bad = true;
	t->at += n;
	t->left -= n;
	return value;
}

static void name(struct text *t, char ret[RELEASE_PART_NAME_MAX + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	size_t n = 0;

	while (n < t->left && n <= RELEASE_PART_NAME_MAX && t->at[n] != '\0' &&
	       strchr(letters, t->at[n]))
		n++;
	if (n == 0 || n > RELEASE_PART_NAME_MAX || t->at[0] == '.' || t->at[0] == '-') {
		t->bad = true;
		return;
	}
	memcpy(ret, t->at, n);
	t->at += n;
	t->left -= n;
}

static void digest(struct text *t, uint8_t ret[RELEASE_DIGEST_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 2 * (size_t)RELEASE_DIGEST_LEN; i++) {
		const char *found =
		        i < t->left && t->at[i] != '\0' ? strchr(digits, t->at[i]) : NULL;

		if (!found) {
			t->bad = true;
			return;
		}
		ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (found - digits));
	}
	t->at += 2 * (size_t)RELEASE_DIGEST_LEN;
	t->left -= 2 * (size_t)RELEASE_DIGEST_LEN;
}

static void part(struct text *t, struct release *r)
{
	struct release_part *p = &r->parts[r->n_parts];

	name(t, p->name);
	expect(t, " ");
	p->size = (uint32_t)number(t, RELEASE_PART_MAX);
	expect(t, " ");
	digest(t, p->sha256);
	expect(t, "\n");
	if (p->size == 0 || (r->n_parts > 0 && strcmp(p[-1].name, p->name) >= 0))
		t->bad = true;
	r->n_parts++;
}

static bool has(const struct release *r, const char *wanted)
{
	for (size_t i = 0; i < r->n_parts; i++) {
		if (strcmp(r->parts[i].name, wanted) == 0)
			return true;
	}
	return false;
}

int release_decode(const char *untrusted, size_t len, struct release *ret)
{
	struct text t = {.at = untrusted, .left = len, .bad = len > RELEASE_MAX};

	*ret = (struct release){0};
	expect(&t, FIRST_LINE "version ");
	ret->version = number(&t, UINT64_MAX);
	expect(&t, "\ncreated ");
	ret->created = number(&t, RELEASE_TIME_MAX);
	expect(&t, "\nexpires ");
	ret->expires = number(&t, RELEASE_TIME_MAX);
	expect(&t, "\nafter ");
	ret->after = number(&t, UINT64_MAX);
	expect(&t, "\n");
	while (!t.bad && ret->n_parts < RELEASE_PARTS_MAX && take(&t, "part "))
		part(&t, ret);
	if (t.bad || t.left > 0 || ret->version == 0 || ret->created >= ret->expires ||
	    !has(ret, "xen.gz") || !has(ret, "vmlinuz") || !has(ret, "initramfs.gz")) {
		*ret = (struct release){0};
		return -1;
	}
	return 0;
}

size_t release_encode(char out[RELEASE_MAX], const struct release *release)
{
	int n = snprintf(out, RELEASE_MAX,
	                 FIRST_LINE "version %" PRIu64 "\ncreated %" PRIu64 "\nexpires %" PRIu64
	                            "\nafter %" PRIu64 "\n",
	                 release->version, release->created, release->expires, release->after);

	for (size_t i = 0; i < release->n_parts; i++) {
		const struct release_part *p = &release->parts[i];

		n += snprintf(out + n, RELEASE_MAX - (size_t)n, "part %s %" PRIu32 " ", p->name,
		              p->size);
		for (size_t k = 0; k < RELEASE_DIGEST_LEN; k++)
			n += snprintf(out + n, RELEASE_MAX - (size_t)n, "%02x", p->sha256[k]);
		out[n++] = '\n';
	}
	return (size_t)n;
}
