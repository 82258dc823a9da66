/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/image.h"

static size_t digits_of(uint32_t value)
{
	size_t n = 1;

	for (; value > 9; value /= 10)
		n++;
	return n;
}

size_t image_header_max(const struct image_limits *limits)
{
	return digits_of(limits->width) + digits_of(limits->height) + 2;
}

/* At least one digit; the line's length bounds the value: nine digits at most fit in it. */
static size_t take_number(const char *text, size_t len, uint64_t *ret_value)
{
	size_t n = 0;

	*ret_value = 0;
	for (; n < len && text[n] >= '0' && text[n] <= '9'; n++)
		*ret_value = MIN(*ret_value * 10 + (uint64_t)(text[n] - '0'), UINT64_C(1) << 32);
	return n;
}

enum image_result image_header_parse(const char *line, size_t len,
                                     const struct image_limits *limits, struct image_size *ret_size)
{
	uint64_t width;
	uint64_t height;
	size_t at;
	size_t n;

	if (len == 0)
		return IMAGE_E_NONE;
	if (len > image_header_max(limits))
		return IMAGE_E_FORMAT;
	at = take_number(line, len, &width);
	if (at == 0 || at == len || line[at] != ' ')
		return IMAGE_E_FORMAT;
	at++;
	n = take_number(line + at, len - at, &height);
	at += n;
	if (n == 0 || at + 1 != len || line[at] != '\n')
		return IMAGE_E_FORMAT;
	if (width == 0 || width > limits->width || height == 0 || height > limits->height)
		return IMAGE_E_SIZE;
	*ret_size = (struct image_size){.width = (uint32_t)width, .height = (uint32_t)height};
	return IMAGE_OK;
}

const char *image_error(enum image_result result)
{
	static const char *const texts[] = {
	        [IMAGE_OK] = "",
	        [IMAGE_E_NONE] = "no picture was sent",
	        [IMAGE_E_FORMAT] = "the picture's first line is not \"WIDTH HEIGHT\"",
	        [IMAGE_E_SIZE] = "the picture is empty or too large",
	        [IMAGE_E_SHORT] = "the picture ends too early",
	};

	return texts[result];
}

struct tint {
	uint32_t n[3]; /* over d: the colour without its brightness, 0 … 1 */
	uint32_t d;
};

static struct tint tint_of(uint32_t colour)
{
	uint32_t c[3] = {colour >> 16 & 255, colour >> 8 & 255, colour & 255};
	uint32_t max = MAX(MAX(c[0], c[1]), c[2]);
	uint32_t min = MIN(MIN(c[0], c[1]), c[2]);

	if (max == min)
		return (struct tint){.n = {1, 1, 1}, .d = 2};
	return (struct tint){.n = {c[0] - min, c[1] - min, c[2] - min}, .d = max - min};
}

/* All terms fit in 32 bits: (m2 * 4 * d + n * c2 * m2d) <= 765 * 255 * 4 * 255 + 255 * 1020 * 1020. */
static void tint_pixel(uint8_t *p, const struct tint *tint)
{
	uint32_t r = p[0];
	uint32_t g = p[1];
	uint32_t b = p[2];
	uint32_t max = MAX(MAX(r, g), b);
	uint32_t min = MIN(MIN(r, g), b);
	uint32_t chroma = max - min;
	uint32_t c2 = 255 + 3 * chroma;
	uint32_t m2 = (1020 - c2) * min;
	uint32_t m2d = MAX((255 - chroma) * 4, 1U);

	for (int i = 0; i < 3; i++)
		p[i] = (uint8_t)((m2 * 4 * tint->d + tint->n[i] * c2 * m2d) / (m2d * 4 * tint->d));
}

void image_tint(uint8_t *rgba, size_t n_pixels, uint32_t colour)
{
	struct tint tint = tint_of(colour);

	for (size_t i = 0; i < n_pixels; i++)
		tint_pixel(rgba + i * 4, &tint);
}
