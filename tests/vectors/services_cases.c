/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases of VMExec, GetDate and pictures; what their failure would mean stands in services_vectors.c. */
#include "tests/vectors/services_cases.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/services/date.h"
#include "proto/services/image.h"
#include "proto/services/vmexec.h"

static void put_hex(struct json_object *list, const void *data, size_t len)
{
	char *hex = malloc(len * 2 + 1);

	if (!hex)
		abort();
	sodium_bin2hex(hex, len * 2 + 1, data, len);
	(void)json_object_array_add(list, json_object_new_string(hex));
	free(hex);
}

static const char *plain(struct json_object *json)
{
	return json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
}

bool case_vmexec_decode(struct json_object *json, char why[CASE_WHY])
{
	const char *arg = case_text(json, "arg");
	const char *error = case_text(json, "error");
	struct json_object *got = json_object_new_array();
	struct json_object *want = NULL;
	char *room = malloc(strlen(arg) + 1);
	struct vmexec_word *words = calloc(vmexec_words(arg), sizeof(*words));
	enum vmexec_result r;
	bool good;
	size_t n;

	if (!room || !words)
		abort();
	(void)json_object_object_get_ex(json, "argv_hex", &want);
	r = vmexec_decode(arg, room, strlen(arg) + 1, words, vmexec_words(arg), &n);
	for (size_t i = 0; i < n; i++)
		put_hex(got, words[i].text, words[i].len);
	if (error)
		good = !case_differs(why, "error", error, vmexec_error(r));
	else
		good = r == VMEXEC_OK && want &&
		       !case_differs(why, "argv", plain(want), plain(got));
	free(words);
	free(room);
	json_object_put(got);
	return good;
}

bool case_vmexec_encode(struct json_object *json, char why[CASE_WHY])
{
	static char out[65536];
	struct wire_writer w = wire_writer(out, sizeof(out) - 1);
	struct json_object *words;

	(void)json_object_object_get_ex(json, "encode_argv_hex", &words);
	for (size_t i = 0; i < json_object_array_length(words); i++) {
		const char *hex = json_object_get_string(json_object_array_get_idx(words, i));
		static uint8_t word[8192];
		size_t len;

		if (sodium_hex2bin(word, sizeof(word), hex, strlen(hex), NULL, &len, NULL))
			return false;
		vmexec_encode(&w, word, len, i == 0);
	}
	out[w.len] = '\0';
	return !w.bad && !case_differs(why, "arg", case_text(json, "arg"), out);
}

/* The command that the original would run, for an answer that was taken. */
static void date_command(const uint8_t *data, size_t len, char *out, size_t max)
{
	bool ns = len >= DATE_NS_LEN;

	(void)snprintf(out, max, "[[\"date\",\"-u\",\"%s\",\"-s\",\"%.*s\"]]",
	               ns ? "-Ins" : "-Iseconds", (ns ? DATE_NS_LEN : DATE_LEN) - 1,
	               (const char *)data);
}

bool case_date(struct json_object *json, char why[CASE_WHY])
{
	struct json_object *runs;
	char text[256] = "[]";
	char complaint[256] = "";
	enum date_result r;
	size_t len;
	uint8_t *data = case_bytes(json, "input_hex", &len);
	bool good;

	if (!data)
		return false;
	r = date_check((const char *)data, len);
	if (r == DATE_OK)
		date_command(data, len, text, sizeof(text));
	else if (r == DATE_E_LENGTH)
		(void)snprintf(complaint, sizeof(complaint),
		               "%s (expected 26 or 36 bytes, got %zu), aborting!\n", date_error(r),
		               len);
	else
		(void)snprintf(complaint, sizeof(complaint), "%s, aborting!\n", date_error(r));
	(void)json_object_object_get_ex(json, "runs", &runs);
	good = !case_differs(why, "runs", plain(runs), text) &&
	       !case_differs(why, "stderr", case_text(json, "stderr"), complaint);
	free(data);
	return good;
}

static uint32_t number_of(struct json_object *json, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value))
		return 0;
	return (uint32_t)json_object_get_int64(value);
}

/* What the original says of a picture that it does not take. */
static void image_complaint(enum image_result r, const struct image_size *asked, size_t got,
                            size_t wanted, char *out, size_t max)
{
	(void)asked;
	switch (r) {
	case IMAGE_E_NONE:
		(void)snprintf(out, max, "ValueError: No icon received");
		break;
	case IMAGE_E_FORMAT:
		(void)snprintf(out, max, "ValueError: Image format violation");
		break;
	case IMAGE_E_SIZE:
		(void)snprintf(out, max, "ValueError: Image size constraint violation");
		break;
	case IMAGE_E_SHORT:
		(void)snprintf(out, max,
		               "ValueError: Image data length violation (is %zu, should be %zu)",
		               got, wanted);
		break;
	case IMAGE_OK:
	default:
		out[0] = '\0';
	}
}

static bool image_good(struct json_object *json, const struct image_size *size, const uint8_t *rgba,
                       size_t len, char why[CASE_WHY])
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[sizeof(hash) * 2 + 1];

	(void)crypto_hash_sha256(hash, rgba, len);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	(void)snprintf(why, CASE_WHY, "the size is another one");
	return size->width == number_of(json, "width") &&
	       size->height == number_of(json, "height") &&
	       !case_differs(why, "sha256", case_text(json, "rgba_sha256"), hex);
}

bool case_image(struct json_object *json, char why[CASE_WHY])
{
	const struct image_limits limits = {.width = number_of(json, "max_width"),
	                                    .height = number_of(json, "max_height")};
	const char *error = case_text(json, "error");
	struct image_size size = {0};
	char complaint[256];
	size_t len;
	uint8_t *data = case_bytes(json, "input_hex", &len);
	const uint8_t *newline;
	size_t line_len;
	size_t wanted;
	enum image_result r;
	bool good;

	if (!data)
		return false;
	line_len = MIN(len, image_header_max(&limits));
	newline = memchr(data, '\n', line_len);
	if (newline)
		line_len = (size_t)(newline - data) + 1;
	r = image_header_parse((const char *)data, line_len, &limits, &size);
	wanted = (size_t)size.width * size.height * 4;
	if (r == IMAGE_OK && len - line_len < wanted)
		r = IMAGE_E_SHORT;
	image_complaint(r, &size, len - line_len, wanted, complaint, sizeof(complaint));
	if (!error)
		good = r == IMAGE_OK && image_good(json, &size, data + line_len, wanted, why);
	else
		/* The original's text goes on with the numbers of a size that does not fit. */
		good = *complaint && strncmp(error, complaint, strlen(complaint)) == 0;
	if (!good && (error || r != IMAGE_OK))
		(void)case_differs(why, "error", error ? error : "", complaint);
	free(data);
	return good;
}

bool case_tint(struct json_object *json, char why[CASE_WHY])
{
	const char *colour = case_text(json, "color");
	size_t len;
	uint8_t *data = case_bytes(json, "rgba_hex", &len);
	char *hex = malloc(len * 2 + 1);
	bool good;

	if (!data || !hex || !colour)
		abort();
	colour += *colour == '#' ? 1 : 2;
	image_tint(data, len / 4, (uint32_t)strtoul(colour, NULL, 16));
	sodium_bin2hex(hex, len * 2 + 1, data, len);
	good = !case_differs(why, "tinted", case_text(json, "tinted_hex"), hex);
	free(hex);
	free(data);
	return good;
}
