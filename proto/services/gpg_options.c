/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/gpg_options.h"

#include <string.h>

#include "lib/base/compat.h"

/* name, whether a value follows, what it means here; in the order of their bytes. */
static const struct gpg_option options[] = {
        {"always-trust", false, GPG_OPTION_PLAIN},
        {"armor", false, GPG_OPTION_PLAIN},
        {"attribute-fd", true, GPG_OPTION_ATTRIBUTE_FD},
        {"batch", false, GPG_OPTION_PLAIN},
        {"cert-notation", true, GPG_OPTION_PLAIN},
        {"clear-sign", false, GPG_OPTION_COMMAND},
        {"clearsign", false, GPG_OPTION_COMMAND},
        {"comment", true, GPG_OPTION_PLAIN},
        {"compress-algo", true, GPG_OPTION_PLAIN},
        {"decrypt", false, GPG_OPTION_COMMAND},
        {"default-key", true, GPG_OPTION_PLAIN},
        {"default-recipient-self", false, GPG_OPTION_PLAIN},
        {"detach-sign", false, GPG_OPTION_COMMAND},
        {"digest-algo", true, GPG_OPTION_PLAIN},
        {"dry-run", false, GPG_OPTION_PLAIN},
        {"emit-version", false, GPG_OPTION_PLAIN},
        {"enable-progress-filter", false, GPG_OPTION_PLAIN},
        {"encrypt", false, GPG_OPTION_COMMAND},
        {"encrypt-to", true, GPG_OPTION_PLAIN},
        {"exit-on-status-write-error", false, GPG_OPTION_PLAIN},
        {"export", false, GPG_OPTION_USER_IDS},
        {"export-options", true, GPG_OPTION_EXPORT_LIST},
        {"export-ownertrust", false, GPG_OPTION_COMMAND},
        {"export-ssh-key", false, GPG_OPTION_USER_IDS},
        {"fingerprint", false, GPG_OPTION_USER_IDS},
        {"fixed-list-mode", false, GPG_OPTION_PLAIN},
        {"gnupg", false, GPG_OPTION_PLAIN},
        {"hidden-encrypt-to", true, GPG_OPTION_PLAIN},
        {"hidden-recipient", true, GPG_OPTION_PLAIN},
        {"keyid-format", true, GPG_OPTION_PLAIN},
        {"list-config", false, GPG_OPTION_COMMAND},
        {"list-key", false, GPG_OPTION_USER_IDS},
        {"list-keys", false, GPG_OPTION_USER_IDS},
        {"list-only", false, GPG_OPTION_PLAIN},
        {"list-options", true, GPG_OPTION_LIST},
        {"list-public-keys", false, GPG_OPTION_USER_IDS},
        {"list-secret-keys", false, GPG_OPTION_USER_IDS},
        {"list-sig", false, GPG_OPTION_USER_IDS},
        {"list-sigs", false, GPG_OPTION_USER_IDS},
        {"local-user", true, GPG_OPTION_PLAIN},
        {"logger-fd", true, GPG_OPTION_LOGGER_FD},
        {"max-output", true, GPG_OPTION_PLAIN},
        {"no-armor", false, GPG_OPTION_PLAIN},
        {"no-auto-check-trustdb", false, GPG_OPTION_PLAIN},
        {"no-comments", false, GPG_OPTION_PLAIN},
        {"no-default-recipient", false, GPG_OPTION_PLAIN},
        {"no-emit-version", false, GPG_OPTION_PLAIN},
        {"no-encrypt-to", false, GPG_OPTION_PLAIN},
        {"no-force-v3-sigs", false, GPG_OPTION_PLAIN},
        {"no-force-v4-certs", false, GPG_OPTION_PLAIN},
        {"no-greeting", false, GPG_OPTION_PLAIN},
        {"no-secmem-warning", false, GPG_OPTION_PLAIN},
        {"no-skip-hidden-recipients", false, GPG_OPTION_PLAIN},
        {"no-throw-keyids", false, GPG_OPTION_PLAIN},
        {"no-verbose", false, GPG_OPTION_PLAIN},
        {"openpgp", false, GPG_OPTION_PLAIN},
        {"output", true, GPG_OPTION_OUTPUT},
        {"personal-cipher-preferences", true, GPG_OPTION_PLAIN},
        {"personal-compress-preferences", true, GPG_OPTION_PLAIN},
        {"personal-digest-preferences", true, GPG_OPTION_PLAIN},
        {"pgp6", false, GPG_OPTION_PLAIN},
        {"pgp7", false, GPG_OPTION_PLAIN},
        {"pgp8", false, GPG_OPTION_PLAIN},
        {"quiet", false, GPG_OPTION_PLAIN},
        {"recipient", true, GPG_OPTION_PLAIN},
        {"rfc2440", false, GPG_OPTION_PLAIN},
        {"rfc4880", false, GPG_OPTION_PLAIN},
        {"s2k-cipher-algo", true, GPG_OPTION_PLAIN},
        {"s2k-count", true, GPG_OPTION_PLAIN},
        {"s2k-digest-algo", true, GPG_OPTION_PLAIN},
        {"s2k-mode", true, GPG_OPTION_PLAIN},
        {"sender", true, GPG_OPTION_PLAIN},
        {"set-filename", true, GPG_OPTION_PLAIN},
        {"set-notation", true, GPG_OPTION_PLAIN},
        {"show-session-key", false, GPG_OPTION_PLAIN},
        {"sig-notation", true, GPG_OPTION_PLAIN},
        {"sign", false, GPG_OPTION_COMMAND},
        {"skip-hidden-recipients", false, GPG_OPTION_PLAIN},
        {"status-fd", true, GPG_OPTION_STATUS_FD},
        {"store", false, GPG_OPTION_COMMAND},
        {"symmetric", false, GPG_OPTION_COMMAND},
        {"textmode", false, GPG_OPTION_PLAIN},
        {"throw-keyids", false, GPG_OPTION_PLAIN},
        {"trust-model", true, GPG_OPTION_PLAIN},
        {"trusted-key", true, GPG_OPTION_PLAIN},
        {"try-all-secrets", false, GPG_OPTION_PLAIN},
        {"try-secret-key", true, GPG_OPTION_PLAIN},
        {"unwrap", false, GPG_OPTION_PLAIN},
        {"verbose", false, GPG_OPTION_PLAIN},
        {"verify", false, GPG_OPTION_VERIFY},
        {"verify-options", true, GPG_OPTION_VERIFY_LIST},
        {"version", false, GPG_OPTION_COMMAND},
        {"with-colons", false, GPG_OPTION_PLAIN},
        {"with-fingerprint", false, GPG_OPTION_PLAIN},
        {"with-keygrip", false, GPG_OPTION_PLAIN},
        {"with-secret", false, GPG_OPTION_PLAIN},
};

static const struct {
	char letter;
	const char *name;
} letters[] = {
        {'b', "detach-sign"},      {'a', "armor"},   {'c', "symmetric"},
        {'d', "decrypt"},          {'e', "encrypt"}, {'k', "list-keys"},
        {'K', "list-secret-keys"}, {'n', "dry-run"}, {'N', "set-notation"},
        {'o', "output"},           {'q', "quiet"},   {'r', "recipient"},
        {'R', "hidden-recipient"}, {'s', "sign"},    {'t', "textmode"},
        {'u', "local-user"},
};

/* Words of the three lists; each may also have "no-" before it. */
static const char *const list_words[] = {
        "show-keyserver-urls",     "show-notations",     "show-photos",
        "show-policy-urls",        "show-sig-expire",    "show-std-notations",
        "show-standard-notations", "show-uid-validity",  "show-unusable-uids",
        "show-unusable-subkeys",   "show-usage",         "show-user-notations",
        "show-sig-subpackets",     "show-only-fpr-mbox", "sort-sigs"};
static const char *const verify_words[] = {"show-keyserver-urls", "show-notations",
                                           "show-photos",         "show-policy-urls",
                                           "show-std-notations",  "show-standard-notations",
                                           "show-uid-validity",   "show-unusable-uids",
                                           "show-user-notations", "show-primary-key-only"};
static const char *const export_words[] = {
        "export-local-sigs",  "export-attributes",  "export-sensitive-revkeys",
        "export-clean",       "export-minimal",     "export-unusable-sigs",
        "export-clean-sigs",  "export-clean-uids",  "backup",
        "include-local-sigs", "include-attributes", "include-sensitive-revkeys"};

const struct gpg_option *gpg_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
			return &options[i];
	}
	return NULL;
}

const struct gpg_option *gpg_option_short(char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		if (letters[i].letter == letter)
			return gpg_option_find(letters[i].name, strlen(letters[i].name));
	}
	return NULL;
}

static bool is_one_of(const char *const *words, size_t n, const char *text, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	}
	return false;
}

/* show-sig-subpackets="1,2,127": numbers of 1 to 127. */
static bool subpackets_legal(const char *text, size_t len)
{
	unsigned int value = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && text[i] >= '0' && text[i] <= '9') {
			value = value * 10 + (unsigned int)(text[i] - '0');
			if (value == 0 || value > 127)
				return false;
		} else if ((i == len || text[i] == ',' || text[i] == ' ') && value > 0) {
			value = 0;
		} else {
			return false;
		}
	}
	return true;
}

static bool word_legal(enum gpg_option_kind kind, const char *word, size_t len)
{
	static const char subpackets[] = "show-sig-subpackets=";
	const size_t n = sizeof(subpackets) - 1;
	bool no = len > 3 && memcmp(word, "no-", 3) == 0;

	if (kind == GPG_OPTION_LIST && len > n && memcmp(word, subpackets, n) == 0)
		return subpackets_legal(word + n, len - n);
	if (no) {
		word += 3;
		len -= 3;
	}
	/* Two that may only be switched off: one names a file, one publishes. */
	if (no && kind == GPG_OPTION_LIST && len == 12 && memcmp(word, "show-keyring", 12) == 0)
		return true;
	if (no && kind == GPG_OPTION_EXPORT_LIST && len == 11 &&
	    memcmp(word, "export-dane", 11) == 0)
		return true;
	if (kind == GPG_OPTION_LIST)
		return is_one_of(list_words, ARRAY_LEN(list_words), word, len);
	if (kind == GPG_OPTION_VERIFY_LIST)
		return is_one_of(verify_words, ARRAY_LEN(verify_words), word, len);
	return is_one_of(export_words, ARRAY_LEN(export_words), word, len);
}

bool gpg_list_legal(enum gpg_option_kind kind, const char *value)
{
	/* gpg takes blanks and commas between words; numbers of subpackets come without either. */
	while (*value) {
		size_t len;

		value += strspn(value, " ,");
		len = strcspn(value, " ,");
		if (len > 0 && !word_legal(kind, value, len))
			return false;
		value += len;
	}
	return true;
}
