/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QUBE_SERVICES_OUTPUT_FILE_H
#define QUBE_SERVICES_OUTPUT_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "lib/base/compat.h"

/* A file that is there as a whole or not at all: written beside its place, and moved there at the end. */
struct output_file {
	int fd; /* -1: none */
	char path[PATH_MAX];
	char temporary[PATH_MAX];
};

/** output_file_open() - 0, or -1 with errno */
int output_file_open(struct output_file *file, const char *path) MUST_CHECK;

/** output_file_keep() - into its place; @replace: an older file there too. 0, or -1 with errno (EEXIST) */
int output_file_keep(struct output_file *file, bool replace) MUST_CHECK;

/** output_file_drop() - what was not kept goes */
void output_file_drop(struct output_file *file);

#endif
