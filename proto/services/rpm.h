/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_SERVICES_RPM_H
#define PROTO_SERVICES_RPM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The parts of an RPM package, and a canonical package of what was checked. A package is a lead, a
 * signature header, the main header, and the payload. Nobody vouches for the first two: of them one
 * OpenPGP signature is taken, which speaks for every byte of the main header; that one names the
 * payload by its SHA-256. So the functions below are called in the order in which they stand, and
 * rpm_header_decode() only for a header whose signature was verified.
 *
 * Stricter than RPM: one spelling of everything, no gap, nothing unknown where nobody signed it.
 * Pure: no system call, no allocation, no global. Source: doc/protocol/services.md, ReceiveUpdates.
 */

#define RPM_LEAD_LEN      96U
#define RPM_PREFIX_LEN    16U
#define RPM_ENTRY_LEN     16U
#define RPM_DIGEST_LEN    32U

#define RPM_SIGNATURE_MAX (1U << 20)  /* bytes of the signature header; chosen */
#define RPM_HEADER_MAX    (64U << 20) /* bytes of the main header: some 300,000 files; chosen */
#define RPM_ENTRIES_MAX   65535U      /* protocol */
#define RPM_OPENPGP_MAX   4096U       /* of RSA with 16384 bits, and its subpackets; chosen */
#define RPM_TEXT_MAX      255U        /* name, version, release, architecture; chosen */
#define RPM_ABOUT_MAX     4095U       /* bytes kept of a text for people; chosen */

enum rpm_result {
	RPM_OK = 0,
	RPM_E_LEAD,      /* not a package, or none of version 3 */
	RPM_E_PREFIX,    /* not a header, or one of no size that is taken */
	RPM_E_REGION,    /* does not begin with its region, or its trailer says something else */
	RPM_E_ENTRY,     /* order, type, place or form of an entry */
	RPM_E_TAG,       /* a tag that has no place in a signature header */
	RPM_E_UNSIGNED,  /* no signature of the header */
	RPM_E_SIGNATURE, /* not one packet of the kinds that are taken */
	RPM_E_DIGEST,    /* the payload is not named by its SHA-256 */
	RPM_E_NAME,      /* no name, version, release or architecture, or one of other letters */
	RPM_E_MAX,
};

struct rpm_size {
	uint32_t n_entries;
	uint32_t data_len;
};

struct rpm_signature {
	uint32_t tag;           /* 267: DSA, EdDSA; 268: RSA */
	const uint8_t *openpgp; /* borrowed: the packet */
	size_t len;             /* 1 … RPM_OPENPGP_MAX */
};

struct rpm_package {
	uint32_t epoch; /* 0 if there is none */
	char name[RPM_TEXT_MAX + 1];
	char version[RPM_TEXT_MAX + 1];
	char release[RPM_TEXT_MAX + 1];
	char arch[RPM_TEXT_MAX + 1];
	uint8_t payload_sha256[RPM_DIGEST_LEN];
	uint64_t
	        payload_at; /* where the payload of what was written begins; package_check() says it */
	uint32_t build_time; /* seconds since 1970; 0: not said */
	/* For people, as they came, cut at their room; "" if there is none. Shown by an escaper only. */
	char untrusted_license[RPM_TEXT_MAX + 1];
	char untrusted_url[RPM_TEXT_MAX + 1];
	char untrusted_summary[RPM_TEXT_MAX + 1];
	char untrusted_description[RPM_ABOUT_MAX + 1];
};

/* All of these: @bytes are hostile. Test: tests/unit/proto/services/rpm.c, fuzz/rpm.c */

enum rpm_result rpm_lead_check(const uint8_t untrusted_lead[RPM_LEAD_LEN]) MUST_CHECK;

/** rpm_prefix_decode() - how much follows a header's first 16 bytes: at most @max with them */
enum rpm_result rpm_prefix_decode(const uint8_t untrusted_prefix[RPM_PREFIX_LEN], size_t max,
                                  struct rpm_size *ret) MUST_CHECK;

/** rpm_size_rest() - bytes of entries and data */
static inline size_t rpm_size_rest(const struct rpm_size *size)
{
	return (size_t)size->n_entries * RPM_ENTRY_LEN + size->data_len;
}

/** rpm_padding() - bytes up to the main header, which begins at a multiple of 8; they must be zero */
static inline size_t rpm_padding(const struct rpm_size *size)
{
	return (8 - size->data_len % 8) % 8;
}

/** rpm_signature_decode() - @rest: rpm_size_rest() bytes that follow the prefix */
enum rpm_result rpm_signature_decode(const uint8_t *untrusted_rest, const struct rpm_size *size,
                                     struct rpm_signature *ret) MUST_CHECK;

/** rpm_openpgp_check() - is this one signature packet, version 4, of bytes, by SHA-2? *ret_tag: where
 *  it belongs by its kind of key */
enum rpm_result rpm_openpgp_check(const uint8_t *untrusted, size_t len, uint32_t *ret_tag)
        MUST_CHECK;

/** rpm_header_decode() - the main header; every text of *ret that is not called untrusted is of letters,
 *  digits and "._+~^-" */
enum rpm_result rpm_header_decode(const uint8_t *rest, const struct rpm_size *size,
                                  struct rpm_package *ret) MUST_CHECK;

#define RPM_CANONICAL_MAX                                                                          \
	(RPM_LEAD_LEN + RPM_PREFIX_LEN + 3 * RPM_ENTRY_LEN + RPM_OPENPGP_MAX + 128)

/**
 * rpm_canonical_encode() - lead and signature header, padded; behind them belong the main header and
 * the payload as they came. A signature of no bytes is left out. Returns the bytes written, at most RPM_CANONICAL_MAX.
 */
size_t rpm_canonical_encode(uint8_t out[RPM_CANONICAL_MAX], const struct rpm_signature *signature,
                            const struct rpm_package *package,
                            const uint8_t header_sha256[RPM_DIGEST_LEN]);

/**
 * rpm_version_compare() - as RPM does it: below 0, 0, above 0 if @a is older, the same, newer
 *
 * Runs of digits are compared as numbers, runs of letters as text, digits are newer than letters, '~' is older
 * than the end, '^' newer than the end and older than all else; other characters only separate.
 */
int rpm_version_compare(const char *a, const char *b);

const char *rpm_error(enum rpm_result result);

#endif
