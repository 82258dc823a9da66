/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qvm-notes: free text about a qube, edited in the user's editor where no option says otherwise. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/qvm/qvm.h"
#include "tools/qvm/child.h"

#define NOTES_MAX 256000 /* protocol: bytes */

enum { FORCE = ARG_OWN, EDIT, PRINT, IMPORT, SET, APPEND, DELETE, VMNAME };

static const struct arg table[] = {
        ARGS_COMMON,
        [FORCE] = {ARG_FLAG, {"--force", "-f"}, .help = "do not ask"},
        [EDIT] = {ARG_FLAG,
                  {"--edit", "-e"},
                  .group = 1,
                  .help = "edit the notes in $EDITOR; the default"},
        [PRINT] = {ARG_FLAG, {"--print", "-p"}, .group = 1, .help = "print the notes"},
        [IMPORT] = {ARG_VALUE,
                    {"--import", "-i"},
                    .metavar = "FILENAME",
                    .group = 1,
                    .help = "take the notes from a file"},
        [SET] = {ARG_VALUE,
                 {"--set", "-s"},
                 .metavar = "NOTES",
                 .group = 1,
                 .help = "replace the notes by this text"},
        [APPEND] =
                {ARG_VALUE, {"--append"}, .metavar = "NOTES", .group = 1, .help = "add this text"},
        [DELETE] = {ARG_FLAG, {"--delete", "-d"}, .group = 1, .help = "remove the notes"},
        [VMNAME] = ARG_ROW_VMNAME(ARG_ONE),
        {ARG_END},
};

static const struct args_program program = {"qvm-notes", "Show and change the notes of a qube.",
                                            NULL, table};

static const char *file_read(const char *path)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data, *copy;
	size_t len;

	if (fd < 0 || fd_read_to_end(fd, 4096, NOTES_MAX, &data, &len)) {
		fail(&program, "%s: %s", path,
		     errno == EFBIG ? "more than 256000 bytes" : strerror(errno));
		return NULL;
	}
	copy = arena_copy(data, len);
	free(data);
	if (strlen(copy) != len)
		fail(&program, "%s: is no text", path);
	return copy;
}

static const char *edit(const char *notes)
{
	const char *editor = getenv("VISUAL") ? getenv("VISUAL") : getenv("EDITOR");
	const char *folder = getenv("TMPDIR");
	char *path = arena_printf("%s/qvm-notes-XXXXXX", folder ? folder : "/tmp");
	const char *argv[] = {editor ? editor : "sensible-editor", path, NULL};
	OWNED_FD int fd = mkostemp(path, O_CLOEXEC);
	const char *edited = NULL;
	int status;

	if (fd < 0)
		fail(&program, "%s: %m", path);
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the caller has read them */
	status = fd_write_all(fd, notes, strlen(notes)) ? -1 : child_run(argv);
	if (status == 0)
		edited = file_read(path);
	(void)unlink(path);
	if (status != 0)
		fail(&program, "%s: %s", argv[0],
		     status < 0 ? strerror(errno)
		                : "ended with an error; the notes stay as they were");
	return edited;
}

static bool may_change(const struct args *args)
{
	if (args_has(args, FORCE))
		return true;
	err_printf("This replaces the notes of the qube.\n");
	return confirm();
}

int qvm_notes_run(int argc, const char *const *argv)
{
	const struct args *args = args_parse(&program, argc, argv);
	const char *text = NULL, *before = NULL;
	struct qubes qubes = qubes_or_fail(&program);
	const char *qube = qube_named(args, &qubes, VMNAME)->name;
	bool editing = !(args_has(args, IMPORT) || args_has(args, SET) || args_has(args, DELETE) ||
	                 args_has(args, APPEND) || args_has(args, PRINT));

	if (args_has(args, IMPORT))
		text = file_read(args_value(args, IMPORT));
	else if (args_has(args, SET))
		text = args_value(args, SET);
	else if (args_has(args, DELETE))
		text = "";
	else
		before = call_or_fail(&program, "admin.vm.notes.Get", NULL, qube, NULL).content;
	if (args_has(args, PRINT)) {
		out_printf("%s\n", before);
		return 0;
	}
	if (args_has(args, APPEND))
		text = arena_printf("%s%s", before, args_value(args, APPEND));
	else if (editing)
		text = edit(before);
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): both are texts while a note is edited */
	if (editing && strcmp(text, before) == 0)
		return 0;
	if (!editing && !args_has(args, APPEND) && !may_change(args))
		return 1;
	(void)call_or_fail(&program, "admin.vm.notes.Set", NULL, qube, text);
	return 0;
}
