/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/backup/format.h"

#include <stdio.h>
#include <string.h>

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* What may be in the middle of a phrase: "!" separates there. */
static bool id_legal(const char *id)
{
	size_t n = 0;

	for (; id[n]; n++) {
		if (!alnum(id[n]) && id[n] != '-')
			return false;
	}
	return n > 0 && n < BACKUP_ID_LEN;
}

ssize_t backup_header_encode(char *out, size_t max, const struct backup_header *in)
{
	int n;

	if (!id_legal(in->id))
		return -1;
	n = snprintf(out, max,
	             "version=4\nencrypted=True\ncompressed=%s\ncompression-filter=gzip\n"
	             "hmac-algorithm=scrypt\nbackup-id=%s\n",
	             in->compressed ? "True" : "False", in->id);
	return n < 0 || (size_t)n >= max ? -1 : n;
}

struct line {
	const char *key, *value;
	size_t key_len, value_len;
};

static bool next_line(const char *data, size_t len, size_t *at, struct line *out)
{
	const char *begin = data + *at, *end = memchr(begin, '\n', len - *at), *equals;

	if (!end)
		return false;
	equals = memchr(begin, '=', (size_t)(end - begin));
	if (!equals)
		return false;
	*out = (struct line){.key = begin,
	                     .key_len = (size_t)(equals - begin),
	                     .value = equals + 1,
	                     .value_len = (size_t)(end - equals - 1)};
	*at = (size_t)(end - data) + 1;
	return true;
}

static bool is(const char *text, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

enum { VERSION, ENCRYPTED, COMPRESSED, FILTER, ALGORITHM, ID, KEYS };

static int key_of(const struct line *l)
{
	static const char *const keys[KEYS] = {"version",        "encrypted",
	                                       "compressed",     "compression-filter",
	                                       "hmac-algorithm", "backup-id"};

	for (int i = 0; i < KEYS; i++) {
		if (is(l->key, l->key_len, keys[i]))
			return i;
	}
	return -1;
}

static const char *take(int key, const struct line *l, struct backup_header *out)
{
	switch (key) {
	case VERSION:
		return is(l->value, l->value_len, "4")
		               ? NULL
		               : "only backups of version 4 can be read here";
	case ENCRYPTED:
		return is(l->value, l->value_len, "True") ? NULL : "it is not encrypted";
	case COMPRESSED:
		out->compressed = is(l->value, l->value_len, "True");
		return out->compressed || is(l->value, l->value_len, "False")
		               ? NULL
		               : "bad value of compressed";
	case FILTER:
		return is(l->value, l->value_len, "gzip") ? NULL : "it is not compressed by gzip";
	case ALGORITHM:
		return is(l->value, l->value_len, "scrypt") ? NULL
		                                            : "it is not encrypted by scrypt";
	default:
		if (l->value_len >= sizeof(out->id))
			return "bad backup-id";
		memcpy(out->id, l->value, l->value_len);
		return id_legal(out->id) ? NULL : "bad backup-id";
	}
}

int backup_header_decode(const char *data, size_t len, struct backup_header *out,
                         const char **ret_why)
{
	unsigned int seen = 0;
	struct line l;
	size_t at = 0;

	*ret_why = NULL;
	memset(out, 0, sizeof(*out));
	if (len > BACKUP_HEADER_MAX || memchr(data, '\0', len)) {
		*ret_why = "it is no text of a few lines";
		return -1;
	}
	while (at < len) {
		int key = next_line(data, len, &at, &l) ? key_of(&l) : -1;

		if (key < 0 || (seen & 1U << key))
			*ret_why = "an unknown or repeated line";
		else
			*ret_why = take(key, &l, out);
		if (*ret_why)
			return -1;
		seen |= 1U << key;
	}
	if (seen & 1U << ID && seen & 1U << VERSION && seen & 1U << ENCRYPTED &&
	    seen & 1U << ALGORITHM)
		return 0;
	*ret_why = "a line is missing";
	return -1;
}

static bool part_legal(const char *part, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!alnum(part[i]) && !strchr("_.-", part[i]))
			return false;
	}
	return len > 0 && part[0] != '.' && part[0] != '-';
}

bool backup_path_legal(const char *path)
{
	size_t len = strnlen(path, BACKUP_PATH_LEN), digits;
	const char *slash;

	/* Room for ".NNNNN.enc". */
	if (len + 11 > BACKUP_PATH_LEN)
		return false;
	if (strcmp(path, "qubes.xml") == 0)
		return true;
	slash = strchr(path, '/');
	if (strncmp(path, BACKUP_HOME_PREFIX, strlen(BACKUP_HOME_PREFIX)) == 0)
		return part_legal(slash + 1, strlen(slash + 1));
	if (!slash || strncmp(path, "vm", 2) != 0)
		return false;
	digits = strspn(path + 2, "0123456789");
	return digits > 0 && digits < 6 && path + 2 + digits == slash &&
	       part_legal(slash + 1, strlen(slash + 1));
}

int backup_chunk_name(char out[BACKUP_PATH_LEN], const char *path, unsigned int number)
{
	int n;

	if (!backup_path_legal(path) || number > BACKUP_CHUNKS_MAX)
		return -1;
	n = snprintf(out, BACKUP_PATH_LEN, "%s.%03u.enc", path, number);
	return n > 0 && (size_t)n < BACKUP_PATH_LEN ? 0 : -1;
}

int backup_chunk_parse(const char *name, char path[BACKUP_PATH_LEN], unsigned int *ret_number)
{
	size_t len = strnlen(name, BACKUP_PATH_LEN), begin;
	unsigned int number = 0;
	char again[BACKUP_PATH_LEN];

	if (len >= BACKUP_PATH_LEN || len < 9 || strcmp(name + len - 4, ".enc") != 0)
		return -1;
	begin = len - 4;
	while (begin > 0 && name[begin - 1] >= '0' && name[begin - 1] <= '9')
		begin--;
	if (len - 4 - begin < 3 || len - 4 - begin > 5 || begin < 2 || name[begin - 1] != '.')
		return -1;
	for (size_t i = begin; i < len - 4; i++)
		number = number * 10 + (unsigned int)(name[i] - '0');
	memcpy(path, name, begin - 1);
	path[begin - 1] = '\0';
	/* One name for each: leading zeros and the like are none. */
	if (backup_chunk_name(again, path, number) || strcmp(again, name) != 0)
		return -1;
	*ret_number = number;
	return 0;
}

int backup_phrase(char out[BACKUP_PHRASE_LEN], const char *id, const char *name, const char *pass)
{
	int n = name ? snprintf(out, BACKUP_PHRASE_LEN, "%s!%s!%s", id, name, pass)
	             : snprintf(out, BACKUP_PHRASE_LEN, "backup-header!%s", pass);

	return n > 0 && (size_t)n < BACKUP_PHRASE_LEN && !strpbrk(pass, "\r\n") ? 0 : -1;
}
