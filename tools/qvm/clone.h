/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_CLONE_H
#define TOOLS_QVM_CLONE_H

#include "tools/qvm/qvm.h"

/* A copy of a qube: qvm-clone, and qvm-create --standalone from a template. */
struct clone {
	const struct args_program *program;
	const struct qube *from;
	const char *name;  /* of the new qube */
	const char *class; /* NULL: as the other */
	const char *pools; /* " pool=P" or " pool:VOLUME=P …"; "" */
	bool ignore_errors;
	bool quiet;
};

/** clone_make() - makes it; a failure takes away what was made and is returned */
struct admin_reply clone_make(const struct clone *clone);

/** clone_appmenus() - lets the desktop's menus know, where they are installed */
void clone_appmenus(const struct clone *clone);

/** pools_text() - what -P and -p of a command line say, for the payload of Create */
const char *pools_text(const struct args *args, int pool_row, int volume_row);

#endif
