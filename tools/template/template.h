/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_TEMPLATE_TEMPLATE_H
#define TOOLS_TEMPLATE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/services/rpm.h"
#include "proto/services/template.h"
#include "services/dom0/package.h"
#include "services/dom0/repos.h"
#include "tools/qvm/qvm.h"

/*
 * The parts of qvm-template. All that it does in the system are requests of the Admin API and calls of
 * services, so it works in dom0 and in any qube that the policy lets do that. Memory is the arena's.
 */

#define TEMPLATE_REPOS      "/etc/qubes/repo-templates"
#define TEMPLATE_UNFINISHED "template-unfinished" /* feature: the version that is being installed */

struct template_options {
	struct text_list words; /* --enablerepo=…, as they go to the update qube */
	const char *updatevm;   /* NULL: the property's; "": here */
	const char *cache;      /* folder; exists */
	const char *keyring;    /* folder of keys; NULL: where gpgkey of the repositories says */
	bool yes, quiet, keep_cache, verbose;
	struct repos *repos;
};

struct evr {
	const char *epoch, *version, *release;
};

/** evr_compare() - by RPM's rules; an epoch of no text is 0 */
int evr_compare(const struct evr *a, const struct evr *b);

/** evr_text() - "EPOCH:VERSION-RELEASE" */
const char *evr_text(const struct evr *evr);

/** spec_matches() - NAME, NAME-VERSION, NAME-VERSION-RELEASE, each with an epoch before the version or none,
 *  by shell patterns */
bool spec_matches(const char *spec, const char *name, const struct evr *evr);

/** spec_legal() - what may be sent to the update qube: letters, digits and "._+:~*?[]!^-" */
bool spec_legal(const char *spec);

/* What the repositories have. */
struct available {
	struct template_record *items;
	size_t n;
};

struct evr record_evr(const struct template_record *record);

/**
 * template_call() - starts qubes.TemplateSearch or qubes.TemplateDownload in the update qube
 * @spec:     checked by the caller
 * @ret_pid:  to be waited for
 * Errors: the descriptor from which the answer is read (given); -1 after a log line.
 */
int template_call(const char *service, const struct template_options *options, const char *spec,
                  pid_t *ret_pid) MUST_CHECK;

/** available_ask() - all that match; of an answer that is wrong somewhere nothing is taken: -1, and it was said */
int available_ask(const struct template_options *options, const char *spec, struct available *ret)
        MUST_CHECK;

/* What is installed: templates with the feature template-name. */
struct installed {
	const char *name; /* of the qube */
	const char *from; /* template-name: the package's, mostly the same */
	struct evr evr;
	const char *reponame, *buildtime, *installtime, *license, *url, *summary, *description;
	bool unfinished; /* an installation over it was cut off */
};

struct installed_list {
	struct installed *items;
	size_t n;
};

/** installed_load() - by name; where the list of qubes is refused, the command ends */
struct installed_list installed_load(const struct qubes *qubes);
const struct installed *installed_find(const struct installed_list *list, const char *name);

/* Packages. */
struct fetched {
	int fd; /* of a file without a name; the checked package */
	const struct rpm_package *package;
	const char *reponame;
	const char *spec; /* for messages */
};

/** fetch_file() - a package in a file of ours, by any key of the keyring; 0, or -1 after a message */
int fetch_file(const struct template_options *options, const char *path, bool unsigned_too,
               struct fetched *ret) MUST_CHECK;

/** fetch_record() - the package of a record, from the cache or by the update qube, by its repository's key */
int fetch_record(const struct template_options *options, const struct template_record *record,
                 bool unsigned_too, unsigned int retries, struct fetched *ret) MUST_CHECK;

/** fetch_keep() - gives it the name that such packages have, in a folder; its path, or NULL after a message */
const char *fetch_keep(const struct fetched *fetched, const char *folder);

/* How far it is, on a terminal: the size of a file that somebody else writes. */
void progress_begin(const char *what, int fd, uint64_t size);
void progress_end(bool done);

/* Commands; the exit status. */
int template_install(const struct template_options *options, const char *command, int argc,
                     const char *const *argv);
int template_download(const struct template_options *options, int argc, const char *const *argv);
int template_list(const struct template_options *options, const char *command, int argc,
                  const char *const *argv);
int template_search(const struct template_options *options, int argc, const char *const *argv);
int template_remove(const struct template_options *options, const char *command, int argc,
                    const char *const *argv);
int template_clean(const struct template_options *options, int argc, const char *const *argv);
int template_repolist(const struct template_options *options, int argc, const char *const *argv);
int template_migrate(const struct template_options *options, int argc, const char *const *argv);

/**
 * cache_lock() - one qvm-template at a time changes templates; ends the command if another does
 *
 * An installation that was cut off before it ended is taken away.
 */
void cache_lock(const struct template_options *options);

/** unfinished_begin(), unfinished_end() - from here to there a kill leaves something to be taken away */
int unfinished_begin(const struct template_options *options, const char *qube) MUST_CHECK;
void unfinished_end(const struct template_options *options);

extern const struct args_program template_program;

#endif
