/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors with their cures, and words of a command line, for the subcommands that ask the Admin API. */
#include "tools/skerry_admin.h"

#include <string.h>

/* What to do about an exception; %s is the qube. */
static const struct {
	const char *error, *cure;
} cures[] = {
        {"QubesVMNotFoundError", "'skerry ls' lists the qubes"},
        {"QubesVMAlreadyExistsError", "choose another name"},
        {"QubesVMNotHaltedError", "stop it first: 'skerry stop %s'"},
        {"QubesVMNotStartedError", "start it first: 'skerry start %s'"},
        {"QubesVMNotRunningError",
         "start it, or let it run on: 'skerry start %s', 'skerry unpause %s'"},
        {"QubesVMNotPausedError", "'skerry ls %s' shows its state"},
        {"QubesVMShutdownTimeoutError", "end it at once: 'skerry kill %s'"},
        {"QubesVMInUseError", "change or stop those qubes first"},
        {"QubesMemoryError", "stop another qube, or lower the property 'memory' of %s"},
        {"QubesNoSuchPropertyError", "'skerry prefs %s' lists its properties"},
        {"QubesLabelNotFoundError",
         "red, orange, yellow, green, gray, blue, purple, black are labels"},
        {"QubesFeatureNotFoundError", "'skerry features %s' lists what is set"},
        {"QubesPoolInUseError", "'skerry volume' shows what uses it"},
        {"PermissionDenied", "'skerry policy why' tells which rule decides"},
};

/* The cure with the qube's name in it; names in cures stand in quotes of a shell, so only names go in. */
static const char *cure_text(const char *cure, const char *qube)
{
	struct text_list parts = {0};
	const char *at = cure, *next;

	while ((next = strstr(at, "%s"))) {
		text_list_add(&parts, arena_copy(at, (size_t)(next - at)));
		text_list_add(&parts, qube);
		at = next + 2;
	}
	text_list_add(&parts, at);
	return text_list_join(&parts, "");
}

int refuse(const char *command, const char *subject, const char *text, const char *cure)
{
	err_printf("skerry %s: %s%s%s%s%s\n", command, subject, *subject ? ": " : "", text,
	           cure ? "; " : "", cure ? cure : "");
	return SKERRY_REFUSED;
}

int refused(const char *command, const char *subject, const struct admin_reply *reply)
{
	const char *cure = NULL;

	for (size_t i = 0; i < ARRAY_LEN(cures); i++)
		if (strcmp(cures[i].error, reply->error) == 0)
			cure = cure_text(cures[i].cure, subject);
	return refuse(command, subject, reply->text, cure);
}

bool qubes_get(const char *command, struct qubes *ret)
{
	*ret = qubes_load();
	if (ret->reply.error)
		(void)refused(command, "", &ret->reply);
	return !ret->reply.error;
}

struct qube *qube_get(const char *command, const struct qubes *qubes, const char *name)
{
	struct qube *qube = qubes_find(qubes, name);

	if (!qube)
		(void)refuse(command, name, "no qube of this name", "'skerry ls' lists them");
	return qube;
}

/* Whether a word is this option; its value is taken. */
static bool option_take(const struct word_option *option, const char *word)
{
	size_t len = strlen(option->name);

	if (strncmp(word, option->name, len) != 0 || (word[len] && word[len] != '='))
		return false;
	if (word[len] == '=' && !option->value)
		return false;
	if (option->flag)
		*option->flag = true;
	if (option->value && word[len] == '=')
		*option->value = word + len + 1;
	return true;
}

int words_take(int argc, char **argv, const struct word_option *options)
{
	int left = 1;

	for (int i = 1; i < argc; i++) {
		const struct word_option *option = options;

		if (strcmp(argv[i], "--") == 0) {
			while (i < argc)
				argv[left++] = argv[i++];
			break;
		}
		if (argv[i][0] != '-') {
			argv[left++] = argv[i];
			continue;
		}
		while (option->name && !option_take(option, argv[i]))
			option++;
		if (!option->name) {
			err_printf("skerry %s: no option '%s'\n", argv[0], argv[i]);
			return -1;
		}
	}
	if (left < argc)
		argv[left] = NULL;
	return left;
}

const char *label_style(const struct skerry_options *options, const char *label)
{
	static const struct {
		const char *label, *escape;
	} styles[] = {
	        {"red", "\033[31m"},    {"orange", "\033[38;5;208m"}, {"yellow", "\033[33m"},
	        {"green", "\033[32m"},  {"gray", "\033[90m"},         {"blue", "\033[34m"},
	        {"purple", "\033[35m"}, {"black", "\033[1m"},         {"teal", "\033[36m"},
	};

	for (size_t i = 0; options->colour && i < ARRAY_LEN(styles); i++)
		if (strcmp(styles[i].label, label) == 0)
			return styles[i].escape;
	return "";
}
