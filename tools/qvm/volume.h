/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_QVM_VOLUME_H
#define TOOLS_QVM_VOLUME_H

#include "tools/qvm/qvm.h"

#define VOLUME_IMPORT_SIZE_OF_FILE (-1LL)
#define VOLUME_IMPORT_NO_RESIZE    (-2LL)

/**
 * volume_import() - the contents of a file into a volume
 * @size:  bytes, or one of VOLUME_IMPORT_…; of a pipe ("-" is standard input) it has to be given
 */
struct admin_reply volume_import(const char *qube, const char *volume, const char *file,
                                 long long size);

/** volume_import_fd() - the same of what a descriptor gives; @size: bytes, or VOLUME_IMPORT_NO_RESIZE */
struct admin_reply volume_import_fd(const char *qube, const char *volume, int fd, long long size);

/** size_parse() - "10GiB", "5G", "4096"; -1: another form, or too large */
long long size_parse(const char *text);

/** volume_list() - qvm-volume list */
int volume_list(const struct args_program *program, const struct qubes *qubes,
                const struct qube_list *only, const char *pool);

#endif
