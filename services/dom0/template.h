/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_DOM0_TEMPLATE_H
#define SERVICES_DOM0_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "services/dom0/repos.h"

/* The parts of qvm-template: what it asks the update qube, and what it takes of the answers. */

#define TEMPLATE_REPOS "/etc/qubes/repo-templates"

struct template_options {
	const char *words[32]; /* --enablerepo=…, as they go to the update qube */
	size_t n_words;
	const char *folder; /* where a package is put; "." */
	bool json;
};

/**
 * template_call() - starts qubes.TemplateSearch or qubes.TemplateDownload in the update qube
 * @spec:     checked by the caller
 * @ret_pid:  to be waited for
 * Errors: the descriptor from which the answer is read (given); -1 after a log line.
 */
int template_call(const char *service, const struct template_options *options,
                  const struct repos *repos, const char *spec, pid_t *ret_pid) MUST_CHECK;

/** template_spec_legal() - letters, digits and "._+:~*?^-" */
bool template_spec_legal(const char *spec);

/** template_list() - qvm-template list, search, info; the exit status */
int template_list(const struct template_options *options, const struct repos *repos,
                  const char *command, char *const *words) MUST_CHECK;

/** template_download() - qvm-template download; the exit status */
int template_download(const struct template_options *options, const struct repos *repos,
                      const char *spec) MUST_CHECK;

#endif
