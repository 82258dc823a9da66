/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "lib/base/check.h"
#include "services/policy/parse.h"
#include "services/policy/policy.h"

/*
 * Faults in words. Each says what is wrong and what to write instead, for a broken policy refuses
 * every call and somebody has to mend it at once.
 */

/* code, its name, what is wrong and the cure; %s: the words at fault */
static const struct {
	const char *name;
	const char *text;
} codes[CODE_MAX] = {
        [CODE_NONE] = {"none", "nothing is wrong"},
        [CODE_FIELDS] = {"fields",
                         "too few words; a rule is: SERVICE ARGUMENT SOURCE TARGET ACTION "
                         "(in an !include-service file: SOURCE TARGET ACTION)"},
        [CODE_SERVICE_CHARS] = {"service_chars",
                                "service '%s': only A-Z a-z 0-9 - . _ are possible; "
                                "the +ARGUMENT is a word of its own"},
        [CODE_ARGUMENT_CHARS] = {"argument_chars",
                                 "argument '%s': only A-Z a-z 0-9 - . _ + are possible, or *"},
        [CODE_ARGUMENT_PLUS] = {"argument_plus",
                                "argument '%s' must begin with +, or be * for any argument"},
        [CODE_ARGUMENT_STAR] = {"argument_star",
                                "argument '%s': service * is only possible with argument *"},
        [CODE_TOKEN] = {"token",
                        "'%s' is not possible here; the words with @ are @anyvm @adminvm "
                        "@default @dispvm @dispvm:NAME @dispvm:@tag:TAG @tag:TAG @type:TYPE, "
                        "each only where it has a meaning"},
        [CODE_TOKEN_EMPTY] = {"token_empty", "'%s': something must follow"},
        [CODE_ACTION] = {"action", "'%s' is not an action; write allow, ask or deny"},
        [CODE_PARAM_SYNTAX] = {"param_syntax",
                               "'%s' is not KEY=VALUE; a comment needs a line of its own"},
        [CODE_PARAM_DUPLICATE] = {"param_duplicate",
                                  "'%s': this parameter is given twice; remove one"},
        [CODE_PARAM_BOOL] = {"param_bool", "'%s': write yes or no"},
        [CODE_PARAM_NOT_ALLOWED] =
                {"param_not_allowed",
                 "'%s': this action has no such parameter (target, user, autostart: "
                 "allow and ask; default_target: ask; notify: all)"},
        [CODE_DEFAULT_NEEDS_TARGET] =
                {"default_needs_target",
                 "'%s' with allow needs target=QUBE, for nobody said which qube"},
        [CODE_DIRECTIVE] = {"directive",
                            "'%s' is no directive here; there are !include, !include-dir, "
                            "!include-service, !compat-4.0 (service files: !include only)"},
        [CODE_DIRECTIVE_PARAMS] =
                {"directive_params",
                 "wrong number of words behind the directive; write !include PATH, "
                 "!include-dir PATH, !include-service SERVICE ARGUMENT "
                 "PATH or !compat-4.0; a comment needs a line of its own"},
        [CODE_INCLUDE_NOT_FILE] = {"include_not_file",
                                   "'%s' is not a file that can be included; a "
                                   "relative path starts at the policy directory"},
        [CODE_INCLUDE_NOT_DIR] = {"include_not_dir",
                                  "'%s' is not a directory; a relative path starts "
                                  "at the policy directory"},
};

static const char *const kinds[] = {
        [FAULT_NONE] = "none",   [FAULT_SYNTAX] = "syntax",     [FAULT_FILENAME] = "filename",
        [FAULT_IO] = "io",       [FAULT_ENCODING] = "encoding", [FAULT_RECURSION] = "recursion",
        [FAULT_LIMIT] = "limit", [FAULT_MEMORY] = "memory",
};

const char *fault_kind_name(enum fault_kind kind)
{
	CHECK((size_t)kind < ARRAY_LEN(kinds));
	return kinds[kind];
}

const char *fault_code_name(enum fault_code code)
{
	CHECK((size_t)code < ARRAY_LEN(codes));
	return codes[code].name;
}

void fault_explain(const struct line_fault *fault, char *out, size_t max)
{
	const char *text = codes[fault->code].text;
	const char *gap = strstr(text, "%s");
	/* Long enough for any sensible word; the position says where the rest is. Whole characters. */
	int len = (int)MIN(fault->where.len, 40U);

	while (len > 0 && (size_t)len < fault->where.len &&
	       ((uint8_t)fault->where.p[len] & 0xc0) == 0x80)
		len--;

	if (gap)
		(void)snprintf(out, max, "%.*s%.*s%s", (int)(gap - text), text, len,
		               fault->where.p ? fault->where.p : "", gap + 2);
	else
		(void)snprintf(out, max, "%s", text);
}

size_t policy_fault_format(const struct policy_fault *fault, char *out, size_t max)
{
	int n;

	if (fault->line && fault->column)
		n = snprintf(out, max, "%s:%u:%u: %s", fault->file, fault->line, fault->column,
		             fault->text);
	else if (fault->line)
		n = snprintf(out, max, "%s:%u: %s", fault->file, fault->line, fault->text);
	else if (fault->file[0])
		n = snprintf(out, max, "%s: %s", fault->file, fault->text);
	else
		n = snprintf(out, max, "%s", fault->text);
	return n < 0 ? 0 : (size_t)n;
}
