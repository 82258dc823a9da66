/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_POLICY_POLICY_H
#define SERVICES_POLICY_POLICY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * The policy language: directories of text to one immutable, indexed object, or one fault.
 *
 * The text is trusted (it is dom0's), yet a load never runs away: the bounds below are far above
 * any real policy, and reaching one is a fault like any other. Decisions are in decide.h, facts
 * about qubes in system.h. Source: doc/protocol/policy.md, 2 to 6.
 */

#define POLICY_FILE_MAX (16U << 20) /* bytes of one file; chosen */
#define POLICY_TOTAL_MAX                                                                           \
	(256U << 20) /* bytes read in one load, includes counted each time; chosen */
#define POLICY_RULES_MAX    1000000U /* rules; chosen */
#define POLICY_INCLUDES_MAX 100000U  /* files parsed in one load; chosen */
#define POLICY_DEPTH_MAX    256U     /* nested includes; the reference asks for 100 or more */
#define POLICY_DIRS_MAX     8U       /* policy directories; chosen */
#define POLICY_RUN_DIR      "/run/qubes/policy.d"
#define POLICY_ETC_DIR      "/etc/qubes/policy.d"
#define POLICY_LEGACY_DIR   "/etc/qubes-rpc/policy"

/* Words that stand for a group of qubes, or one. */
enum token_kind {
	TOKEN_NAME,        /* a qube's name, or uuid:UUID */
	TOKEN_ANY,         /* * */
	TOKEN_ANYVM,       /* @anyvm */
	TOKEN_ADMINVM,     /* @adminvm */
	TOKEN_DEFAULT,     /* @default */
	TOKEN_DISPVM,      /* @dispvm */
	TOKEN_TYPE,        /* @type:T */
	TOKEN_TAG,         /* @tag:G */
	TOKEN_DISPVM_NAME, /* @dispvm:NAME, @dispvm:uuid:UUID */
	TOKEN_DISPVM_TAG,  /* @dispvm:@tag:G */
};

/* Where a word stands; decides which tokens are legal there. */
enum token_place { PLACE_SOURCE, PLACE_TARGET, PLACE_REDIRECT, PLACE_REQUEST };

/*
 * One distinct word of the policy. text may hold any byte but white space, NUL included: compare by
 * length. Three spellings of dom0 have one key, that of TOKEN_ADMINVM: what rules are indexed by.
 */
struct token {
	const char *text; /* as written, NUL after it */
	uint32_t len;     /* bytes of text */
	uint32_t rest;    /* offset in text behind the prefix ("@tag:"); 0 for a name */
	uint32_t key;     /* id of the token that matches the same; mostly its own */
	enum token_kind kind;
};

enum rule_action { RULE_DENY, RULE_ALLOW, RULE_ASK };

#define NO_ID UINT32_MAX /* no symbol, token, qube */

struct rule {
	uint32_t file;           /* index for policy_file_name() */
	uint32_t line;           /* from 1; 0: written by !compat-4.0 itself */
	uint32_t service;        /* symbol; NO_ID: * */
	uint32_t argument;       /* symbol, with its +; NO_ID: * */
	uint32_t source;         /* token */
	uint32_t target;         /* token */
	uint32_t redirect;       /* token of target=; NO_ID: none */
	uint32_t default_target; /* token of default_target=; NO_ID: none */
	const char *user;        /* NULL: none or empty */
	uint32_t user_len;       /* bytes; may hold any but white space */
	uint8_t action;          /* enum rule_action */
	bool notify;
	bool autostart;
	bool autostart_given; /* written, for printing rules */
	bool notify_given;
};

struct policy;

/** policy_ref() / policy_unref() - counted; one thread. unref(NULL) is fine and returns NULL. */
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy);

/* What it holds; all borrowed from the policy. Indices beyond the count abort. */
uint32_t policy_n_rules(const struct policy *policy);
const struct rule *policy_rule(const struct policy *policy, uint32_t index);
uint32_t policy_rule_index(const struct policy *policy, const struct rule *rule);
const struct token *policy_token(const struct policy *policy, uint32_t id);
const char *policy_symbol(const struct policy *policy, uint32_t id); /* "*" for NO_ID */
const char *policy_file_name(const struct policy *policy, uint32_t file);

/** policy_format_rule() - a rule as one line of the language; bytes as of snprintf */
size_t policy_format_rule(const struct policy *policy, const struct rule *rule, char *out,
                          size_t max);

/* Faults. The codes are those of doc/protocol/policy.md, 3.2 and 4. */
enum fault_kind {
	FAULT_NONE,
	FAULT_SYNTAX,   /* a line: code, line, column, length are set; the others may have a line */
	FAULT_FILENAME, /* a file's name: refuse and notify */
	FAULT_IO,       /* something cannot be read: refuse and notify */
	FAULT_ENCODING, /* not UTF-8: no answer */
	FAULT_RECURSION, /* include cycle: no answer */
	FAULT_LIMIT,     /* a bound above was reached: no answer */
	FAULT_MEMORY,
};

enum fault_code {
	CODE_NONE,
	CODE_FIELDS,
	CODE_SERVICE_CHARS,
	CODE_ARGUMENT_CHARS,
	CODE_ARGUMENT_PLUS,
	CODE_ARGUMENT_STAR,
	CODE_TOKEN,
	CODE_TOKEN_EMPTY,
	CODE_ACTION,
	CODE_PARAM_SYNTAX,
	CODE_PARAM_DUPLICATE,
	CODE_PARAM_BOOL,
	CODE_PARAM_NOT_ALLOWED,
	CODE_DEFAULT_NEEDS_TARGET,
	CODE_DIRECTIVE,
	CODE_DIRECTIVE_PARAMS,
	CODE_INCLUDE_NOT_FILE,
	CODE_INCLUDE_NOT_DIR,
	CODE_MAX
};

struct policy_fault {
	enum fault_kind kind;
	enum fault_code code;
	uint32_t line;   /* from 1; 0: the file as a whole */
	uint32_t column; /* from 1, in characters; 0: the line as a whole */
	uint32_t length; /* characters from column on; at least 1 if column is set */
	int error;       /* errno of FAULT_IO */
	char file[PATH_MAX];
	char text[256]; /* what is wrong and what to write instead, without the position */
};

const char *fault_kind_name(enum fault_kind kind); /* "syntax", "io", ... */
const char *fault_code_name(enum fault_code code); /* "token_empty", ... */

/** policy_fault_format() - "FILE:LINE:COLUMN: text" for a log; bytes as of snprintf */
size_t policy_fault_format(const struct policy_fault *fault, char *out, size_t max);

/*
 * What a load looked at: every file and directory, included ones too, with what stat said when it
 * was opened. Filled in as far as a failed load came.
 */
struct policy_input {
	char *path;
	bool missing; /* could not be reached; the rest is zero */
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

struct policy_inputs {
	struct policy_input *list;
	size_t n;
	size_t room; /* private */
};

void policy_inputs_fini(struct policy_inputs *inputs);

/** policy_inputs_changed() - whether any of them is no longer what it was; one stat() each */
bool policy_inputs_changed(const struct policy_inputs *inputs);

/* What a directory holds at a name. */
enum file_kind { FILE_MISSING, FILE_REGULAR, FILE_DIRECTORY, FILE_OTHER };

/*
 * Where text comes from. All paths are absolute. Functions return 0, or -1 with errno; memory they
 * give is freed with free(). policy_files_disk() is the real one; policy_files_memory() serves
 * tests and fuzzing.
 */
struct policy_files {
	void *ctx;
	/** the path without symbolic links (given), and what is there, links followed */
	int (*resolve)(void *ctx, const char *path, char **ret_real, enum file_kind *ret_kind);
	/** the names in a directory, "." and ".." left out: NUL-terminated, one after the other,
	 *  ended by an empty one (given); any order */
	int (*list)(void *ctx, const char *dir, char **ret_names);
	/** the bytes of a regular file (given); EFBIG above POLICY_FILE_MAX */
	int (*read)(void *ctx, const char *path, char **ret_data, size_t *ret_len);
};

/*
 * The disk, with one file replaced in mind: for checking a change before it is made.
 * overlay_path NULL: none. overlay_data NULL: as if the file were not there.
 */
struct policy_disk {
	const char *overlay_path; /* borrowed; resolved */
	const char *overlay_data; /* borrowed */
	size_t overlay_len;
	struct policy_inputs *inputs; /* borrowed, added to; may be NULL */
};
struct policy_files policy_files_disk(struct policy_disk *disk);

/* A tree in memory: files by absolute path; a directory is what a file's path implies. */
struct policy_memory_file {
	const char *path;
	const char *data;
	size_t len;
};
struct policy_memory {
	const struct policy_memory_file *list; /* borrowed */
	size_t n;
};
struct policy_files policy_files_memory(struct policy_memory *memory);

struct policy_place {
	const char *const *dirs; /* absolute; the first hides files of later ones: run, etc */
	size_t n_dirs;           /* at most POLICY_DIRS_MAX */
	const char *legacy_dir;  /* for !compat-4.0 */
};

/**
 * policy_load() - everything in the directories as one policy
 * @place:  borrowed
 * @files:  borrowed; policy_files_disk() or another source
 * @fault:  written on failure
 *
 * Reports the first fault in load order.
 * Errors: the policy (given, one reference), or NULL with *fault.
 * Test:   tests/vectors/policy_vectors.c; tests/unit/services/policy; fuzz/policy_text.c
 */
struct policy *policy_load(const struct policy_place *place, const struct policy_files *files,
                           struct policy_fault *fault) MUST_CHECK;

/**
 * policy_load_report() - every fault, each by a call of report; for tools, not for deciding
 *
 * A line or file with a fault is left out and the load goes on. A file that is included several
 * times reports its faults each time.
 * Errors: the policy (given) of what is without fault, also if that is nothing; NULL with *fault
 *         where the load could not go on (FAULT_LIMIT, FAULT_MEMORY), which is not reported.
 */
typedef void policy_fault_fn(void *ctx, const struct policy_fault *fault);
struct policy *policy_load_report(const struct policy_place *place,
                                  const struct policy_files *files, policy_fault_fn *report,
                                  void *ctx, struct policy_fault *fault) MUST_CHECK;

/** policy_load_disk() - policy_load() from disk; *inputs is started here, also filled on failure */
struct policy *policy_load_disk(const struct policy_place *place, struct policy_inputs *inputs,
                                struct policy_fault *fault) MUST_CHECK;

#endif
