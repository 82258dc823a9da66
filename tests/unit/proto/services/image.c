/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a picture of a qube could name a size that its reader does not expect. */
#include "proto/services/image.h"

#include <string.h>

#include "tests/unit/unit.h"

/* services-005: icons are at most 2048 either way, and the line has one form. */
static void test_image_header(void **state)
{
	static const struct image_limits icon = {.width = IMAGE_ICON_MAX, .height = IMAGE_ICON_MAX};
	static const struct {
		const char *line;
		enum image_result r;
	} rows[] = {
	        {"2048 2048\n", IMAGE_OK},
	        {"2049 1\n", IMAGE_E_SIZE},
	        {"1 2049\n", IMAGE_E_SIZE},
	        {"0 5\n", IMAGE_E_SIZE},
	        {"5 0\n", IMAGE_E_SIZE},
	        {"5 5 \n", IMAGE_E_FORMAT},
	        {"+5 5\n", IMAGE_E_FORMAT},
	        {"5 -5\n", IMAGE_E_FORMAT},
	        {"5\n", IMAGE_E_FORMAT},
	        {"5 5", IMAGE_E_FORMAT},
	        {"5 5\r\n", IMAGE_E_FORMAT},
	        {" 5 5\n", IMAGE_E_FORMAT},
	        {"5\t5\n", IMAGE_E_FORMAT},
	        {"5  5\n", IMAGE_E_FORMAT},
	        {"", IMAGE_E_NONE},
	        {"\n", IMAGE_E_FORMAT},
	        {"0x5 5\n", IMAGE_E_FORMAT},
	        {"00005 5\n", IMAGE_OK},
	        {"0000000005", IMAGE_E_FORMAT},
	        {"99999 999\n", IMAGE_E_SIZE},
	        {"1 99999999", IMAGE_E_FORMAT},
	        {"000005 0005\n", IMAGE_E_FORMAT},
	};

	assert_int_equal(image_header_max(&icon), 10);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct image_size size = {77, 77};

		print_message("# %s\n", rows[i].line);
		assert_int_equal(image_header_parse(rows[i].line, strlen(rows[i].line), &icon,
		                                    &size),
		                 rows[i].r);
		if (rows[i].r != IMAGE_OK)
			assert_int_equal(size.width, 77);
	}
}

static void test_image_tint_keeps_alpha_and_grey_shades(void **state)
{
	for (uint32_t shade = 0; shade < 256; shade++) {
		uint8_t p[4] = {(uint8_t)shade, (uint8_t)shade, (uint8_t)shade,
		                (uint8_t)(255 - shade)};

		image_tint(p, 1, 0xcc0000);
		assert_int_equal(p[3], 255 - shade);
		assert_true(p[0] >= p[1] && p[1] == p[2]);
	}
}

/* Every colour's hue and every pixel's extremes: nothing leaves a byte. */
static void test_image_tint_extremes(void **state)
{
	static const uint8_t levels[] = {0, 1, 127, 128, 254, 255};
	const size_t n = ARRAY_LEN(levels);

	for (size_t i = 0; i < n * n * n; i++) {
		for (size_t k = 0; k < n * n * n; k++) {
			uint8_t p[4] = {levels[i % n], levels[i / n % n], levels[i / n / n], 9};
			uint32_t colour = (uint32_t)(levels[k % n] << 16 | levels[k / n % n] << 8 |
			                             levels[k / n / n]);

			image_tint(p, 1, colour);
			assert_int_equal(p[3], 9);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_image_header),
	        cmocka_unit_test(test_image_tint_keeps_alpha_and_grey_shades),
	        cmocka_unit_test(test_image_tint_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
