/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/rpm.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/check.h"

/* Types of entries. */
enum {
	T_CHAR = 1,
	T_INT8 = 2,
	T_INT16 = 3,
	T_INT32 = 4,
	T_INT64 = 5,
	T_STRING = 6,
	T_BIN = 7,
	T_STRINGS = 8,
	T_I18N = 9,
};

enum {
	TAG_REGION_SIGNATURE = 62,
	TAG_REGION_HEADER = 63,
	TAG_SIG_DSA = 267,
	TAG_SIG_RSA = 268,
	TAG_SIG_SHA256 = 273,
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_SUMMARY = 1004,
	TAG_DESCRIPTION = 1005,
	TAG_BUILD_TIME = 1006,
	TAG_LICENSE = 1014,
	TAG_URL = 1020,
	TAG_ARCH = 1022,
	TAG_PAYLOAD_DIGEST = 5092,
	TAG_PAYLOAD_DIGEST_ALGO = 5093,
};

#define ALGO_SHA256 8U

struct entry {
	uint32_t tag;
	uint32_t type;
	uint32_t count;
	const uint8_t *data;
	size_t len;
};

/* The entries of one header, in order. */
struct walk {
	const uint8_t *entries;
	const uint8_t *data;
	size_t data_len; /* without the trailer of the region */
	uint32_t n;
	uint32_t next;
	size_t at; /* bytes of data that were taken */
	uint32_t last_tag;
};

static uint32_t be32_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void be32_put(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

enum rpm_result rpm_lead_check(const uint8_t lead[RPM_LEAD_LEN])
{
	/* Magic, version 3.0, a package for machines or of sources. */
	static const uint8_t begin[] = {0xed, 0xab, 0xee, 0xdb, 3, 0, 0};
	const uint8_t *name = lead + 10;
	size_t len = strnlen((const char *)name, 66);

	if (memcmp(lead, begin, sizeof(begin)) != 0 || lead[7] > 1 || len == 0 || len == 66)
		return RPM_E_LEAD;
	for (size_t i = 0; i < 66; i++) {
		if (i < len ? name[i] <= ' ' || name[i] > '~' : name[i] != 0)
			return RPM_E_LEAD;
	}
	/* Signature type 5: a header. */
	if (lead[78] != 0 || lead[79] != 5)
		return RPM_E_LEAD;
	for (size_t i = 80; i < RPM_LEAD_LEN; i++) {
		if (lead[i] != 0)
			return RPM_E_LEAD;
	}
	return RPM_OK;
}

enum rpm_result rpm_prefix_decode(const uint8_t prefix[RPM_PREFIX_LEN], size_t max,
                                  struct rpm_size *ret)
{
	static const uint8_t begin[] = {0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0};
	uint32_t untrusted_n = be32_get(prefix + 8);
	uint32_t untrusted_len = be32_get(prefix + 12);

	if (memcmp(prefix, begin, sizeof(begin)) != 0)
		return RPM_E_PREFIX;
	if (untrusted_n < 2 || untrusted_n > RPM_ENTRIES_MAX || untrusted_len < RPM_ENTRY_LEN ||
	    untrusted_len > max)
		return RPM_E_PREFIX;
	*ret = (struct rpm_size){.n_entries = untrusted_n, .data_len = untrusted_len};
	return rpm_size_rest(ret) > max - RPM_PREFIX_LEN ? RPM_E_PREFIX : RPM_OK;
}

/* The region: the first entry, whose data is the trailer at the end, an entry of the same form that
 * tells how far back the entries begin. All entries belong to it. */
static enum rpm_result walk_begin(struct walk *w, const uint8_t *rest, const struct rpm_size *size,
                                  uint32_t region)
{
	const uint8_t *data = rest + (size_t)size->n_entries * RPM_ENTRY_LEN;
	size_t trailer = size->data_len - RPM_ENTRY_LEN;
	uint8_t wanted[RPM_ENTRY_LEN];

	be32_put(wanted, region);
	be32_put(wanted + 4, T_BIN);
	be32_put(wanted + 8, (uint32_t)trailer);
	be32_put(wanted + 12, RPM_ENTRY_LEN);
	if (memcmp(rest, wanted, sizeof(wanted)) != 0)
		return RPM_E_REGION;
	be32_put(wanted + 8, -(size->n_entries * RPM_ENTRY_LEN));
	if (memcmp(data + trailer, wanted, sizeof(wanted)) != 0)
		return RPM_E_REGION;
	*w = (struct walk){.entries = rest,
	                   .data = data,
	                   .data_len = trailer,
	                   .n = size->n_entries,
	                   .next = 1,
	                   .last_tag = region};
	return RPM_OK;
}

/* Bytes of so many texts, each with its NUL; 0: they do not end. */
static size_t texts_len(const uint8_t *p, size_t max, uint32_t count)
{
	size_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *end = memchr(p + len, 0, max - len);

		if (!end)
			return 0;
		len = (size_t)(end - p) + 1;
	}
	return len;
}

static size_t width_of(uint32_t type)
{
	static const uint8_t widths[] = {
	        [T_CHAR] = 1,   [T_INT8] = 1, [T_INT16] = 2,   [T_INT32] = 4, [T_INT64] = 8,
	        [T_STRING] = 1, [T_BIN] = 1,  [T_STRINGS] = 1, [T_I18N] = 1};

	return type < ARRAY_LEN(widths) ? widths[type] : 0;
}

/* The next entry, which lies right behind the one before it. */
static enum rpm_result walk_next(struct walk *w, struct entry *ret)
{
	const uint8_t *e = w->entries + (size_t)w->next * RPM_ENTRY_LEN;
	size_t width;
	size_t left;

	*ret = (struct entry){.tag = be32_get(e),
	                      .type = be32_get(e + 4),
	                      .count = be32_get(e + 12)};
	width = width_of(ret->type);
	if (width == 0 || ret->count == 0 || ret->tag <= w->last_tag)
		return RPM_E_ENTRY;
	while (w->at < w->data_len && w->at % width != 0) {
		if (w->data[w->at++] != 0)
			return RPM_E_ENTRY;
	}
	left = w->data_len - w->at;
	if (be32_get(e + 8) != w->at || ret->count > left)
		return RPM_E_ENTRY;
	ret->data = w->data + w->at;
	if (ret->type == T_STRING || ret->type == T_STRINGS || ret->type == T_I18N)
		ret->len = texts_len(ret->data, left, ret->count);
	else
		ret->len = ret->count * width;
	if (ret->len == 0 || ret->len > left || (ret->type == T_STRING && ret->count != 1))
		return RPM_E_ENTRY;
	w->at += ret->len;
	w->last_tag = ret->tag;
	w->next++;
	return RPM_OK;
}

static bool walk_done(const struct walk *w)
{
	return w->next == w->n;
}

/* What may stand in a signature header: signatures, digests, sizes, and room for them. */
static const struct {
	uint32_t tag;
	uint32_t type;
} signature_tags[] = {
        {TAG_SIG_DSA, T_BIN}, {TAG_SIG_RSA, T_BIN}, {269, T_STRING},
        {270, T_INT64},       {271, T_INT64},       {TAG_SIG_SHA256, T_STRING},
        {1000, T_INT32},      {1002, T_BIN},        {1004, T_BIN},
        {1005, T_BIN},        {1007, T_INT32},      {1008, T_BIN},
};

static enum rpm_result signature_entry(const struct entry *e, struct rpm_signature *ret)
{
	enum rpm_result r;
	size_t i = 0;

	while (i < ARRAY_LEN(signature_tags) && signature_tags[i].tag != e->tag)
		i++;
	if (i == ARRAY_LEN(signature_tags))
		return RPM_E_TAG;
	if (signature_tags[i].type != e->type)
		return RPM_E_ENTRY;
	if (e->type == T_STRING && strspn((const char *)e->data, "0123456789abcdef") != e->len - 1)
		return RPM_E_ENTRY;
	for (size_t at = 0; e->tag == 1008 && at < e->len; at++) {
		if (e->data[at] != 0)
			return RPM_E_ENTRY;
	}
	if (e->tag == TAG_SIG_DSA || e->tag == TAG_SIG_RSA) {
		/* Two would leave open which of them was verified. */
		if (ret->openpgp)
			return RPM_E_SIGNATURE;
		*ret = (struct rpm_signature){.openpgp = e->data, .len = e->len};
		r = rpm_openpgp_check(e->data, e->len, &ret->tag);
		return r == RPM_OK && ret->tag != e->tag ? RPM_E_SIGNATURE : r;
	}
	return RPM_OK;
}

enum rpm_result rpm_signature_decode(const uint8_t *rest, const struct rpm_size *size,
                                     struct rpm_signature *ret)
{
	struct walk w;
	enum rpm_result r = walk_begin(&w, rest, size, TAG_REGION_SIGNATURE);

	*ret = (struct rpm_signature){0};
	while (r == RPM_OK && !walk_done(&w)) {
		struct entry e;

		r = walk_next(&w, &e);
		if (r == RPM_OK)
			r = signature_entry(&e, ret);
	}
	if (r == RPM_OK && w.at != w.data_len)
		r = RPM_E_ENTRY;
	if (r == RPM_OK && !ret->openpgp)
		r = RPM_E_UNSIGNED;
	return r;
}

/* The length of an OpenPGP packet in its first bytes, old form or new; 0: it is none of a signature. */
static size_t packet_head(const uint8_t *p, size_t len, size_t *ret_body)
{
	if (len < 6)
		return 0;
	/* Tag 2: old form with one, two or four bytes of length, or new form with one, two or five. */
	if (p[0] == 0x88 || (p[0] == 0xc2 && p[1] < 192)) {
		*ret_body = p[1];
		return 2;
	}
	if (p[0] == 0x89) {
		*ret_body = (size_t)p[1] << 8 | p[2];
		return 3;
	}
	if (p[0] == 0xc2 && p[1] < 224) {
		*ret_body = ((size_t)(p[1] - 192) << 8) + p[2] + 192;
		return 3;
	}
	return 0;
}

enum rpm_result rpm_openpgp_check(const uint8_t *p, size_t len, uint32_t *ret_tag)
{
	size_t body = 0;
	size_t head = len <= RPM_OPENPGP_MAX ? packet_head(p, len, &body) : 0;

	/* Version, kind of signature (0: of bytes), key's algorithm, digest, and some more. */
	if (head == 0 || body != len - head || body < 12)
		return RPM_E_SIGNATURE;
	p += head;
	/* RSA, or DSA, or EdDSA in both its numbers; SHA-256, -384, -512. */
	if (p[0] != 4 || p[1] != 0 || (p[2] != 1 && p[2] != 17 && p[2] != 22 && p[2] != 27) ||
	    p[3] < 8 || p[3] > 10)
		return RPM_E_SIGNATURE;
	*ret_tag = p[2] == 1 ? TAG_SIG_RSA : TAG_SIG_DSA;
	return RPM_OK;
}

static bool take_text(const struct entry *e, char dst[RPM_TEXT_MAX + 1])
{
	if (e->type != T_STRING || e->len < 2 || e->len > RPM_TEXT_MAX + 1)
		return false;
	for (size_t i = 0; i < e->len - 1; i++) {
		uint8_t c = e->data[i];
		bool letter =
		        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!letter && (i == 0 || !strchr("._+~^-", c)))
			return false;
	}
	memcpy(dst, e->data, e->len);
	return true;
}

static bool take_digest(const struct entry *e, uint8_t dst[RPM_DIGEST_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (e->type != T_STRINGS || e->count != 1 || e->len != 2 * (size_t)RPM_DIGEST_LEN + 1)
		return false;
	for (size_t i = 0; i < 2 * (size_t)RPM_DIGEST_LEN; i++) {
		const char *d = memchr(digits, e->data[i], 16);

		if (!d)
			return false;
		dst[i / 2] = (uint8_t)(dst[i / 2] << 4 | (d - digits));
	}
	return true;
}

/* The first text of an entry, whatever its bytes; of another type: none, for nobody depends on it. */
static void take_about(const struct entry *e, char *dst, size_t room)
{
	size_t len;

	if (e->type != T_STRING && e->type != T_I18N)
		return;
	len = strnlen((const char *)e->data, MIN(e->len, room - 1));
	memcpy(dst, e->data, len);
	dst[len] = '\0';
}

static void header_about(const struct entry *e, struct rpm_package *ret)
{
	if (e->tag == TAG_SUMMARY)
		take_about(e, ret->untrusted_summary, sizeof(ret->untrusted_summary));
	else if (e->tag == TAG_DESCRIPTION)
		take_about(e, ret->untrusted_description, sizeof(ret->untrusted_description));
	else if (e->tag == TAG_LICENSE)
		take_about(e, ret->untrusted_license, sizeof(ret->untrusted_license));
	else if (e->tag == TAG_URL)
		take_about(e, ret->untrusted_url, sizeof(ret->untrusted_url));
	else if (e->tag == TAG_BUILD_TIME && e->type == T_INT32 && e->count == 1)
		ret->build_time = be32_get(e->data);
}

/* What is looked for in a main header; *ret_digest counts what names the payload. */
static enum rpm_result header_entry(const struct entry *e, struct rpm_package *ret,
                                    unsigned int *ret_digest)
{
	switch (e->tag) {
	case TAG_NAME:
		return take_text(e, ret->name) ? RPM_OK : RPM_E_NAME;
	case TAG_VERSION:
		return take_text(e, ret->version) ? RPM_OK : RPM_E_NAME;
	case TAG_RELEASE:
		return take_text(e, ret->release) ? RPM_OK : RPM_E_NAME;
	case TAG_ARCH:
		return take_text(e, ret->arch) ? RPM_OK : RPM_E_NAME;
	case TAG_EPOCH:
		if (e->type != T_INT32 || e->count != 1)
			return RPM_E_NAME;
		ret->epoch = be32_get(e->data);
		return RPM_OK;
	case TAG_PAYLOAD_DIGEST:
		(*ret_digest)++;
		return take_digest(e, ret->payload_sha256) ? RPM_OK : RPM_E_DIGEST;
	case TAG_PAYLOAD_DIGEST_ALGO:
		(*ret_digest)++;
		if (e->type != T_INT32 || e->count != 1 || be32_get(e->data) != ALGO_SHA256)
			return RPM_E_DIGEST;
		return RPM_OK;
	default:
		header_about(e, ret);
		return RPM_OK;
	}
}

enum rpm_result rpm_header_decode(const uint8_t *rest, const struct rpm_size *size,
                                  struct rpm_package *ret)
{
	struct walk w;
	enum rpm_result r = walk_begin(&w, rest, size, TAG_REGION_HEADER);
	unsigned int n_digest = 0;

	*ret = (struct rpm_package){0};
	while (r == RPM_OK && !walk_done(&w)) {
		struct entry e;

		r = walk_next(&w, &e);
		if (r == RPM_OK)
			r = header_entry(&e, ret, &n_digest);
	}
	if (r == RPM_OK && w.at != w.data_len)
		r = RPM_E_ENTRY;
	if (r == RPM_OK && n_digest != 2)
		r = RPM_E_DIGEST;
	if (r == RPM_OK && (!ret->name[0] || !ret->version[0] || !ret->release[0] || !ret->arch[0]))
		r = RPM_E_NAME;
	return r;
}

static void encode_lead(uint8_t *out, const struct rpm_package *package)
{
	memset(out, 0, RPM_LEAD_LEN);
	be32_put(out, 0xedabeedb);
	out[4] = 3;
	out[9] = 1; /* architecture and system: nobody reads them, this is what RPM writes */
	memcpy(out + 10, package->name, strnlen(package->name, 65));
	out[77] = 1;
	out[79] = 5;
}

static void encode_entry(uint8_t *out, uint32_t tag, uint32_t type, uint32_t at, size_t count)
{
	be32_put(out, tag);
	be32_put(out + 4, type);
	be32_put(out + 8, at);
	be32_put(out + 12, (uint32_t)count);
}

size_t rpm_canonical_encode(uint8_t out[RPM_CANONICAL_MAX], const struct rpm_signature *signature,
                            const struct rpm_package *package,
                            const uint8_t header_sha256[RPM_DIGEST_LEN])
{
	static const char digits[] = "0123456789abcdef";
	const uint32_t n = signature->len ? 3 : 2;
	uint32_t digest_at = (uint32_t)signature->len;
	uint32_t trailer = digest_at + 2 * RPM_DIGEST_LEN + 1;
	const struct rpm_size size = {.n_entries = n, .data_len = trailer + RPM_ENTRY_LEN};
	uint8_t *p = out + RPM_LEAD_LEN;
	uint8_t *data = p + RPM_PREFIX_LEN + (size_t)n * RPM_ENTRY_LEN;

	CHECK(signature->len <= RPM_OPENPGP_MAX);
	encode_lead(out, package);
	be32_put(p, 0x8eade801);
	be32_put(p + 4, 0);
	be32_put(p + 8, n);
	be32_put(p + 12, size.data_len);
	p += RPM_PREFIX_LEN;
	encode_entry(p, TAG_REGION_SIGNATURE, T_BIN, trailer, RPM_ENTRY_LEN);
	if (signature->len) {
		encode_entry(p + RPM_ENTRY_LEN, signature->tag, T_BIN, 0, signature->len);
		memcpy(data, signature->openpgp, signature->len);
	}
	encode_entry(p + (n - 1) * (size_t)RPM_ENTRY_LEN, TAG_SIG_SHA256, T_STRING, digest_at, 1);
	for (size_t i = 0; i < RPM_DIGEST_LEN; i++) {
		data[digest_at + 2 * i] = (uint8_t)digits[header_sha256[i] >> 4];
		data[digest_at + 2 * i + 1] = (uint8_t)digits[header_sha256[i] & 15];
	}
	data[trailer - 1] = 0;
	encode_entry(data + trailer, TAG_REGION_SIGNATURE, T_BIN, -(n * RPM_ENTRY_LEN),
	             RPM_ENTRY_LEN);
	memset(data + size.data_len, 0, rpm_padding(&size));
	return (size_t)(data - out) + size.data_len + rpm_padding(&size);
}

const char *rpm_error(enum rpm_result result)
{
	static const char *const texts[RPM_E_MAX] = {
	        [RPM_OK] = "",
	        [RPM_E_LEAD] = "not an RPM package",
	        [RPM_E_PREFIX] = "a header that is none, or too large",
	        [RPM_E_REGION] = "a header whose region is not all of it",
	        [RPM_E_ENTRY] = "an entry of a header out of its order, type or place",
	        [RPM_E_TAG] = "something in the signature header that does not belong there",
	        [RPM_E_UNSIGNED] = "not signed, or not by a signature of its header",
	        [RPM_E_SIGNATURE] = "a signature of a kind that is not taken",
	        [RPM_E_DIGEST] = "the signed header has no SHA-256 of the payload",
	        [RPM_E_NAME] = "no name, version, release or architecture",
	};

	return result >= 0 && result < RPM_E_MAX ? texts[result] : "?";
}
