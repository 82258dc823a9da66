/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, a daemon may take a refusal for an allow, or the service a question for another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/policy.h"

#define ALLOW "user=bob\nresult=allow\ntarget=vault\nautostart=True\nrequested_target=vault"

static struct policy_answer answer, again;

static int decode(const char *text)
{
	return policy_decode_text(text, strlen(text), &answer);
}

/* qrexec-036 */
static void test_answer_malformed(void **state)
{
	static const char *const bad[] = {
	        "",
	        "\n",
	        "result=maybe",
	        "result=allow",
	        "x",
	        "result=deny\nx",
	        "result=deny\n\nx=1",
	        "user=bob\ntarget=vault\nautostart=True\nrequested_target=vault",
	        "user=bob\nresult=allow\ntarget=vault\nrequested_target=vault",
	        "user=bob\nresult=allow\nautostart=True\nrequested_target=vault",
	        "user=bob\nresult=allow\ntarget=vault\nautostart=True",
	        "result=allow\ntarget=vault\nautostart=True\nrequested_target=vault",
	        "user=bob\nresult=allow\ntarget=vault\nautostart=true\nrequested_target=vault",
	        "user=bob\nresult=allow\ntarget=vault\nautostart=\nrequested_target=vault",
	        "result=deny\nresult=deny",
	        ALLOW "\nresult=allow",
	        ALLOW "\nuser=bob",
	        ALLOW "\nservice=a\nservice=a",
	        ALLOW "\n\n",
	        "user=bob\nresult=deny",
	        "result=deny\ntarget=vault",
	        "result=deny\nautostart=True",
	        "result=deny\nrequested_target=vault",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (decode(bad[i]) == 0)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(policy_decode_text("result=deny\0", 12, &answer), -1);
	assert_int_equal(policy_decode_text("result=deny\0x=y", 15, &answer), -1);
}

static void test_answer_length(void **state)
{
	static char text[POLICY_TEXT_MAX];

	memset(text, 'x', sizeof(text));
	memcpy(text, "result=deny\nx=", 14);
	assert_int_equal(policy_decode_text(text, POLICY_TEXT_MAX - 1, &answer), 0);
	assert_int_equal(policy_decode_text(text, POLICY_TEXT_MAX, &answer), -1);
}

static void test_answer_accepted(void **state)
{
	assert_int_equal(decode(ALLOW), 0);
	assert_int_equal(answer.verdict, POLICY_ALLOWED);
	assert_string_equal(answer.user, "bob");
	assert_true(answer.autostart);
	assert_int_equal(decode(ALLOW "\nx=1"), 0);
	assert_int_equal(decode(ALLOW "\n"), 0);
	assert_int_equal(
	        decode("autostart=False\nrequested_target=\nservice=a+b=c\npolicy_source=rem\n"
	               "target_uuid=uuid:1\ntarget=vault\nresult=allow\nuser=u"),
	        0);
	assert_string_equal(answer.service, "a+b=c");
	assert_string_equal(answer.policy_source, "rem");
	assert_string_equal(answer.target_uuid, "uuid:1");
	assert_false(answer.autostart);
	assert_int_equal(decode("result=deny\n"), 0);
	assert_int_equal(answer.verdict, POLICY_REFUSED);
	assert_int_equal(decode("result=deny\nservice=a\ntarget_uuid=x\npolicy_source=x"), 0);
	assert_string_equal(answer.service, "");
}

static void test_answer_encode(void **state)
{
	char text[512];
	ssize_t n;

	assert_int_equal(
	        decode("requested_target=rem\nuser=DEFAULT\nautostart=True\ntarget=relay\n"
	               "policy_source=far\nservice=tr+rem+a.B+x\ntarget_uuid=uuid:8\nresult=allow"),
	        0);
	n = policy_encode_text(text, sizeof(text) - 1, &answer, false);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(
	        text,
	        "user=DEFAULT\nresult=allow\ntarget=relay\ntarget_uuid=uuid:8\n"
	        "autostart=True\nrequested_target=rem\nservice=tr+rem+a.B+x\npolicy_source=far");
	n = policy_encode_text(text, sizeof(text), &answer, true);
	assert_int_equal(n, 12);
	assert_memory_equal(text, "result=allow", 12);
	assert_int_equal(policy_encode_text(text, 20, &answer, false), -1);
	answer = (struct policy_answer){.verdict = POLICY_NO_ANSWER};
	assert_int_equal(policy_encode_text(text, sizeof(text), &answer, false), 0);
}

static int question(const char *text, size_t len, struct policy_question *out)
{
	static char copy[200000];

	assert_true(len < sizeof(copy));
	memcpy(copy, text, len);
	return policy_decode_question_text(copy, len, out);
}

#define ASK "source=work\nintended_target=vault\nservice_and_arg=a.Allow+x\n"

/* policy-64, policy-65 */
static void test_question_accepted(void **state)
{
	static const char *const same[] = {
	        ASK "\n",
	        ASK,
	        "source=work\nintended_target=vault\nservice_and_arg=a.Allow+x",
	        ASK "\njunk",
	        ASK "\n\xff\n=\n",
	        "service_and_arg=a.Allow+x\nintended_target=vault\nsource=work\n\n",
	        ASK "requested_source=\n\n",
	        ASK "just_evaluate=no\nassume_yes_for_ask=no\n\n",
	};
	struct policy_question q;
	size_t i;

	for (i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(question(same[i], strlen(same[i]), &q), 0);
		assert_string_equal(q.source, "work");
		assert_string_equal(q.target, "vault");
		assert_string_equal(q.service, "a.Allow+x");
		assert_string_equal(q.requested_source, "");
		assert_int_equal(q.flags & (POLICY_JUST_EVALUATE | POLICY_ASSUME_YES), 0);
	}
	assert_int_equal(question(ASK "just_evaluate=yes\nassume_yes_for_ask=yes\n",
	                          strlen(ASK) + 41, &q),
	                 0);
	assert_int_equal(q.flags, POLICY_JUST_EVALUATE | POLICY_ASSUME_YES);
}

/* policy-66 */
static void test_question_malformed(void **state)
{
	static const char *const bad[] = {
	        "",
	        "\n" ASK,
	        ASK "process_ident=1\n",
	        ASK "domain_id=1\n",
	        ASK "source=work\n",
	        ASK "just_evaluate=1\n",
	        ASK "just_evaluate=\n",
	        ASK "just_evaluate=Yes\n",
	        ASK "noequals\n",
	        ASK "=x\n",
	        ASK "Source=x\n",
	        "source=work\nintended_target=vault\n",
	        "source=work\nservice_and_arg=a\n",
	        "intended_target=vault\nservice_and_arg=a\n",
	        "source=work\nintended_target=v\xc3\xa9\nservice_and_arg=a\n",
	};
	struct policy_question q;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (question(bad[i], strlen(bad[i]), &q) == 0)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(question("source=wo\0rk\nintended_target=v\nservice_and_arg=a\n", 49, &q),
	                 -1);
	assert_int_equal(question("source=work\nintended_target=v\nservice_and_arg=a\0b\n", 50, &q),
	                 0);
	assert_string_equal(q.service, "a\001b");
}

static void test_question_line_length(void **state)
{
	static char text[POLICY_LINE_MAX + 256];
	const size_t key = strlen("service_and_arg="),
	             head = strlen("source=work\nintended_target=vault\n");
	struct policy_question q;

	memset(text, 'x', sizeof(text));
	memcpy(text, "source=work\nintended_target=vault\nservice_and_arg=", head + key);
	assert_int_equal(question(text, head + POLICY_LINE_MAX, &q), 0);
	assert_int_equal(strlen(q.service), POLICY_LINE_MAX - key);
	assert_int_equal(question(text, head + POLICY_LINE_MAX + 1, &q), -1);
}

static void test_question_end(void **state)
{
	const char *text = ASK "\nmore";
	size_t len = strlen(ASK), i;

	for (i = 0; i <= len; i++)
		assert_int_equal(policy_question_text_end(text, i, 0), 0);
	assert_int_equal(policy_question_text_end(text, len + 1, 0), len + 1);
	for (i = 0; i <= len; i++)
		assert_int_equal(policy_question_text_end(text, len + 3, i), len + 1);
	assert_int_equal(policy_question_text_end("\n", 1, 0), 1);
}

/* qrexec-037: to the byte. */
static void test_question_encode(void **state)
{
	struct policy_question q = {
	        .source = "work", .requested_source = "", .target = "", .service = "a.B+x"};
	char text[256];
	ssize_t n = policy_encode_question_text(text, sizeof(text), &q);

	assert_int_equal(n, strlen("source=work\nintended_target=\nservice_and_arg=a.B+x\n\n"));
	assert_memory_equal(text, "source=work\nintended_target=\nservice_and_arg=a.B+x\n\n",
	                    (size_t)n);
	q.flags = POLICY_HAS_SOURCE;
	n = policy_encode_question_text(text, sizeof(text), &q);
	assert_memory_equal(text, "source=work\nrequested_source=\nintended_target=\n", 46);
	assert_true(n > 46);
	q.target = "a\nsource=dom0";
	assert_int_equal(policy_encode_question_text(text, sizeof(text), &q), -1);
}

static void test_question_packet(void **state)
{
	struct policy_question q = {.call = 7,
	                            .id = 9,
	                            .flags = POLICY_HAS_SOURCE | POLICY_JUST_EVALUATE,
	                            .source = "work",
	                            .requested_source = "rem",
	                            .target = "",
	                            .service = "a.B+x"};
	static uint8_t packet[POLICY_PACKET_MAX];
	struct policy_question out;
	ssize_t n = policy_encode_question(packet, sizeof(packet), &q), i;

	assert_true(n > 0);
	assert_int_equal(policy_decode_question(packet, (size_t)n, &out), 0);
	assert_int_equal(out.call, 7);
	assert_int_equal(out.id, 9);
	assert_int_equal(out.flags, q.flags);
	assert_string_equal(out.source, "work");
	assert_string_equal(out.requested_source, "rem");
	assert_string_equal(out.target, "");
	assert_string_equal(out.service, "a.B+x");
	for (i = 0; i < n; i++)
		assert_int_equal(policy_decode_question(packet, (size_t)i, &out), -1);
	assert_int_equal(policy_decode_question(packet, (size_t)n + 1, &out), -1);
	q.flags = 0;
	assert_int_equal(policy_encode_question(packet, sizeof(packet), &q), -1);
	q.requested_source = "";
	q.source = "0123456789012345678901234567890123456789012345678901234567890123";
	assert_int_equal(policy_encode_question(packet, sizeof(packet), &q), -1);
}

static void test_answer_packet(void **state)
{
	static uint8_t packet[POLICY_PACKET_MAX];
	ssize_t n, i;

	assert_int_equal(decode(ALLOW "\nservice=a+b\npolicy_source=rem\ntarget_uuid=uuid:2"), 0);
	answer.id = 77;
	n = policy_encode_answer(packet, sizeof(packet), &answer);
	assert_true(n > 0);
	assert_int_equal(policy_decode_answer(packet, (size_t)n, &again), 0);
	assert_memory_equal(&again, &answer, sizeof(answer));
	for (i = 0; i < n; i++)
		assert_int_equal(policy_decode_answer(packet, (size_t)i, &again), -1);
	answer = (struct policy_answer){.verdict = POLICY_REFUSED, .user = "root"};
	assert_int_equal(policy_encode_answer(packet, sizeof(packet), &answer), -1);
	packet[8] = 3;
	assert_int_equal(policy_decode_answer(packet, (size_t)n, &again), -1);
	packet[8] = POLICY_REFUSED;
	assert_int_equal(policy_decode_answer(packet, (size_t)n, &again), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_answer_malformed),
	        cmocka_unit_test(test_answer_length),
	        cmocka_unit_test(test_answer_accepted),
	        cmocka_unit_test(test_answer_encode),
	        cmocka_unit_test(test_question_accepted),
	        cmocka_unit_test(test_question_malformed),
	        cmocka_unit_test(test_question_line_length),
	        cmocka_unit_test(test_question_end),
	        cmocka_unit_test(test_question_encode),
	        cmocka_unit_test(test_question_packet),
	        cmocka_unit_test(test_answer_packet),
	};

	return cmocka_run_group_tests_name("proto/policy", tests, NULL, NULL);
}
