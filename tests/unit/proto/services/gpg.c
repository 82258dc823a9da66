/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, another qube could make gpg read, write or start something where the keys are. */
#include "proto/services/gpg.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

static struct gpg_request request;

/* Words separated by '|', through a block. */
static enum gpg_result check(const char *text)
{
	char room[600];
	const char *args[64];
	uint8_t block[GPG_BLOCK];
	size_t n = 0;
	size_t at;

	(void)bytes_copy_text(room, sizeof(room), text);
	for (char *word = room; word && *text; n++) {
		char *bar = strchr(word, '|');

		args[n] = word;
		if (bar)
			*bar = '\0';
		word = bar ? bar + 1 : NULL;
	}
	assert_int_equal(gpg_request_encode(args, n, block), 0);
	assert_int_equal(gpg_request_decode(block, &request), GPG_OK);
	assert_int_equal(request.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(request.args[i], args[i]);
	return gpg_request_check(&request, &at);
}

/* services-013 */
static void test_gpg_arguments(void **state)
{
	static const struct {
		const char *args;
		enum gpg_result r;
	} rows[] = {
	        {"", GPG_OK},
	        {"-K", GPG_OK},
	        {"--with-colons|-k|any|user id", GPG_OK},
	        {"--armor|--detach-sign|-u|a@b", GPG_OK},
	        {"-bau|a@b", GPG_OK},
	        {"-baua@b|-", GPG_OK},
	        {"--local-user=a|-s|-", GPG_OK},
	        {"-e|-r|x|-s", GPG_OK},
	        {"-d|-", GPG_OK},
	        {"--|-", GPG_OK},
	        {"-k|--|-x", GPG_OK},
	        {"-o-", GPG_OK},
	        {"--output|-|-s", GPG_OK},
	        {"--list-options=show-usage,no-show-photos|-k", GPG_OK},
	        {"--list-options|show-sig-subpackets=1,127|-k", GPG_E_VALUE},
	        {"--list-options|show-sig-subpackets=20|-k", GPG_OK},
	        {"--list-options|no-show-keyring|-k", GPG_OK},
	        {"--list-options|show-keyring|-k", GPG_E_VALUE},
	        {"--list-options|show-sig-subpackets=128|-k", GPG_E_VALUE},
	        {"--export-options|export-minimal|--export", GPG_OK},
	        {"--export-options|export-dane|--export", GPG_E_VALUE},
	        {"--verify-options|show-notations|--verify|/dev/fd/5|-", GPG_OK},
	        {"--verify", GPG_OK},
	        {"--verif", GPG_E_OPTION},
	        {"--armo", GPG_E_OPTION},
	        {"--homedir|x", GPG_E_OPTION},
	        {"--cipher-algo|x", GPG_E_OPTION},
	        {"--command-fd|0", GPG_E_OPTION},
	        {"-z", GPG_E_OPTION},
	        {"-az", GPG_E_OPTION},
	        {"--armor=x", GPG_E_VALUE},
	        {"--output|x", GPG_E_VALUE},
	        {"-ox", GPG_E_VALUE},
	        {"-o", GPG_E_VALUE},
	        {"--recipient", GPG_E_VALUE},
	        {"-K|-s", GPG_E_COMMANDS},
	        {"--export|--clearsign", GPG_E_COMMANDS},
	        {"--status-fd|1", GPG_OK},
	        {"--status-fd|1023", GPG_OK},
	        {"--status-fd|1024", GPG_E_FD},
	        {"--status-fd|03", GPG_E_FD},
	        {"--status-fd|0", GPG_E_FD},
	        {"--status-fd|x", GPG_E_FD},
	        {"--status-fd|-1", GPG_E_FD},
	        {"--status-fd|3|--status-fd|4", GPG_E_FD},
	        {"--status-fd|3|--logger-fd|3|--attribute-fd|9", GPG_OK},
	        {"--verify|/dev/fd/3|--status-fd|3", GPG_E_OPERAND},
	        {"--status-fd|3|--verify|/dev/fd/3", GPG_E_FD},
	        {"--verify|/dev/fd/2", GPG_E_FD},
	        {"--verify|/dev/fd/03", GPG_E_FD},
	        {"--verify|/dev/fd/", GPG_E_FD},
	        {"--verify|file", GPG_E_OPERAND},
	        {"--verify|-", GPG_E_OPERAND},
	        {"--verify|/dev/fd/3|x", GPG_E_OPERAND},
	        {"-s|file", GPG_E_OPERAND},
	        {"-s|-|-", GPG_E_OPERAND},
	        {"-s|-|-x", GPG_E_OPERAND},
	        {"-k|x|-y", GPG_E_OPERAND},
	        {"-k|x|--output=y", GPG_E_OPERAND},
	        {"-u|a\x1b", GPG_E_TEXT},
	        {"-u|\xc3\xa9", GPG_OK},
	        {"-u|\xc3", GPG_E_TEXT},
	        {"-u|\x7f", GPG_E_TEXT},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		print_message("# %s\n", rows[i].args);
		assert_int_equal(check(rows[i].args), rows[i].r);
	}
}

static void test_gpg_descriptors(void **state)
{
	assert_int_equal(check("--logger-fd|9|--status-fd|7|--attribute-fd|9|--verify|/dev/fd/5|-"),
	                 GPG_OK);
	assert_int_equal(request.n_inputs, 2);
	assert_int_equal(request.inputs[1], 5);
	assert_int_equal(request.n_outputs, 4);
	assert_int_equal(request.outputs[2], 9);
	assert_int_equal(request.outputs[3], 7);
}

static void test_gpg_block(void **state)
{
	uint8_t block[GPG_BLOCK] = {0};

	assert_int_equal(gpg_request_decode(block, &request), GPG_OK);
	assert_int_equal(request.n, 0);
	le32_put(block, GPG_BUFFER);
	assert_int_equal(gpg_request_decode(block, &request), GPG_E_BLOCK);
	le32_put(block, 3);
	memcpy(block + 4, "xx\0y", 4);
	assert_int_equal(gpg_request_decode(block, &request), GPG_E_BLOCK);
	memcpy(block + 4, "xx\0\0", 4);
	assert_int_equal(gpg_request_decode(block, &request), GPG_OK);
	assert_int_equal(request.n, 1);
	assert_string_equal(request.args[0], "");
	le32_put(block, GPG_BUFFER - 1);
	assert_int_equal(gpg_request_decode(block, &request), GPG_E_BLOCK);
	memset(block + 4, 'a', GPG_BUFFER);
	block[4 + GPG_BUFFER - 1] = '\0';
	assert_int_equal(gpg_request_decode(block, &request), GPG_OK);
	assert_int_equal(request.n, 0);
}

static void test_gpg_frames(void **state)
{
	static const struct {
		int32_t index;
		uint32_t len;
		bool may_end;
		int r;
	} rows[] = {{0, 0, false, 0},         {2, 4096, false, 0},     {0, 4097, false, -1},
	            {3, 1, false, -1},        {-1, 0, true, 0},        {-256, 0, true, 0},
	            {-257, 0, true, -1},      {-1, 1, true, -1},       {-1, 0, false, -1},
	            {INT32_MAX, 0, true, -1}, {INT32_MIN, 0, true, -1}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gpg_frame frame = {.index = rows[i].index, .len = rows[i].len};
		struct gpg_frame back;
		uint8_t head[GPG_FRAME_HEAD];

		gpg_frame_encode(&frame, head);
		assert_int_equal(gpg_frame_decode(head, 3, rows[i].may_end, &back), rows[i].r);
		if (rows[i].r == 0)
			assert_memory_equal(&frame, &back, sizeof(frame));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_gpg_arguments),
	        cmocka_unit_test(test_gpg_descriptors),
	        cmocka_unit_test(test_gpg_block),
	        cmocka_unit_test(test_gpg_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
