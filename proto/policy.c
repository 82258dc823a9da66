/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/policy.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "lib/wire/writer.h"

/*
 * Questions to the policy service and its answers as text, to a checked struct and back; packets are in
 * policy_packet.c. The text of a question comes from whoever may open policy.sock and the text of an answer from
 * the service or from a policy program: both are trusted parties, and both are read as if they were
 * not, for everything that a qube chose (target, service, claimed source) travels inside.
 *
 * A NUL is never accepted in the name of a qube, though the original lets it through: a C string would
 * end there and name another qube.
 * Source: doc/protocol/policy.md (questions, answers), doc/protocol/qrexec.md (policy query).
 */

enum {
	KEY_RESULT,
	KEY_USER,
	KEY_TARGET,
	KEY_TARGET_UUID,
	KEY_AUTOSTART,
	KEY_REQUESTED_TARGET,
	KEY_SERVICE,
	KEY_POLICY_SOURCE,
	KEY_UNKNOWN,
};

static const char *const answer_keys[KEY_UNKNOWN] = {
        [KEY_RESULT] = "result",       [KEY_USER] = "user",
        [KEY_TARGET] = "target",       [KEY_TARGET_UUID] = "target_uuid",
        [KEY_AUTOSTART] = "autostart", [KEY_REQUESTED_TARGET] = "requested_target",
        [KEY_SERVICE] = "service",     [KEY_POLICY_SOURCE] = "policy_source",
};

#define KEY_BIT(key) (1U << (key))
#define ALLOW_NEEDS                                                                                \
	(KEY_BIT(KEY_USER) | KEY_BIT(KEY_TARGET) | KEY_BIT(KEY_AUTOSTART) |                        \
	 KEY_BIT(KEY_REQUESTED_TARGET))
#define DENY_MUST_NOT ALLOW_NEEDS

static bool equals(const char *data, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(data, text, len) == 0;
}

/* A value of known length into a fixed field; -1 if it does not fit. */
static int copy_value(char *dst, size_t dst_len, const char *value, size_t len)
{
	if (len >= dst_len)
		return -1;
	memcpy(dst, value, len);
	memset(dst + len, 0, dst_len - len);
	return 0;
}

static unsigned int find_key(const char *name, size_t len)
{
	unsigned int key;

	for (key = 0; key < KEY_UNKNOWN; key++)
		if (equals(name, len, answer_keys[key]))
			break;
	return key;
}

static int take_result(struct policy_answer *out, const char *value, size_t len)
{
	if (equals(value, len, "allow"))
		out->verdict = POLICY_ALLOWED;
	else if (equals(value, len, "deny"))
		out->verdict = POLICY_REFUSED;
	else
		return -1;
	return 0;
}

static int take_autostart(struct policy_answer *out, const char *value, size_t len)
{
	out->autostart = equals(value, len, "True");
	return out->autostart || equals(value, len, "False") ? 0 : -1;
}

static int take_value(struct policy_answer *out, unsigned int key, const char *value, size_t len)
{
	switch (key) {
	case KEY_RESULT:
		return take_result(out, value, len);
	case KEY_AUTOSTART:
		return take_autostart(out, value, len);
	case KEY_USER:
		return copy_value(out->user, sizeof(out->user), value, len);
	case KEY_TARGET:
		return copy_value(out->target, sizeof(out->target), value, len);
	case KEY_TARGET_UUID:
		return copy_value(out->target_uuid, sizeof(out->target_uuid), value, len);
	case KEY_REQUESTED_TARGET:
		return copy_value(out->requested_target, sizeof(out->requested_target), value, len);
	case KEY_SERVICE:
		return copy_value(out->service, sizeof(out->service), value, len);
	case KEY_POLICY_SOURCE:
		return copy_value(out->policy_source, sizeof(out->policy_source), value, len);
	default:
		return 0;
	}
}

static void answer_clear(struct policy_answer *out)
{
	memset(out, 0, sizeof(*out));
}

/* One line of an answer; seen collects the keys met so far. */
static int take_line(struct policy_answer *out, unsigned int *seen, const char *line, size_t len)
{
	const char *eq = memchr(line, '=', len);
	unsigned int key;

	if (!eq)
		return -1;
	key = find_key(line, (size_t)(eq - line));
	if (key == KEY_UNKNOWN)
		return 0;
	if (*seen & KEY_BIT(key))
		return -1;
	*seen |= KEY_BIT(key);
	return take_value(out, key, eq + 1, len - (size_t)(eq - line) - 1);
}

static int check_answer_keys(struct policy_answer *out, unsigned int seen)
{
	if (!(seen & KEY_BIT(KEY_RESULT)))
		return -1;
	if (out->verdict == POLICY_ALLOWED)
		return (seen & ALLOW_NEEDS) == ALLOW_NEEDS && out->user[0] && out->target[0] ? 0
		                                                                             : -1;
	if (seen & DENY_MUST_NOT)
		return -1;
	answer_clear(out);
	return 0;
}

int policy_decode_text(const void *data, size_t len, struct policy_answer *out)
{
	const char *at = data, *end;
	unsigned int seen = 0;

	answer_clear(out);
	if (len == 0 || len >= POLICY_TEXT_MAX || memchr(data, 0, len))
		return -1;
	end = at + len;
	if (end[-1] == '\n')
		end--;
	for (;;) {
		const char *eol = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		const char *stop = eol ? eol : end;

		if (at == stop || take_line(out, &seen, at, (size_t)(stop - at)))
			break;
		if (!eol)
			return check_answer_keys(out, seen);
		at = eol + 1;
	}
	answer_clear(out);
	return -1;
}

/* A value that would end its line early, or is not ASCII, cannot be said in this protocol. */
static bool value_legal(const char *value)
{
	for (; *value; value++)
		if (*value == '\n' || (unsigned char)*value > 0x7f)
			return false;
	return true;
}

static void put_line(struct wire_writer *w, const char *key, const char *value)
{
	if (!value_legal(value))
		w->bad = true;
	if (w->len > 0)
		wire_put_u8(w, '\n');
	wire_put_bytes(w, key, strlen(key));
	wire_put_u8(w, '=');
	wire_put_bytes(w, value, strlen(value));
}

static void put_optional(struct wire_writer *w, const char *key, const char *value)
{
	if (value[0])
		put_line(w, key, value);
}

ssize_t policy_encode_text(char *out, size_t max, const struct policy_answer *answer, bool just)
{
	struct wire_writer w = wire_writer(out, max);

	if (answer->verdict == POLICY_NO_ANSWER)
		return 0;
	if (answer->verdict == POLICY_REFUSED || just) {
		put_line(&w, "result", answer->verdict == POLICY_ALLOWED ? "allow" : "deny");
		return w.bad ? -1 : (ssize_t)w.len;
	}
	put_line(&w, "user", answer->user);
	put_line(&w, "result", "allow");
	put_line(&w, "target", answer->target);
	put_optional(&w, "target_uuid", answer->target_uuid);
	put_line(&w, "autostart", answer->autostart ? "True" : "False");
	put_line(&w, "requested_target", answer->requested_target);
	put_optional(&w, "service", answer->service);
	put_optional(&w, "policy_source", answer->policy_source);
	return w.bad ? -1 : (ssize_t)w.len;
}

ssize_t policy_encode_question_text(char *out, size_t max, const struct policy_question *question)
{
	struct wire_writer w = wire_writer(out, max);

	put_line(&w, "source", question->source);
	if (question->flags & POLICY_HAS_SOURCE)
		put_line(&w, "requested_source", question->requested_source);
	put_line(&w, "intended_target", question->target);
	put_line(&w, "service_and_arg", question->service);
	if (question->flags & POLICY_ASSUME_YES)
		put_line(&w, "assume_yes_for_ask", "yes");
	if (question->flags & POLICY_JUST_EVALUATE)
		put_line(&w, "just_evaluate", "yes");
	wire_put_bytes(&w, "\n\n", 2);
	return w.bad ? -1 : (ssize_t)w.len;
}

size_t policy_question_text_end(const char *data, size_t len, size_t from)
{
	size_t at = from > 0 ? from - 1 : 0;

	if (len > 0 && data[0] == '\n')
		return 1;
	while (at + 1 < len) {
		const char *eol = memchr(data + at, '\n', len - at - 1);

		if (!eol)
			return 0;
		if (eol[1] == '\n')
			return (size_t)(eol - data) + 2;
		at = (size_t)(eol - data) + 1;
	}
	return 0;
}

enum {
	ASK_SOURCE = 1 << 0,
	ASK_TARGET = 1 << 1,
	ASK_SERVICE = 1 << 2,
	ASK_REQUESTED = 1 << 3,
	ASK_ASSUME = 1 << 4,
	ASK_JUST = 1 << 5,
};

static const struct {
	const char *name;
	unsigned int bit;
} question_keys[] = {
        {"source", ASK_SOURCE},
        {"intended_target", ASK_TARGET},
        {"service_and_arg", ASK_SERVICE},
        {"requested_source", ASK_REQUESTED},
        {"assume_yes_for_ask", ASK_ASSUME},
        {"just_evaluate", ASK_JUST},
};

static int take_flag(struct policy_question *out, uint32_t flag, const char *value)
{
	if (strcmp(value, "yes") == 0)
		out->flags |= flag;
	else if (strcmp(value, "no") != 0)
		return -1;
	return 0;
}

static int take_question_value(struct policy_question *out, unsigned int bit, const char *value)
{
	switch (bit) {
	case ASK_SOURCE:
		out->source = value;
		return 0;
	case ASK_TARGET:
		out->target = value;
		return 0;
	case ASK_SERVICE:
		out->service = value;
		return 0;
	case ASK_REQUESTED:
		out->requested_source = value;
		out->flags |= POLICY_HAS_SOURCE;
		return 0;
	case ASK_ASSUME:
		return take_flag(out, POLICY_ASSUME_YES, value);
	default:
		return take_flag(out, POLICY_JUST_EVALUATE, value);
	}
}

/* A whole line, terminated by a NUL in place of its newline. */
static int take_question_line(struct policy_question *out, unsigned int *seen, const char *line)
{
	const char *eq = strchr(line, '=');
	size_t i;

	if (!eq)
		return -1;
	for (i = 0; i < ARRAY_LEN(question_keys); i++)
		if (equals(line, (size_t)(eq - line), question_keys[i].name))
			break;
	if (i == ARRAY_LEN(question_keys) || (*seen & question_keys[i].bit))
		return -1;
	*seen |= question_keys[i].bit;
	return take_question_value(out, question_keys[i].bit, eq + 1);
}

/*
 * ASCII only. A NUL is illegal but in the service, where the original lets it through and where no
 * rule but "*" can match it: there it becomes 0x01, of which the same is true.
 */
static bool clean_line(char *line, size_t len)
{
	static const char key[] = "service_and_arg=";
	bool service = len >= sizeof(key) - 1 && memcmp(line, key, sizeof(key) - 1) == 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] > 0x7f || (line[i] == 0 && !service))
			return false;
		if (line[i] == 0)
			line[i] = 1;
	}
	return true;
}

int policy_decode_question_text(char *data, size_t len, struct policy_question *out)
{
	const unsigned int needed = ASK_SOURCE | ASK_TARGET | ASK_SERVICE;
	unsigned int seen = 0;
	size_t at = 0;

	*out = (struct policy_question){
	        .source = "", .requested_source = "", .target = "", .service = ""};
	while (at < len) {
		char *line = data + at;
		char *eol = memchr(line, '\n', len - at);
		size_t n = eol ? (size_t)(eol - line) : len - at;

		if (n == 0)
			break;
		if (n > POLICY_LINE_MAX || !clean_line(line, n))
			return -1;
		line[n] = 0;
		if (take_question_line(out, &seen, line))
			return -1;
		at += n + 1;
	}
	return (seen & needed) == needed ? 0 : -1;
}
