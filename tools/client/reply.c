/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/client/reply.h"

#include <string.h>

#define CLASS(c) (1U << (c))
#define QUBES    CLASS(ADMIN_ERROR_QUBES)

/*
 * Types that commands tell apart. All others whose name the original's client does not know are plain
 * QubesExceptions there, and so here.
 */
static const struct {
	const char *type;
	unsigned int classes;
	bool key_error;
} types[] = {
        {"PermissionDenied", CLASS(ADMIN_ERROR_FOREIGN), false},
        {"ProtocolError", CLASS(ADMIN_ERROR_FOREIGN), false},
        {"QubesVMNotStartedError", QUBES | CLASS(ADMIN_ERROR_NOT_STARTED), false},
        {"QubesVMNotRunningError", QUBES | CLASS(ADMIN_ERROR_NOT_STARTED), false},
        {"QubesVMInUseError", QUBES | CLASS(ADMIN_ERROR_IN_USE), false},
        {"QubesVMShutdownTimeoutError", QUBES | CLASS(ADMIN_ERROR_STOP_TIMEOUT), false},
        {"QubesNoSuchPropertyError", QUBES | CLASS(ADMIN_ERROR_NO_PROPERTY), false},
        {"QubesFeatureNotFoundError", QUBES | CLASS(ADMIN_ERROR_NO_FEATURE), false},
        {"QubesTagNotFoundError", QUBES | CLASS(ADMIN_ERROR_NO_TAG), false},
        {"QubesLabelNotFoundError", QUBES, false},
        {"DeviceNotAssigned", QUBES, true},
        {"DeviceAlreadyAttached", QUBES, true},
        {"DeviceAlreadyAssigned", QUBES, true},
};

bool admin_error_is(const struct admin_reply *reply, enum admin_error_class what)
{
	if (!reply->error)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].type, reply->error) == 0)
			return types[i].classes & CLASS(what);
	return what == ADMIN_ERROR_QUBES;
}

const char *admin_error_shown(const struct admin_reply *reply)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].key_error && reply->error && strcmp(types[i].type, reply->error) == 0)
			return arena_printf("\"%s\"", reply->text);
	return reply->text;
}

const char *admin_error_trace(const struct admin_reply *reply)
{
	return arena_printf("qubesadmin.exc.%s: %s", reply->error, reply->text);
}

struct admin_reply admin_reply_error(const char *type, const char *text)
{
	return (struct admin_reply){.content = "", .error = type, .text = text};
}

/* The next NUL-terminated field; NULL at the end. */
static const char *field_next(const char **at, const char *end)
{
	const char *field = *at;
	const char *nul = field < end ? memchr(field, '\0', (size_t)(end - field)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return field;
}

/* FORMAT % ARGS, as far as servers use it: %s and %%; any other % stands for itself. */
static const char *text_format(const char *format, const char *at, const char *end)
{
	size_t room = strlen(format) + (size_t)(end - at) + 1, len = 0;
	char *text = arena_alloc(room);

	for (; *format && len < room - 1; format++) {
		const char *argument = NULL;

		if (format[0] == '%' && (format[1] == 's' || format[1] == 'r'))
			argument = field_next(&at, end);
		if (argument) {
			size_t n = MIN(strlen(argument), room - 1 - len);

			memcpy(text + len, argument, n);
			len += n;
			format++;
			continue;
		}
		if (format[0] == '%' && format[1] == '%')
			format++;
		text[len++] = *format;
	}
	return text;
}

struct admin_reply admin_reply_decode(const char *data, size_t len)
{
	const char *at = data + 2, *end = data + len, *type, *format;

	if (len == 0)
		return admin_reply_error(
		        "QubesDaemonAccessError",
		        "Got empty response from qubesd. See journalctl in dom0 for "
		        "details.");
	if (len >= 2 && data[0] == '0' && data[1] == '\0')
		return (struct admin_reply){.content = at, .len = len - 2};
	if (len < 2 || data[0] != '2' || data[1] != '\0')
		return admin_reply_error("QubesDaemonCommunicationError",
		                         "Invalid response format");
	type = field_next(&at, end);
	if (!type || !field_next(&at, end) || !(format = field_next(&at, end)))
		return admin_reply_error("QubesDaemonCommunicationError",
		                         "Invalid response format");
	/* These two are shown as they are (the original does not format them). */
	if (strcmp(type, "ProtocolError") == 0 || strcmp(type, "PermissionDenied") == 0)
		return admin_reply_error(type, format);
	return admin_reply_error(type, text_format(format, at, end));
}

ssize_t admin_event_decode(const char *data, size_t len, struct admin_event *ret)
{
	const char *at = data, *end = data + len, *field, *key;

	*ret = (struct admin_event){0};
	if (len == 0)
		return 0;
	if (data[0] != '1' || (len > 1 && data[1] != '\0'))
		return -1;
	if (!field_next(&at, end) || !(ret->subject = field_next(&at, end)) ||
	    !(ret->name = field_next(&at, end)))
		return 0;
	while ((key = field_next(&at, end)) && *key) {
		field = field_next(&at, end);
		if (!field)
			return 0;
		if (ret->n < ADMIN_EVENT_PAIRS_MAX) {
			ret->keys[ret->n] = key;
			ret->values[ret->n++] = field;
		}
	}
	return key ? at - data : 0;
}
