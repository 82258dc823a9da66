/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/services/gpg.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "lib/untrusted/text.h"
#include "proto/services/gpg_options.h"

enum gpg_result gpg_request_decode(const uint8_t block[GPG_BLOCK], struct gpg_request *out)
{
	uint32_t len = le32_get(block);

	*out = (struct gpg_request){0};
	if (len >= GPG_BUFFER || block[4 + len] != '\0')
		return GPG_E_BLOCK;
	memcpy(out->room, block + 4, len + 1);
	for (uint32_t i = 0; i < len; i++) {
		if (out->room[i] != '\0')
			continue;
		if (out->n == GPG_ARGS_MAX)
			return GPG_E_BLOCK;
		out->args[out->n++] = out->room + i + 1;
	}
	return GPG_OK;
}

int gpg_request_encode(const char *const *args, size_t n, uint8_t block[GPG_BLOCK])
{
	size_t at = 0; /* of the last NUL */

	memset(block, 0, GPG_BLOCK);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(args[i]);

		if (len + 1 >= GPG_BUFFER - at)
			return -1;
		memcpy(block + 4 + at + 1, args[i], len);
		at += len + 1;
	}
	le32_put(block, (uint32_t)at);
	return 0;
}

static bool is_printable(const char *text)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len;) {
		uint32_t c;
		size_t n = utf8_decode((const unsigned char *)text + at, len - at, &c);

		if (n == 0 || (n == 1 && (c < 0x20 || c > 0x7e)))
			return false;
		at += n;
	}
	return true;
}

/* What the arguments were found to say so far. */
struct check {
	struct gpg_request *request;
	size_t at;     /* the argument being looked at */
	bool user_ids; /* a command whose operands are user ids */
	bool other;    /* any other command */
	bool verify;
	bool seen[3]; /* of the three options that name a descriptor */
};

/* Decimal, without a leading zero, up to GPG_FD_MAX; -1: not that. */
static int fd_number(const char *text)
{
	size_t len = strspn(text, "0123456789");
	int value = 0;

	if (len == 0 || len > 4 || text[len] != '\0' || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (text[i] - '0');
	return value <= GPG_FD_MAX ? value : -1;
}

static bool has_fd(const int *fds, size_t n, int fd)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] == fd)
			return true;
	}
	return false;
}

static enum gpg_result add_fd(int *fds, size_t *n, const int *others, size_t n_others, int fd)
{
	if (fd < 0 || has_fd(others, n_others, fd))
		return GPG_E_FD;
	if (has_fd(fds, *n, fd))
		return GPG_OK;
	if (*n == GPG_FDS_MAX)
		return GPG_E_FD;
	fds[(*n)++] = fd;
	return GPG_OK;
}

static enum gpg_result take_option(struct check *c, const struct gpg_option *option,
                                   const char *value)
{
	struct gpg_request *r = c->request;

	switch (option->kind) {
	case GPG_OPTION_USER_IDS:
		c->user_ids = true;
		return GPG_OK;
	case GPG_OPTION_VERIFY:
		c->verify = true;
		c->other = true;
		return GPG_OK;
	case GPG_OPTION_COMMAND:
		c->other = true;
		return GPG_OK;
	case GPG_OPTION_OUTPUT:
		return strcmp(value, "-") == 0 ? GPG_OK : GPG_E_VALUE;
	case GPG_OPTION_STATUS_FD:
	case GPG_OPTION_LOGGER_FD:
	case GPG_OPTION_ATTRIBUTE_FD:
		if (c->seen[option->kind - GPG_OPTION_STATUS_FD])
			return GPG_E_FD;
		c->seen[option->kind - GPG_OPTION_STATUS_FD] = true;
		return add_fd(r->outputs, &r->n_outputs, r->inputs, r->n_inputs, fd_number(value));
	case GPG_OPTION_LIST:
	case GPG_OPTION_VERIFY_LIST:
	case GPG_OPTION_EXPORT_LIST:
		return gpg_list_legal(option->kind, value) ? GPG_OK : GPG_E_VALUE;
	case GPG_OPTION_PLAIN:
	default:
		return GPG_OK;
	}
}

/* --NAME, --NAME=VALUE, or --NAME and the next argument. */
static enum gpg_result long_option(struct check *c, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const struct gpg_option *option = gpg_option_find(text, len);
	const char *value = equals ? equals + 1 : NULL;

	if (!option)
		return GPG_E_OPTION;
	if (!option->has_value)
		return value ? GPG_E_VALUE : take_option(c, option, "");
	if (!value) {
		if (c->at + 1 >= c->request->n)
			return GPG_E_VALUE;
		value = c->request->args[++c->at];
	}
	return take_option(c, option, value);
}

/* -abc, -oVALUE, or -o and the next argument. */
static enum gpg_result short_options(struct check *c, const char *text)
{
	enum gpg_result r = GPG_OK;

	for (; *text && r == GPG_OK; text++) {
		const struct gpg_option *option = gpg_option_short(*text);

		if (!option)
			return GPG_E_OPTION;
		if (!option->has_value) {
			r = take_option(c, option, "");
			continue;
		}
		if (text[1])
			return take_option(c, option, text + 1);
		if (c->at + 1 >= c->request->n)
			return GPG_E_VALUE;
		return take_option(c, option, c->request->args[++c->at]);
	}
	return r;
}

/* A descriptor that a signature is read from: /dev/fd/N. */
static enum gpg_result verify_operand(struct check *c, const char *text)
{
	static const char prefix[] = "/dev/fd/";
	struct gpg_request *r = c->request;
	int fd;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return GPG_E_OPERAND;
	fd = fd_number(text + sizeof(prefix) - 1);
	if (fd < 3)
		return GPG_E_FD;
	return add_fd(r->inputs, &r->n_inputs, r->outputs, r->n_outputs, fd);
}

static enum gpg_result check_operands(struct check *c, bool dashes)
{
	const struct gpg_request *request = c->request;
	const size_t begin = c->at;
	bool first = true;

	for (size_t i = begin; i < request->n && !dashes; i++) {
		c->at = i;
		if (request->args[i][0] == '-' && request->args[i][1] != '\0')
			return GPG_E_OPERAND;
	}
	if (c->user_ids)
		return GPG_OK;
	for (size_t i = begin; i < request->n; i++) {
		enum gpg_result r = GPG_OK;

		c->at = i;
		if (c->verify && first)
			r = verify_operand(c, request->args[i]);
		else if (strcmp(request->args[i], "-") != 0 || i + 1 != request->n)
			r = GPG_E_OPERAND;
		if (r != GPG_OK)
			return r;
		first = false;
	}
	return GPG_OK;
}

enum gpg_result gpg_request_check(struct gpg_request *request, size_t *ret_at)
{
	struct check c = {.request = request};
	enum gpg_result r = GPG_OK;
	bool dashes = false;
	size_t operands;

	request->inputs[0] = 0;
	request->outputs[0] = 1;
	request->outputs[1] = 2;
	request->n_inputs = 1;
	request->n_outputs = 2;
	for (*ret_at = 0; *ret_at < request->n; (*ret_at)++) {
		if (!is_printable(request->args[*ret_at]))
			return GPG_E_TEXT;
	}
	for (; c.at < request->n && !dashes && r == GPG_OK; c.at++) {
		const char *text = request->args[c.at];

		if (text[0] != '-' || text[1] == '\0')
			break;
		dashes = strcmp(text, "--") == 0;
		*ret_at = c.at;
		if (!dashes)
			r = text[1] == '-' ? long_option(&c, text + 2)
			                   : short_options(&c, text + 1);
	}
	if (r != GPG_OK)
		return r;
	if (c.user_ids && c.other)
		return GPG_E_COMMANDS;
	operands = c.at;
	r = check_operands(&c, dashes);
	*ret_at = MAX(operands, c.at);
	return r;
}

const char *gpg_error(enum gpg_result result)
{
	static const char *const texts[] = {
	        [GPG_OK] = "",
	        [GPG_E_BLOCK] = "the request is not of the form",
	        [GPG_E_TEXT] = "an argument is not printable UTF-8",
	        [GPG_E_OPTION] = "this option is not let through",
	        [GPG_E_VALUE] = "this option's value is missing, or not let through",
	        [GPG_E_COMMANDS] = "these commands do not go together",
	        [GPG_E_FD] = "this descriptor may not be used so",
	        [GPG_E_OPERAND] = "no file of the key's qube can be named",
	};

	return texts[result];
}

int gpg_frame_decode(const uint8_t head[GPG_FRAME_HEAD], size_t n_fds, bool may_end,
                     struct gpg_frame *out)
{
	uint32_t untrusted_index = le32_get(head);
	uint32_t untrusted_len = le32_get(head + 4);

	if (untrusted_len > GPG_FRAME_MAX)
		return -1;
	if (untrusted_index & 0x80000000U) {
		/* Of an exit status there are 256. */
		if (!may_end || untrusted_len != 0 || untrusted_index < 0xffffff00U)
			return -1;
	} else if (untrusted_index >= n_fds) {
		return -1;
	}
	*out = (struct gpg_frame){.index = (int32_t)untrusted_index, .len = untrusted_len};
	return 0;
}

void gpg_frame_encode(const struct gpg_frame *frame, uint8_t head[GPG_FRAME_HEAD])
{
	le32_put(head, (uint32_t)frame->index);
	le32_put(head + 4, frame->len);
}
