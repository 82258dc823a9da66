/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "services/policy/parse.h"

#include <stdio.h>
#include <string.h>

/*
 * Every check of a line in the order of doc/protocol/policy.md, 3.2: the first that fails names
 * the fault. No name is looked up here, for a policy may speak of qubes that come later.
 */

#define SOURCE   (1U << PLACE_SOURCE)
#define TARGET   (1U << PLACE_TARGET)
#define REDIRECT (1U << PLACE_REDIRECT)
#define REQUEST  (1U << PLACE_REQUEST)

/* word, what it is, where it is legal */
static const struct {
	const char *text;
	enum token_kind kind;
	uint32_t places;
} keywords[] =
        {
                {"*", TOKEN_ANY, SOURCE | TARGET},
                {"@anyvm", TOKEN_ANYVM, SOURCE | TARGET},
                {"@adminvm", TOKEN_ADMINVM, SOURCE | TARGET | REDIRECT | REQUEST},
                {"@default", TOKEN_DEFAULT, TARGET | REQUEST},
                {"@dispvm", TOKEN_DISPVM, TARGET | REDIRECT | REQUEST},
},
  /* the order is that of the checks */
        prefixes[] = {
                {"@type:", TOKEN_TYPE, SOURCE | TARGET},
                {"@tag:", TOKEN_TAG, SOURCE | TARGET},
                {"@dispvm:", TOKEN_DISPVM_NAME, SOURCE | TARGET | REDIRECT | REQUEST},
                {"@dispvm:@tag:", TOKEN_DISPVM_TAG, SOURCE | TARGET},
};

enum fault_code parse_token(struct slice word, enum token_place place, struct parsed_token *ret)
{
	uint32_t here = 1U << place;

	*ret = (struct parsed_token){.text = word, .kind = TOKEN_NAME};
	if (word.len == 0)
		return CODE_TOKEN_EMPTY;
	if (word.p[0] != '@' && !slice_is(word, "*"))
		return CODE_NONE;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if ((keywords[i].places & here) && slice_is(word, keywords[i].text)) {
			ret->kind = keywords[i].kind;
			return CODE_NONE;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i].text);

		if (!(prefixes[i].places & here) || word.len < len ||
		    memcmp(word.p, prefixes[i].text, len) != 0)
			continue;
		if (word.len == len)
			return CODE_TOKEN_EMPTY;
		if (word.p[len] == '@')
			continue;
		ret->kind = prefixes[i].kind;
		ret->rest = (uint32_t)len;
		return CODE_NONE;
	}
	return CODE_TOKEN;
}

static enum fault_code fail(struct line_fault *fault, enum fault_code code, struct slice where)
{
	*fault = (struct line_fault){code, where};
	return code;
}

static const struct slice whole_line = {NULL, 0};

static bool name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

static bool chars_ok(struct slice s, bool plus)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!name_char(s.p[i]) && !(plus && s.p[i] == '+'))
			return false;
	}
	return true;
}

/* Checks 2 to 5. */
static enum fault_code check_service(struct slice service, struct slice argument,
                                     struct line_fault *fault)
{
	bool any_service = slice_is(service, "*");
	bool any_argument = slice_is(argument, "*");

	if (!any_service && !chars_ok(service, false))
		return fail(fault, CODE_SERVICE_CHARS, service);
	if (!any_argument && !chars_ok(argument, true))
		return fail(fault, CODE_ARGUMENT_CHARS, argument);
	if (!any_argument && argument.p[0] != '+')
		return fail(fault, CODE_ARGUMENT_PLUS, argument);
	if (any_service && !any_argument)
		return fail(fault, CODE_ARGUMENT_STAR, argument);
	return CODE_NONE;
}

enum param {
	PARAM_TARGET,
	PARAM_DEFAULT_TARGET,
	PARAM_USER,
	PARAM_NOTIFY,
	PARAM_AUTOSTART,
	PARAM_MAX
};

#define ALLOW (1U << RULE_ALLOW)
#define ASK   (1U << RULE_ASK)
#define DENY  (1U << RULE_DENY)

/* key, the actions that take it */
static const struct {
	const char *key;
	uint32_t actions;
} params[PARAM_MAX] = {
        [PARAM_TARGET] = {"target", ALLOW | ASK},
        [PARAM_DEFAULT_TARGET] = {"default_target", ASK},
        [PARAM_USER] = {"user", ALLOW | ASK},
        [PARAM_NOTIFY] = {"notify", ALLOW | ASK | DENY},
        [PARAM_AUTOSTART] = {"autostart", ALLOW | ASK},
};

/* No legal line has as many keys; behind that an unknown one is known to be there. */
#define KEYS_MAX 16

struct given {
	struct slice words[PARAM_MAX]; /* the whole word; p NULL: not given */
	struct slice values[PARAM_MAX];
	struct slice not_allowed; /* the first unknown key; p NULL: none */
	struct slice keys[KEYS_MAX];
	size_t n_keys;
};

/* One key=value into given; check 8. */
static enum fault_code take_param(struct slice word, struct given *given, struct line_fault *fault)
{
	const char *equals = memchr(word.p, '=', word.len);
	struct slice key;

	if (!equals)
		return fail(fault, CODE_PARAM_SYNTAX, word);
	key = (struct slice){word.p, (size_t)(equals - word.p)};
	for (size_t i = 0; i < given->n_keys; i++) {
		if (given->keys[i].len == key.len && memcmp(given->keys[i].p, key.p, key.len) == 0)
			return fail(fault, CODE_PARAM_DUPLICATE, word);
	}
	if (given->n_keys == KEYS_MAX)
		return fail(fault, CODE_PARAM_NOT_ALLOWED, word);
	given->keys[given->n_keys++] = key;
	for (size_t i = 0; i < PARAM_MAX; i++) {
		if (!slice_is(key, params[i].key))
			continue;
		given->words[i] = word;
		given->values[i] = (struct slice){equals + 1, word.len - key.len - 1};
		return CODE_NONE;
	}
	if (!given->not_allowed.p)
		given->not_allowed = word;
	return CODE_NONE;
}

static enum fault_code take_bool(const struct given *given, enum param param, bool *ret,
                                 bool *ret_given, struct line_fault *fault)
{
	struct slice value = given->values[param];

	*ret_given = given->words[param].p != NULL;
	if (!*ret_given)
		return CODE_NONE;
	if (!slice_is(value, "yes") && !slice_is(value, "no"))
		return fail(fault, CODE_PARAM_BOOL, given->words[param]);
	*ret = value.len == 3;
	return CODE_NONE;
}

static enum fault_code take_redirect(const struct given *given, enum param param,
                                     struct parsed_token *ret, struct line_fault *fault)
{
	enum fault_code code;

	if (!given->words[param].p)
		return CODE_NONE;
	code = parse_token(given->values[param], PLACE_REDIRECT, ret);
	return code == CODE_NONE ? code : fail(fault, code, given->words[param]);
}

/* Checks 8 to 12 on the words behind the action. */
static enum fault_code parse_params(struct slice rest, struct parsed_line *ret,
                                    struct line_fault *fault)
{
	struct given given = {0};
	struct slice word;

	while (text_word(&rest, &word)) {
		if (take_param(word, &given, fault))
			return fault->code;
	}
	ret->notify = ret->action == RULE_DENY;
	ret->autostart = true;
	if (take_bool(&given, PARAM_NOTIFY, &ret->notify, &ret->notify_given, fault) ||
	    take_bool(&given, PARAM_AUTOSTART, &ret->autostart, &ret->autostart_given, fault))
		return fault->code;
	if (given.not_allowed.p)
		return fail(fault, CODE_PARAM_NOT_ALLOWED, given.not_allowed);
	for (size_t i = 0; i < PARAM_MAX; i++) {
		if (given.words[i].p && !(params[i].actions & (1U << ret->action)))
			return fail(fault, CODE_PARAM_NOT_ALLOWED, given.words[i]);
	}
	if (take_redirect(&given, PARAM_TARGET, &ret->redirect, fault) ||
	    take_redirect(&given, PARAM_DEFAULT_TARGET, &ret->default_target, fault))
		return fault->code;
	ret->user = given.values[PARAM_USER];
	if (ret->target.kind == TOKEN_DEFAULT && ret->action == RULE_ALLOW && !ret->redirect.text.p)
		return fail(fault, CODE_DEFAULT_NEEDS_TARGET, ret->target.text);
	return CODE_NONE;
}

static enum fault_code parse_place(struct slice word, enum token_place place,
                                   struct parsed_token *ret, struct line_fault *fault)
{
	enum fault_code code = parse_token(word, place, ret);

	return code == CODE_NONE ? code : fail(fault, code, word);
}

/* Source, target, action, parameters: checks 6 on. Words are source, target, action. */
static enum fault_code parse_rest(const struct slice words[3], struct slice rest,
                                  struct parsed_line *ret, struct line_fault *fault)
{
	ret->kind = LINE_RULE;
	if (parse_place(words[0], PLACE_SOURCE, &ret->source, fault) ||
	    parse_place(words[1], PLACE_TARGET, &ret->target, fault))
		return fault->code;
	if (slice_is(words[2], "allow"))
		ret->action = RULE_ALLOW;
	else if (slice_is(words[2], "ask"))
		ret->action = RULE_ASK;
	else if (slice_is(words[2], "deny"))
		ret->action = RULE_DENY;
	else
		return fail(fault, CODE_ACTION, words[2]);
	return parse_params(rest, ret, fault);
}

/* word, what it does, words behind it */
static const struct {
	const char *text;
	enum line_kind kind;
	size_t n_words;
} directives[] = {
        {"!include", LINE_INCLUDE, 1},
        {"!include-dir", LINE_INCLUDE_DIR, 1},
        {"!include-service", LINE_INCLUDE_SERVICE, 3},
        {"!compat-4.0", LINE_COMPAT, 0},
};

static enum fault_code parse_directive(struct slice line, bool service_format,
                                       struct parsed_line *ret, struct line_fault *fault)
{
	struct slice rest = line;
	struct slice words[3] = {0};
	struct slice word;
	size_t n = 0;
	size_t i = 0;

	(void)text_word(&rest, &word);
	while (i < ARRAY_LEN(directives) && !slice_is(word, directives[i].text))
		i++;
	if (i == ARRAY_LEN(directives) || (service_format && directives[i].kind != LINE_INCLUDE))
		return fail(fault, CODE_DIRECTIVE, word);
	ret->kind = directives[i].kind;
	while (n <= directives[i].n_words && text_word(&rest, &word)) {
		if (n < ARRAY_LEN(words))
			words[n] = word;
		n++;
	}
	if (n != directives[i].n_words)
		return fail(fault, CODE_DIRECTIVE_PARAMS, n ? word : whole_line);
	if (ret->kind == LINE_INCLUDE_SERVICE) {
		ret->service = words[0];
		ret->argument = words[1];
		ret->path = words[2];
		return check_service(words[0], words[1], fault);
	}
	ret->path = words[0];
	return CODE_NONE;
}

enum fault_code parse_line(struct slice line, struct parsed_line *ret, struct line_fault *fault)
{
	struct slice words[5];

	*ret = (struct parsed_line){.kind = LINE_BLANK};
	*fault = (struct line_fault){CODE_NONE, whole_line};
	line = text_trim(line);
	if (line.len == 0 || line.p[0] == '#')
		return CODE_NONE;
	if (line.p[0] == '!')
		return parse_directive(line, false, ret, fault);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!text_word(&line, &words[i]))
			return fail(fault, CODE_FIELDS, whole_line);
	}
	if (check_service(words[0], words[1], fault))
		return fault->code;
	ret->service = words[0];
	ret->argument = words[1];
	return parse_rest(words + 2, line, ret, fault);
}

/* 6.1: spellings of the 4.0 format; each has the length of what it becomes. */
static void modernise(char *line, size_t len)
{
	static const char old[] = "$include:";
	static const char now[] = "!include ";

	for (size_t i = 0; i < len; i++) {
		if (len - i >= sizeof(old) - 1 && memcmp(line + i, old, sizeof(old) - 1) == 0)
			memcpy(line + i, now, sizeof(now) - 1);
		else if (line[i] == '$')
			line[i] = '@';
		else if (line[i] == ',')
			line[i] = ' ';
	}
}

enum fault_code parse_service_line(char *line, size_t len, struct slice service,
                                   struct slice argument, struct parsed_line *ret,
                                   struct line_fault *fault)
{
	struct slice trimmed = text_trim((struct slice){line, len});
	struct slice words[3];

	*ret = (struct parsed_line){.kind = LINE_BLANK};
	*fault = (struct line_fault){CODE_NONE, whole_line};
	if (trimmed.len == 0 || trimmed.p[0] == '#')
		return CODE_NONE;
	modernise(line + (trimmed.p - line), trimmed.len);
	if (trimmed.p[0] == '!')
		return parse_directive(trimmed, true, ret, fault);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!text_word(&trimmed, &words[i]))
			return fail(fault, CODE_FIELDS, whole_line);
	}
	ret->service = service;
	ret->argument = argument;
	return parse_rest(words, trimmed, ret, fault);
}
