/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "services/policy/parse.h"
#include "tools/policy.h"

/* Each line of a file alone; includes are not followed. */

static void fill_fault(struct policy_fault *fault, const char *path, uint32_t number,
                       struct slice line, const struct line_fault *what)
{
	*fault = (struct policy_fault){.kind = FAULT_SYNTAX, .code = what->code, .line = number};
	(void)snprintf(fault->file, sizeof(fault->file), "%s", path);
	if (what->where.p) {
		fault->column = text_columns(line.p, (size_t)(what->where.p - line.p)) + 1;
		fault->length = MAX(text_columns(what->where.p, what->where.len), 1U);
	}
	fault_explain(what, fault->text, sizeof(fault->text));
}

static int lint_text(char *data, size_t len, const char *path, bool service, lint_fn *report,
                     void *ctx)
{
	struct text_lines lines = {.p = data, .end = data + len};
	struct slice any = {"*", 1};
	struct slice line;
	int n = 0;

	while (text_line(&lines, &line)) {
		struct parsed_line parsed;
		struct line_fault what;
		struct policy_fault fault;

		if (service)
			(void)parse_service_line(data + (line.p - data), line.len, any, any,
			                         &parsed, &what);
		else
			(void)parse_line(line, &parsed, &what);
		if (what.code == CODE_NONE)
			continue;
		fill_fault(&fault, path, lines.line, line, &what);
		report(ctx, &fault, line.p, line.len);
		n++;
	}
	return n;
}

int lint_file(const char *path, bool service, lint_fn *report, void *ctx)
{
	OWNED_FD int fd =
	        strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct policy_fault fault = {.kind = FAULT_ENCODING};
	char *data;
	size_t len;
	int n = 1;

	if (fd < 0 || fd_read_to_end(fd, 4096, POLICY_FILE_MAX, &data, &len))
		return -1;
	if (text_utf8(data, len)) {
		n = lint_text(data, len, path, service, report, ctx);
	} else {
		(void)snprintf(fault.file, sizeof(fault.file), "%s", path);
		(void)snprintf(fault.text, sizeof(fault.text),
		               "this file is not UTF-8; save it in that encoding");
		report(ctx, &fault, "", 0);
	}
	free(data);
	return n;
}
