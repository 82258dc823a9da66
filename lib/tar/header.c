/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/tar/header.h"

#include <stdio.h>
#include <string.h>

/* Offsets and lengths of a ustar block; POSIX 1003.1, pax(1). */
enum {
	NAME = 0,
	NAME_LEN = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	SUM = 148,
	SUM_LEN = 8,
	TYPE = 156,
	LINK = 157,
	LINK_LEN = 100,
	MAGIC = 257,
	VERSION = 263,
	PREFIX = 345,
	PREFIX_LEN = 155,
	/* Old GNU sparse files: in the place of the prefix. */
	GNU_REGIONS = 386,
	GNU_MORE = 482,
	GNU_REAL_SIZE = 483,
	GNU_NEXT_MORE = 504,
	SHORT = 8,
	LONG = 12,
};

static uint32_t sum_of(const uint8_t block[TAR_BLOCK])
{
	uint32_t sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM && i < SUM + SUM_LEN ? ' ' : block[i];
	return sum;
}

/* Octal text with blanks around it, or base 256 if the first bit is set. */
static bool number(const uint8_t *field, size_t len, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i = 0;

	*ret = 0;
	if (field[0] & 0x80) {
		/* Negative, or more than 64 bits. */
		if (field[0] != 0x80)
			return false;
		for (i = 1; i < len; i++) {
			if (n > (UINT64_MAX >> 8))
				return false;
			n = n << 8 | field[i];
		}
		*ret = n;
		return n <= max;
	}
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (n > (UINT64_MAX >> 3))
			return false;
		n = n << 3 | (uint64_t)(field[i] - '0');
	}
	for (; i < len; i++) {
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	}
	*ret = n;
	return n <= max;
}

static void copy_text(char *out, const uint8_t *field, size_t len)
{
	size_t n = strnlen((const char *)field, len);

	memcpy(out, field, n);
	out[n] = '\0';
}

static void names(const uint8_t block[TAR_BLOCK], struct tar_header *out)
{
	size_t n = 0;

	/* The prefix is POSIX's; GNU has other things there. */
	if (memcmp(block + MAGIC, "ustar\0", 6) == 0 && block[PREFIX] != '\0') {
		copy_text(out->name, block + PREFIX, PREFIX_LEN);
		n = strlen(out->name);
		out->name[n++] = '/';
	}
	copy_text(out->name + n, block + NAME, NAME_LEN);
	copy_text(out->link, block + LINK, LINK_LEN);
}

enum tar_result tar_header_decode(const uint8_t block[TAR_BLOCK], struct tar_header *out)
{
	static const uint8_t nothing[TAR_BLOCK];
	uint64_t sum, mode, uid, gid, mtime;

	memset(out, 0, sizeof(*out));
	if (memcmp(block, nothing, TAR_BLOCK) == 0)
		return TAR_END;
	if (!number(block + SUM, SUM_LEN, UINT32_MAX, &sum) || sum != sum_of(block))
		return TAR_BAD;
	if (!number(block + MODE, SHORT, UINT32_MAX, &mode) ||
	    !number(block + UID, SHORT, UINT32_MAX - 1, &uid) ||
	    !number(block + GID, SHORT, UINT32_MAX - 1, &gid) ||
	    !number(block + SIZE, LONG, TAR_SIZE_MAX, &out->size) ||
	    !number(block + MTIME, LONG, INT64_MAX, &mtime))
		return TAR_BAD;
	out->mode = (uint32_t)mode & 07777;
	out->uid = (uint32_t)uid;
	out->gid = (uint32_t)gid;
	out->mtime = (int64_t)mtime;
	out->type = (char)block[TYPE];
	/* Before POSIX; and a contiguous file is a file. */
	if (out->type == '\0' || out->type == '7')
		out->type = TAR_FILE;
	names(block, out);
	if (out->type == TAR_SPARSE &&
	    !number(block + GNU_REAL_SIZE, LONG, TAR_SIZE_MAX, &out->real_size))
		return TAR_BAD;
	return TAR_OK;
}

static bool put_octal(uint8_t *field, size_t len, uint64_t n)
{
	if (n >> (3 * (len - 1)))
		return false;
	field[len - 1] = '\0';
	for (size_t i = len - 1; i-- > 0; n >>= 3)
		field[i] = (uint8_t)('0' + (n & 7));
	return true;
}

static void put_long(uint8_t *field, uint64_t n)
{
	if (put_octal(field, LONG, n))
		return;
	for (size_t i = LONG; i-- > 0; n >>= 8)
		field[i] = (uint8_t)n;
	field[0] = 0x80;
}

static void put_sum(uint8_t block[TAR_BLOCK])
{
	(void)put_octal(block + SUM, SUM_LEN - 1, sum_of(block));
	block[SUM + SUM_LEN - 1] = ' ';
}

static bool put_name(uint8_t block[TAR_BLOCK], const char *name, bool prefix)
{
	size_t len = strlen(name);

	if (len <= NAME_LEN) {
		memcpy(block + NAME, name, len);
		return true;
	}
	/* The longest end that fits, so that the beginning does as well. */
	for (size_t i = len - NAME_LEN - 1; prefix && i < len && i <= PREFIX_LEN; i++) {
		if (name[i] != '/' || i == 0 || i + 1 == len)
			continue;
		memcpy(block + PREFIX, name, i);
		memcpy(block + NAME, name + i + 1, len - i - 1);
		return true;
	}
	memcpy(block + NAME, name + len - NAME_LEN, NAME_LEN);
	return false;
}

int tar_header_encode(uint8_t block[TAR_BLOCK], const struct tar_header *in)
{
	size_t link_len = strlen(in->link);
	bool fits;

	memset(block, 0, TAR_BLOCK);
	memcpy(block + MAGIC, "ustar", 6);
	memcpy(block + VERSION, "00", 2);
	fits = put_name(block, in->name, true);
	fits &= link_len <= LINK_LEN;
	memcpy(block + LINK, in->link, link_len <= LINK_LEN ? link_len : LINK_LEN);
	fits &= put_octal(block + MODE, SHORT, in->mode & 07777);
	fits &= put_octal(block + UID, SHORT, in->uid);
	fits &= put_octal(block + GID, SHORT, in->gid);
	fits &= put_octal(block + SIZE, LONG, in->size);
	fits &= in->mtime >= 0 && put_octal(block + MTIME, LONG, (uint64_t)in->mtime);
	/* What does not fit is zero, and legal. */
	for (size_t i = 0; i < 4; i++) {
		static const uint16_t at[] = {UID, GID, SIZE, MTIME};
		static const uint8_t len[] = {SHORT, SHORT, LONG, LONG};

		if (block[at[i]] == '\0')
			(void)put_octal(block + at[i], len[i], 0);
	}
	block[TYPE] = (uint8_t)in->type;
	put_sum(block);
	return fits ? 0 : -1;
}

int tar_regions_decode(const uint8_t block[TAR_BLOCK], bool next,
                       struct tar_region out[TAR_REGIONS_NEXT], bool *ret_more)
{
	const uint8_t *p = block + (next ? 0 : GNU_REGIONS);
	int max = next ? TAR_REGIONS_NEXT : TAR_REGIONS_FIRST, n;

	for (n = 0; n < max; n++, p += 2 * LONG) {
		if (p[0] == '\0')
			break;
		if (!number(p, LONG, TAR_SIZE_MAX, &out[n].offset) ||
		    !number(p + LONG, LONG, TAR_SIZE_MAX, &out[n].len))
			return -1;
	}
	*ret_more = block[next ? GNU_NEXT_MORE : GNU_MORE] != 0;
	return n;
}

static void put_regions(uint8_t *p, const struct tar_region *regions, size_t n)
{
	for (size_t i = 0; i < n; i++, p += 2 * LONG) {
		put_long(p, regions[i].offset);
		put_long(p + LONG, regions[i].len);
	}
}

int tar_sparse_encode(uint8_t block[TAR_BLOCK], const struct tar_header *in,
                      const struct tar_region *regions, size_t n, bool more)
{
	if (n > TAR_REGIONS_FIRST || strlen(in->name) > NAME_LEN)
		return -1;
	/* Sizes that do not fit are put below. */
	if (tar_header_encode(block, in) && in->size >> 33 == 0)
		return -1;
	/* "ustar  " is GNU's own magic, of 8 bytes. */
	memcpy(block + MAGIC, "ustar  ", 8);
	put_long(block + SIZE, in->size);
	put_long(block + GNU_REAL_SIZE, in->real_size);
	put_regions(block + GNU_REGIONS, regions, n);
	block[GNU_MORE] = more;
	block[TYPE] = TAR_SPARSE;
	put_sum(block);
	return 0;
}

void tar_regions_encode(uint8_t block[TAR_BLOCK], const struct tar_region *regions, size_t n,
                        bool more)
{
	memset(block, 0, TAR_BLOCK);
	put_regions(block, regions, n < TAR_REGIONS_NEXT ? n : TAR_REGIONS_NEXT);
	block[GNU_NEXT_MORE] = more;
}

/* Decimal digits up to a stop; false: none, too big, or something else. */
static bool decimal(const char *text, size_t len, size_t *at, uint64_t max, uint64_t *ret)
{
	size_t begin = *at;
	uint64_t n = 0;

	for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(text[*at] - '0');
	}
	*ret = n;
	return *at > begin && n <= max;
}

enum tar_result tar_pax_next(const char *data, size_t len, size_t *at, struct tar_pax *out)
{
	size_t begin = *at, end, i = *at;
	const char *equals;
	uint64_t record;

	if (begin >= len)
		return TAR_END;
	/* The length counts itself, the blank, and the newline. */
	if (!decimal(data, len, &i, len - begin, &record) || i >= len || data[i] != ' ' ||
	    record < i - begin + 4)
		return TAR_BAD;
	end = begin + (size_t)record;
	if (data[end - 1] != '\n')
		return TAR_BAD;
	i++;
	equals = memchr(data + i, '=', end - 1 - i);
	if (!equals || equals == data + i || memchr(data + i, '\0', (size_t)(equals - data) - i))
		return TAR_BAD;
	out->key = data + i;
	out->key_len = (size_t)(equals - out->key);
	out->value = equals + 1;
	out->value_len = (size_t)(data + end - 1 - out->value);
	*at = end;
	return TAR_OK;
}

bool tar_pax_is(const struct tar_pax *p, const char *key)
{
	return p->key_len == strlen(key) && memcmp(p->key, key, p->key_len) == 0;
}

static enum tar_result take_text(const struct tar_pax *p, char out[TAR_NAME_MAX + 1])
{
	if (p->value_len > TAR_NAME_MAX || memchr(p->value, '\0', p->value_len))
		return TAR_BAD;
	memcpy(out, p->value, p->value_len);
	out[p->value_len] = '\0';
	return TAR_OK;
}

static enum tar_result take_number(const struct tar_pax *p, uint64_t max, uint64_t *ret)
{
	size_t at = 0;

	return decimal(p->value, p->value_len, &at, max, ret) && at == p->value_len ? TAR_OK
	                                                                            : TAR_BAD;
}

/* Seconds with a fraction; before 1970 counts as 1970. */
static enum tar_result take_time(const struct tar_pax *p, struct tar_header *h)
{
	uint64_t seconds;
	uint32_t ns = 0, unit = 100000000;
	size_t at = 0;

	if (p->value_len > 0 && p->value[0] == '-') {
		h->mtime = 0;
		h->mtime_ns = 0;
		return TAR_OK;
	}
	if (!decimal(p->value, p->value_len, &at, INT64_MAX, &seconds))
		return TAR_BAD;
	if (at < p->value_len && p->value[at++] != '.')
		return TAR_BAD;
	for (; at < p->value_len; at++, unit /= 10) {
		if (p->value[at] < '0' || p->value[at] > '9')
			return TAR_BAD;
		ns += unit * (uint32_t)(p->value[at] - '0');
	}
	h->mtime = (int64_t)seconds;
	h->mtime_ns = ns;
	return TAR_OK;
}

enum tar_result tar_pax_apply(const struct tar_pax *p, struct tar_header *h)
{
	enum tar_result r = TAR_OK;
	uint64_t n = 0;

	if (tar_pax_is(p, "path"))
		return take_text(p, h->name);
	if (tar_pax_is(p, "linkpath"))
		return take_text(p, h->link);
	if (tar_pax_is(p, "mtime"))
		return take_time(p, h);
	if (tar_pax_is(p, "size"))
		return take_number(p, TAR_SIZE_MAX, &h->size);
	if (tar_pax_is(p, "uid")) {
		r = take_number(p, UINT32_MAX - 1, &n);
		h->uid = (uint32_t)n;
	} else if (tar_pax_is(p, "gid")) {
		r = take_number(p, UINT32_MAX - 1, &n);
		h->gid = (uint32_t)n;
	}
	return r;
}

int tar_pax_put(char *out, size_t max, const char *key, const void *value, size_t value_len)
{
	size_t rest = strlen(key) + value_len + 3, total = rest + 1;
	char digits[24];
	int n;

	/* The length contains its own digits. */
	do {
		n = snprintf(digits, sizeof(digits), "%zu", total);
		if (rest + (size_t)n == total)
			break;
		total = rest + (size_t)n;
	} while (true);
	if (total > max || total > TAR_PAX_MAX)
		return -1;
	memcpy(out, digits, (size_t)n);
	out += n;
	*out++ = ' ';
	memcpy(out, key, strlen(key));
	out += strlen(key);
	*out++ = '=';
	memcpy(out, value, value_len);
	out[value_len] = '\n';
	return (int)total;
}
