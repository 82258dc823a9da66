/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/qvm/device.h"

#include <string.h>

#define CODE_LEN 7 /* of an interface: a letter, then six hexadecimal digits or '*' */

/*
 * Classes of devices by their interface codes, the first that matches: USB and PCI class numbers as their
 * standards have them, and what the Admin API calls block devices and microphones.
 */
static const struct {
	const char *code, *name;
} categories[] = {
        {"u03**01", "Keyboard"},
        {"p0900**", "Keyboard"},
        {"u03**02", "Mouse"},
        {"p0902**", "Mouse"},
        {"u03****", "Input"},
        {"p09****", "Input"},
        {"u01****", "Audio"},
        {"p0403**", "Audio"},
        {"p0401**", "Audio"},
        {"u02****", "Communication"},
        {"p07****", "Communication"},
        {"u06****", "Image"},
        {"u07****", "Printer"},
        {"u08****", "USB_Storage"},
        {"u0b****", "Smart_Card"},
        {"u0e****", "Camera"},
        {"ue001**", "Bluetooth"},
        {"p0d11**", "Bluetooth"},
        {"ue0****", "Wireless"},
        {"p0d****", "Wireless"},
        {"p01****", "Storage"},
        {"p02****", "Network"},
        {"p03****", "Display"},
        {"p04****", "Multimedia"},
        {"p05****", "Memory"},
        {"p06****", "PCI_Bridge"},
        {"p08****", "Generic_System_Peripheral"},
        {"p0a****", "Docking_Station"},
        {"p0b****", "Processor"},
        {"p0c03**", "PCI_USB"},
        {"p0c****", "PCI_Serial_Bus"},
        {"p11****", "Signal_Processing"},
        {"p10****", "Encryption"},
        {"b******", "Block_Storage"},
        {"m******", "Microphone"},
};

/* Whether a code is one of those that a pattern stands for; '*' in either stands for any. */
static bool code_matches(const char *code, const char *pattern)
{
	for (size_t i = 0; i < CODE_LEN; i++)
		if (!code[i] || !pattern[i] ||
		    (code[i] != pattern[i] && pattern[i] != '*' && code[i] != '*'))
			return false;
	return true;
}

static const char *category_of(const struct device *device)
{
	size_t len = strlen(device->interfaces);

	for (size_t i = 0; i < ARRAY_LEN(categories); i++)
		for (size_t at = 0; at + CODE_LEN <= len; at += CODE_LEN)
			if (code_matches(device->interfaces + at, categories[i].code))
				return categories[i].name;
	return "Other";
}

bool device_is_denied(const struct device *device, const char *denied)
{
	size_t len = strlen(device->interfaces), denied_len = strlen(denied);

	for (size_t at = 0; at + CODE_LEN <= len; at += CODE_LEN)
		for (size_t i = 0; i + CODE_LEN <= denied_len; i += CODE_LEN)
			if (code_matches(device->interfaces + at, denied + i))
				return true;
	return false;
}

const char *device_description(const struct device *device)
{
	const char *maker = device->vendor ? device->vendor : device->manufacturer;
	const char *what = device->product ? device->product
	                   : device->name  ? device->name
	                                   : device->serial;

	if (strcmp(device->id, "*") == 0)
		return "any device";
	if (!maker)
		maker = "unknown";
	return what ? arena_printf("%s: %s %s", category_of(device), maker, what)
	            : arena_printf("%s: %s", category_of(device), maker);
}

static void pair_take(struct device *device, const char *key, const char *value)
{
	const struct {
		const char *key;
		const char **field;
	} fields[] = {
	        {"device_id", &device->id},
	        {"port_id", &device->port},
	        {"devclass", &device->class},
	        {"backend_domain", &device->backend},
	        {"vendor", &device->vendor},
	        {"product", &device->product},
	        {"manufacturer", &device->manufacturer},
	        {"name", &device->name},
	        {"serial", &device->serial},
	        {"interfaces", &device->interfaces},
	        {"mode", &device->mode},
	        {"frontend_domain", &device->frontend},
	        {"_sbdf", &device->sbdf},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(fields[i].key, key) == 0) {
			*fields[i].field = value;
			return;
		}
	}
	if (*key == '_')
		text_list_add(&device->options, arena_printf("%s=%s", key + 1, value));
}

/* One "key='value'"; \' in the value stands for '. Returns what is behind it; NULL: it is none. */
static const char *pair_decode(const char *at, const char **ret_key, const char **ret_value)
{
	const char *equals = strchr(at, '=');
	char *value, *to;

	if (!equals || equals[1] != '\'')
		return NULL;
	*ret_key = arena_copy(at, (size_t)(equals - at));
	value = to = arena_alloc(strlen(equals));
	for (at = equals + 2; *at && *at != '\''; at++) {
		if (*at == '\\' && at[1])
			at++;
		*to++ = *at;
	}
	*ret_value = value;
	if (*at != '\'')
		return NULL;
	return at[1] == ' ' ? at + 2 : at + 1;
}

static struct device device_decode(const char *line, const char *class, const char *backend)
{
	struct device device = {
	        .class = class, .backend = backend, .port = "", .id = "", .interfaces = ""};
	const char *at = strchr(line, ' '), *key, *value;

	at = at ? at + 1 : NULL;
	while (at && *at) {
		at = pair_decode(at, &key, &value);
		if (at)
			pair_take(&device, key, value);
	}
	return device;
}

struct devices devices_decode(const char *class, const char *backend, const char *text)
{
	struct text_list lines = text_list_lines(text);
	struct devices devices = {.items = arena_alloc((lines.n + 1) * sizeof(*devices.items))};

	for (size_t i = 0; i < lines.n; i++)
		devices.items[devices.n++] = device_decode(lines.items[i], class, backend);
	return devices;
}

struct devices devices_load(const char *class, const char *what, const char *qube,
                            const char *argument)
{
	const char *method = arena_printf("admin.vm.device.%s.%s", class, what);
	struct admin_reply reply = admin_call(method, argument, qube, NULL);
	struct devices devices = devices_decode(class, qube, reply.content);

	devices.reply = reply;
	return devices;
}

const struct device *device_find(const struct devices *devices, const char *port)
{
	for (size_t i = 0; i < devices->n; i++)
		if (strcmp(devices->items[i].port, port) == 0)
			return &devices->items[i];
	return NULL;
}

const char *device_argument(const struct device *device)
{
	char *argument = arena_printf("%s+%s+%s", device->backend, device->port, device->id);

	for (char *p = argument; *p; p++)
		*p = *p == ':' ? '+' : *p == '*' ? '_' : *p;
	return argument;
}

static const char *quoted(const char *value)
{
	char *copy = arena_alloc(strlen(value) * 2 + 3), *to = copy;

	*to++ = '\'';
	for (; *value; value++) {
		if (*value == '\'')
			*to++ = '\\';
		*to++ = *value;
	}
	*to = '\'';
	return copy;
}

const char *device_payload(const struct device *device, const char *mode, const char *frontend,
                           const struct text_list *options)
{
	struct text_list pairs = {0};

	text_list_add(&pairs, arena_printf("device_id=%s", quoted(device->id)));
	text_list_add(&pairs, arena_printf("port_id=%s", quoted(device->port)));
	text_list_add(&pairs, arena_printf("devclass=%s", quoted(device->class)));
	text_list_add(&pairs, arena_printf("backend_domain=%s", quoted(device->backend)));
	text_list_add(&pairs, arena_printf("mode=%s", quoted(mode)));
	text_list_add(&pairs, arena_printf("frontend_domain=%s", quoted(frontend)));
	for (size_t i = 0; options && i < options->n; i++) {
		const char *option = options->items[i], *equals = strchr(option, '=');

		text_list_add(&pairs, arena_printf("_%.*s=%s", (int)(equals - option), option,
		                                   quoted(equals + 1)));
	}
	return text_list_join(&pairs, " ");
}
