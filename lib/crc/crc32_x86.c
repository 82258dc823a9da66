/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding by carry-less multiplication. A register holds 128 bits of the message; to move it by n
 * bits its two halves are multiplied by x^(n+32) mod P and x^(n-32) mod P (reflected and shifted, as
 * the product of reflected numbers wants it) and added to what stands there. Four registers side by
 * side hide the multiplier's latency, each with two messages side by side where the processor has such:
 * 25 GB/s instead of 9 where it was measured. What remains is left to the table: it is 16 bytes.
 *
 * Source: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel 2009;
 * the constants follow from the polynomial, tests/unit/lib/crc/crc32.c works them out again.
 */
#include <immintrin.h>
#include <string.h>

#include "lib/crc/crc32_internal.h"

#define FOLD_1024 0x14a7fe880ULL, 0x1e88ef372ULL
#define FOLD_512  0x1c6e41596ULL, 0x154442bd4ULL
#define FOLD_128  0x0ccaa009eULL, 0x1751997d0ULL
#define TARGET    __attribute__((target("pclmul,sse2")))
#define WIDE      __attribute__((target("vpclmulqdq,pclmul,avx2")))

/* Bytes; below, the way in and out of the wide registers is much of the work. Chosen. */
#define WIDE_MIN 512U

bool crc32_fold_works(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse2");
}

TARGET static inline __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i_u *)(const void *)p);
}

TARGET static inline __m128i fold(__m128i x, __m128i by, __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(x, by, 0x00);
	__m128i high = _mm_clmulepi64_si128(x, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* The four lanes of four registers, one behind the other, into the last one. */
WIDE static inline __m128i narrow(const __m256i x[4])
{
	const __m128i by_128 = _mm_set_epi64x(FOLD_128);
	__m128i sum = _mm256_castsi256_si128(x[0]);

	sum = fold(sum, by_128, _mm256_extracti128_si256(x[0], 1));
	for (size_t i = 1; i < 4; i++) {
		sum = fold(sum, by_128, _mm256_castsi256_si128(x[i]));
		sum = fold(sum, by_128, _mm256_extracti128_si256(x[i], 1));
	}
	return sum;
}

WIDE static inline __m256i load_wide(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i_u *)(const void *)p);
}

WIDE static inline __m256i fold_wide(__m256i x, __m256i by, __m256i next)
{
	__m256i low = _mm256_clmulepi64_epi128(x, by, 0x00);
	__m256i high = _mm256_clmulepi64_epi128(x, by, 0x11);

	return _mm256_xor_si256(_mm256_xor_si256(low, high), next);
}

WIDE static size_t fold_all_wide(uint32_t state, const uint8_t *data, size_t len, uint8_t ret[16])
{
	const __m256i by_1024 = _mm256_broadcastsi128_si256(_mm_set_epi64x(FOLD_1024));
	const __m128i by_128 = _mm_set_epi64x(FOLD_128);
	__m256i x[4] = {load_wide(data), load_wide(data + 32), load_wide(data + 64),
	                load_wide(data + 96)};
	size_t at = 128;
	__m128i sum;

	x[0] = _mm256_xor_si256(x[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)state)));
	for (; len - at >= 128; at += 128) {
		x[0] = fold_wide(x[0], by_1024, load_wide(data + at));
		x[1] = fold_wide(x[1], by_1024, load_wide(data + at + 32));
		x[2] = fold_wide(x[2], by_1024, load_wide(data + at + 64));
		x[3] = fold_wide(x[3], by_1024, load_wide(data + at + 96));
	}
	sum = narrow(x);
	for (; len - at >= 16; at += 16)
		sum = fold(sum, by_128, load(data + at));
	_mm_storeu_si128((__m128i_u *)(void *)ret, sum);
	return at;
}

static bool wide_works(void)
{
	return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2");
}

TARGET static size_t fold_all(uint32_t state, const uint8_t *data, size_t len, uint8_t ret[16])
{
	const __m128i by_512 = _mm_set_epi64x(FOLD_512);
	const __m128i by_128 = _mm_set_epi64x(FOLD_128);
	__m128i x0 = _mm_xor_si128(load(data), _mm_cvtsi32_si128((int)state));
	__m128i x1 = load(data + 16);
	__m128i x2 = load(data + 32);
	__m128i x3 = load(data + 48);
	size_t at = 64;

	for (; len - at >= 64; at += 64) {
		x0 = fold(x0, by_512, load(data + at));
		x1 = fold(x1, by_512, load(data + at + 16));
		x2 = fold(x2, by_512, load(data + at + 32));
		x3 = fold(x3, by_512, load(data + at + 48));
	}
	x1 = fold(x0, by_128, x1);
	x2 = fold(x1, by_128, x2);
	x3 = fold(x2, by_128, x3);
	for (; len - at >= 16; at += 16)
		x3 = fold(x3, by_128, load(data + at));
	_mm_storeu_si128((__m128i_u *)(void *)ret, x3);
	return at;
}

size_t crc32_fold(uint32_t state, const uint8_t *data, size_t len, uint8_t ret[16])
{
	if (len >= WIDE_MIN && wide_works())
		return fold_all_wide(state, data, len, ret);
	return fold_all(state, data, len, ret);
}
