/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the parts of a package: what is read of them lies in them, and is read again when written. */
#include "proto/services/rpm.h"

#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void signature_header(const uint8_t *rest, const struct rpm_size *size)
{
	static const struct rpm_package package = {.name = "x"};
	static const uint8_t digest[RPM_DIGEST_LEN];
	static uint8_t out[RPM_CANONICAL_MAX];
	struct rpm_signature signature;
	struct rpm_signature again;
	struct rpm_size again_size;

	if (rpm_signature_decode(rest, size, &signature) != RPM_OK)
		return;
	CHECK(signature.len >= 1 && signature.len <= RPM_OPENPGP_MAX);
	CHECK(signature.openpgp >= rest &&
	      signature.openpgp + signature.len <= rest + rpm_size_rest(size));
	CHECK(rpm_canonical_encode(out, &signature, &package, digest) <= sizeof(out));
	CHECK(rpm_lead_check(out) == RPM_OK);
	CHECK(rpm_prefix_decode(out + RPM_LEAD_LEN, RPM_SIGNATURE_MAX, &again_size) == RPM_OK);
	CHECK(rpm_signature_decode(out + RPM_LEAD_LEN + RPM_PREFIX_LEN, &again_size, &again) ==
	      RPM_OK);
	CHECK(again.len == signature.len &&
	      memcmp(again.openpgp, signature.openpgp, again.len) == 0);
}

static void main_header(const uint8_t *rest, const struct rpm_size *size)
{
	struct rpm_package package;

	if (rpm_header_decode(rest, size, &package) != RPM_OK)
		return;
	CHECK(strlen(package.name) >= 1 && strlen(package.name) <= RPM_TEXT_MAX);
	CHECK(!strpbrk(package.name, "/ \n") && package.name[0] != '-' && package.name[0] != '.');
	CHECK(!strpbrk(package.version, "/ \n") && !strpbrk(package.release, "/ \n"));
}

/* A byte that says what it is, then a lead, a packet, or a header with its prefix. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rpm_size size;
	uint32_t tag;

	if (len < 1)
		return 0;
	if (data[0] == 'P' && rpm_openpgp_check(data + 1, len - 1, &tag) == RPM_OK)
		CHECK(tag == 267 || tag == 268);
	if (data[0] == 'L' && len == 1 + RPM_LEAD_LEN)
		(void)rpm_error(rpm_lead_check(data + 1));
	if (len < 1 + RPM_PREFIX_LEN ||
	    rpm_prefix_decode(data + 1, RPM_SIGNATURE_MAX, &size) != RPM_OK ||
	    rpm_size_rest(&size) != len - 1 - RPM_PREFIX_LEN)
		return 0;
	if (data[0] == 'S')
		signature_header(data + 1 + RPM_PREFIX_LEN, &size);
	else
		main_header(data + 1 + RPM_PREFIX_LEN, &size);
	return 0;
}
