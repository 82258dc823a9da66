/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qvm - the qvm-* commands and qubes-prefs, one program: which of them is its own name, or its first word
 *
 * `qvm --list` names them, for whoever makes the links.
 */
#include "tools/qvm/qvm.h"

#include <stdlib.h>
#include <string.h>
#include "tools/need_root.h"

static const struct command commands[] = {
        {"qubes-prefs", "show and set properties of the system", qubes_prefs_run},
        {"qvm-block", "list, attach and assign block devices", qvm_block_run},
        {"qvm-check", "tell whether qubes exist, run, are templates …", qvm_check_run},
        {"qvm-clone", "make a copy of a qube", qvm_clone_run},
        {"qvm-create", "make a qube", qvm_create_run},
        {"qvm-device", "list, attach and assign devices", qvm_device_run},
        {"qvm-features", "show and set features of a qube", qvm_features_run},
        {"qvm-firewall", "show and change the firewall rules of a qube", qvm_firewall_run},
        {"qvm-kill", "end a qube at once", qvm_kill_run},
        {"qvm-ls", "list qubes", qvm_ls_run},
        {"qvm-notes", "show and change the notes of a qube", qvm_notes_run},
        {"qvm-pause", "pause qubes", qvm_pause_run},
        {"qvm-pci", "list and assign PCI devices", qvm_pci_run},
        {"qvm-pool", "list, make and remove storage pools", qvm_pool_run},
        {"qvm-prefs", "show and set properties of a qube", qvm_prefs_run},
        {"qvm-remove", "remove qubes", qvm_remove_run},
        {"qvm-run", "run a command in a qube", qvm_run_run},
        {"qvm-service", "switch services of a qube", qvm_service_run},
        {"qvm-shutdown", "shut qubes down", qvm_shutdown_run},
        {"qvm-start", "start qubes", qvm_start_run},
        {"qvm-tags", "show and change the tags of a qube", qvm_tags_run},
        {"qvm-unpause", "resume paused qubes", qvm_unpause_run},
        {"qvm-usb", "list, attach and assign USB devices", qvm_usb_run},
        {"qvm-volume", "show and change the volumes of qubes", qvm_volume_run},
};

/* By its whole name, or without "qvm-" as the first word of qvm. */
static const struct command *command_find(const char *name, const char *prefix)
{
	const char *whole = arena_printf("%s%s", prefix, name);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, whole) == 0)
			return &commands[i];
	return NULL;
}

static NORETURN void help(int status)
{
	struct table table = table_new(2, NULL);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const char **cells = table_row(&table);

		cells[0] = arena_printf("  %s", commands[i].name);
		cells[1] = commands[i].summary;
	}
	if (status == 0) {
		out_text("usage: qvm COMMAND [ARGUMENT ...]\n\n");
		table_print(&table);
		out_text("\n'qvm ls' is 'qvm-ls'; each has --help and a manual page.\n");
	} else {
		err_printf("usage: qvm COMMAND [ARGUMENT ...]; 'qvm --help' lists the commands\n");
	}
	out_end(status);
}

static NORETURN void list(void)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		out_printf("%s\n", commands[i].name);
	out_end(0);
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "qvm";
	const struct command *command = command_find(name, "");

	need_root(name);
	if (!command) {
		if (argc < 2)
			help(2);
		if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
			help(0);
		if (strcmp(argv[1], "--list") == 0)
			list();
		command = command_find(argv[1], "");
		if (!command)
			command = command_find(argv[1], "qvm-");
		if (!command) {
			err_printf("qvm: no command '%s'\n", argv[1]);
			help(2);
		}
		argv++;
		argc--;
	}
	out_end(command->run(argc - 1, (const char *const *)argv + 1));
}
