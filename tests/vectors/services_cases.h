/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_VECTORS_SERVICES_CASES_H
#define TESTS_VECTORS_SERVICES_CASES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * Recorded cases of single services: each function replays one and says whether it came out as recorded,
 * and if not, why.
 */

#define CASE_WHY 4096

bool case_vmexec_decode(struct json_object *json, char why[CASE_WHY]);
bool case_vmexec_encode(struct json_object *json, char why[CASE_WHY]);
bool case_date(struct json_object *json, char why[CASE_WHY]);
bool case_image(struct json_object *json, char why[CASE_WHY]);
bool case_tint(struct json_object *json, char why[CASE_WHY]);
bool case_appmenus(struct json_object *json, char why[CASE_WHY]);

/** case_text() - a member that is text, or NULL */
const char *case_text(struct json_object *object, const char *key);

/** case_bytes() - a member in hexadecimal, given, with a NUL behind; NULL if there is none */
uint8_t *case_bytes(struct json_object *object, const char *key, size_t *ret_len);

/** case_differs() - whether two texts differ, with both of them in why */
bool case_differs(char why[CASE_WHY], const char *what, const char *want, const char *got);

#endif
