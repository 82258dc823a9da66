/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If one of these failed, an image would be taken that too few have signed. Keys and signatures are of signify 31. */
#include "proto/image/signify.h"

#include <string.h>

#include "tests/unit/unit.h"

#define TEXT "the text\n"
#define KEY_1                                                                                      \
	"untrusted comment: key1 public "                                                          \
	"key\nRWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ\n"
#define KEY_2                                                                                      \
	"untrusted comment: key2 public "                                                          \
	"key\nRWT0NZAoQ4u8Eg+2CmFUfg58kwKSmg6w2MrvXmi5NSC3M9aNS4uleBUD\n"
#define SIGNED_1                                                                                   \
	"untrusted comment: verify with k1.pub\n"                                                  \
	"RWSfHG3wkm56/s3/D/"                                                                       \
	"qWo5cIHdwwEC5ipd+nvoLQWUSHaiDWCZvJhpNne1CZnsz5ukMQO4FwL88c5C3vUya01RvU+"                  \
	"7+CnK/FwAI=\n"
#define SIGNED_2                                                                                   \
	"untrusted comment: verify with k2.pub\n"                                                  \
	"RWT0NZAoQ4u8EroSL+FIxhYgdSZVWwoacRAxTynfKY94F/"                                           \
	"SAkOm6ipUSewn8CulsSGW0xzOUwW60LhbYYEJx3wL9tjfdq/Oc7gw=\n"

static struct signify_keys both(void)
{
	struct signify_keys keys = {.n = 2, .needed = 2};

	assert_int_equal(signify_key_decode(KEY_1, strlen(KEY_1), &keys.keys[0]), 0);
	assert_int_equal(signify_key_decode(KEY_2, strlen(KEY_2), &keys.keys[1]), 0);
	return keys;
}

static size_t count(const struct signify_keys *keys, const char *signatures, const char *text)
{
	struct signify_signature list[SIGNIFY_KEYS_MAX];
	size_t n = 0;

	assert_int_equal(signify_signatures_decode(signatures, strlen(signatures), list, &n), 0);
	return signify_count(keys, list, n, text, strlen(text));
}

static void test_signify_counts_keys(void **state)
{
	struct signify_keys keys = both();

	assert_int_equal(count(&keys, "", TEXT), 0);
	assert_int_equal(count(&keys, SIGNED_1, TEXT), 1);
	assert_int_equal(count(&keys, SIGNED_1 SIGNED_1 SIGNED_1, TEXT), 1);
	assert_int_equal(count(&keys, SIGNED_1 SIGNED_2, TEXT), 2);
	assert_int_equal(count(&keys, SIGNED_2 SIGNED_1, TEXT), 2);
	assert_int_equal(count(&keys, SIGNED_1 SIGNED_2, "the text"), 0);
	assert_int_equal(count(&keys, SIGNED_1 SIGNED_2, "The text\n"), 0);
	/* A signature that names another key is not tried with this one. */
	memcpy(keys.keys[0].id, keys.keys[1].id, SIGNIFY_ID_LEN);
	assert_int_equal(count(&keys, SIGNED_1, TEXT), 0);
	keys.n = 1;
	assert_int_equal(count(&keys, SIGNED_2, TEXT), 0);
}

static void test_signify_one_bit(void **state)
{
	struct signify_keys keys = both();
	struct signify_signature list[SIGNIFY_KEYS_MAX];
	size_t n;

	assert_int_equal(signify_signatures_decode(SIGNED_1, strlen(SIGNED_1), list, &n), 0);
	for (size_t i = 0; i < sizeof(list[0]); i++) {
		((uint8_t *)&list[0])[i] ^= 1;
		assert_int_equal(signify_count(&keys, list, 1, TEXT, strlen(TEXT)), 0);
		((uint8_t *)&list[0])[i] ^= 1;
	}
	assert_int_equal(signify_count(&keys, list, 1, TEXT, strlen(TEXT)), 1);
}

static void test_signify_refuses_other_forms(void **state)
{
	static const char *const keys[] = {
	        "",
	        "untrusted comment: x\n",
	        "RWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ\n",
	        KEY_1 "x",
	        KEY_1 KEY_2,
	        SIGNED_1,
	        "comment: x\nRWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ\n",
	        "untrusted comment: x\nRWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ",
	        "untrusted comment: x\nRWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5r\n",
	        "untrusted comment: x\nAWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ\n",
	        "untrusted comment: x\nRWSfHG3wkm56/nCF0pkhefsrGa2oJ7MRA5y97UoZ/VjFRrUmso4dM5rZ \n",
	};
	struct signify_signature list[SIGNIFY_KEYS_MAX];
	char many[SIGNIFY_FILE_MAX + 1] = "";
	struct signify_key key;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(signify_key_decode(keys[i], strlen(keys[i]), &key), -1);
	for (size_t i = 1; i < strlen(SIGNED_1); i++)
		assert_int_equal(signify_signatures_decode(SIGNED_1, i, list, &n), -1);
	assert_int_equal(signify_signatures_decode(KEY_1, strlen(KEY_1), list, &n), -1);
	for (size_t i = 0; i < SIGNIFY_KEYS_MAX; i++)
		memcpy(many + i * strlen(SIGNED_1), SIGNED_1, strlen(SIGNED_1));
	n = SIGNIFY_KEYS_MAX * strlen(SIGNED_1);
	assert_int_equal(signify_signatures_decode(many, n, list, &n), 0);
	assert_int_equal(n, SIGNIFY_KEYS_MAX);
	memcpy(many + n * strlen(SIGNED_1), SIGNED_1, strlen(SIGNED_1));
	assert_int_equal(signify_signatures_decode(many, (n + 1) * strlen(SIGNED_1), list, &n), -1);
	assert_int_equal(signify_signatures_decode(many, sizeof(many), list, &n), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_signify_counts_keys),
	        cmocka_unit_test(test_signify_one_bit),
	        cmocka_unit_test(test_signify_refuses_other_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
