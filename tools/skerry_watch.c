/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry watch: the events of the system as they happen. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "tools/client/sink.h"
#include "tools/skerry_admin.h"

#define EVENT_MAX 65536 /* bytes; chosen: a longer one ends the watch */

static const char *now(void)
{
	struct timespec ts;
	struct tm tm;
	char text[32] = "";

	if (clock_gettime(CLOCK_REALTIME, &ts) == 0 && localtime_r(&ts.tv_sec, &tm))
		(void)strftime(text, sizeof(text), "%H:%M:%S", &tm);
	return arena_printf("%s.%03ld", text, ts.tv_nsec / 1000000);
}

static void print_json(const struct admin_event *event)
{
	out_printf("{\"time\": \"%s\", \"subject\": %s, \"event\": %s", now(),
	           *event->subject ? json_text(event->subject) : "null", json_text(event->name));
	for (size_t i = 0; i < event->n; i++)
		out_printf(", %s: %s", json_text(event->keys[i]), json_text(event->values[i]));
	out_text("}\n");
}

static enum skerry_style style_of(const char *name)
{
	if (strstr(name, "failed") || strstr(name, "delete"))
		return STYLE_BAD;
	if (strcmp(name, "domain-start") == 0 || strcmp(name, "domain-add") == 0)
		return STYLE_GOOD;
	return strstr(name, "-pre-") || strstr(name, "-pre") ? STYLE_FAINT : STYLE_BOLD;
}

static void print(const struct admin_event *event, const struct skerry_options *options)
{
	if (options->json) {
		print_json(event);
		return;
	}
	out_printf("%s  %-16s  ", now(), *event->subject ? event->subject : "system");
	out_escape(skerry_style(options, style_of(event->name)));
	out_text(event->name);
	out_escape(skerry_style(options, STYLE_PLAIN));
	for (size_t i = 0; i < event->n; i++)
		out_printf("  %s=%s", event->keys[i], event->values[i]);
	out_text("\n");
}

/* The stream may end with an exception, as a reply. */
static int ended(const struct sink *sink)
{
	struct admin_reply reply;

	if (sink->len == 0)
		return refuse("watch", "", "the service ended", "'skerry status' shows what runs");
	reply = admin_reply_decode(sink->data, sink->len);
	return reply.error ? refused("watch", "", &reply)
	                   : refuse("watch", "", "the answer has an unknown form", NULL);
}

static int watch(int fd, const struct skerry_options *options)
{
	/* Events are printed and forgotten; what is not complete yet is kept outside the arena. */
	static char kept[EVENT_MAX];
	size_t len = 0;

	for (;;) {
		void *mark = arena_mark();
		struct sink sink = {.data = arena_copy(kept, len), .len = len, .room = len + 1};
		struct admin_event event;
		enum sink_state state = sink_read(&sink, fd);
		ssize_t n;

		while ((n = admin_event_decode(sink.data, sink.len, &event)) > 0) {
			print(&event, options);
			out_flush();
			sink_drop(&sink, (size_t)n);
		}
		if (state != SINK_MORE || n < 0)
			return ended(&sink);
		if (sink.len > sizeof(kept))
			return refuse("watch", "", "an event is longer than 64 KiB", NULL);
		len = sink.len;
		memcpy(kept, sink.data, len);
		out_forget();
		arena_release(mark);
	}
}

int skerry_watch(int argc, char **argv, const struct skerry_options *options)
{
	const char *error;
	OWNED_FD int fd = -1;

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	if (argc < 0 || argc > 2)
		return skerry_usage("watch");
	fd = admin_events_open(argc == 2 ? argv[1] : "dom0", &error);
	if (fd < 0)
		return refuse("watch", "", error, NULL);
	return watch(fd, options);
}
