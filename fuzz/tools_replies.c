/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands take from the Admin API: no crash, no leak, no text that drives a terminal. The first byte
 * says which decoder; the rest is its input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "tools/qvm/device.h"
#include "tools/qvm/firewall_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shown(const char *text)
{
	for (const char *p = out_safe(text); *p; p++)
		CHECK(((unsigned char)*p >= 0x20 && *p != 0x7f) || *p == '\n' || *p == '\t');
	CHECK(strlen(json_text(text)) >= 2);
	CHECK(out_width(text_repr(text)) >= 2);
}

static void replies(const char *text, size_t size)
{
	struct admin_reply reply = admin_reply_decode(text, size);

	CHECK(reply.content);
	CHECK(!reply.error == !reply.text);
	if (!reply.error)
		return;
	CHECK(reply.len == 0);
	check_shown(admin_error_shown(&reply));
	check_shown(admin_error_trace(&reply));
}

static void events(const char *text, size_t size)
{
	struct admin_event event;
	ssize_t n;

	for (; (n = admin_event_decode(text, size, &event)) > 0; text += n, size -= (size_t)n) {
		CHECK((size_t)n <= size && event.n <= ADMIN_EVENT_PAIRS_MAX);
		check_shown(event.subject);
		check_shown(event.name);
		for (size_t i = 0; i < event.n; i++)
			check_shown(event.values[i]);
	}
}

static void properties(const char *text)
{
	struct properties all = properties_decode(text);
	struct qube qube = {.name = "q", .properties = text};

	for (size_t i = 0; i < all.n; i++) {
		CHECK(all.items[i].name && all.items[i].value && all.items[i].type);
		CHECK(properties_find(&all, all.items[i].name));
		if (*all.items[i].name)
			(void)qube_property(&qube, all.items[i].name);
	}
}

static void devices(const char *text)
{
	struct devices all = devices_decode("block", "sys-usb", text);

	for (size_t i = 0; i < all.n; i++) {
		check_shown(device_description(&all.items[i]));
		check_shown(device_payload(&all.items[i], "manual", "work", &all.items[i].options));
		CHECK(!strpbrk(device_argument(&all.items[i]), ":*"));
		(void)device_is_denied(&all.items[i], "b******u03****");
	}
}

/* What is written is read back as the same. */
static void rules(const char *text)
{
	struct rules all = rules_decode(text), again;

	again = rules_decode(rules_encode(&all));
	for (size_t i = 0; i < all.n && i < again.n && all.n == again.n; i++)
		check_shown(rule_line(&again.items[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mark;
	char *text;

	if (size == 0)
		return 0;
	mark = arena_mark();
	text = arena_copy(data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		replies(text, size - 1);
		break;
	case 1:
		events(text, size - 1);
		break;
	case 2:
		properties(text);
		break;
	case 3:
		devices(text);
		break;
	default:
		rules(text);
		break;
	}
	arena_release(mark);
	return 0;
}
