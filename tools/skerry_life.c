/* SPDX-License-Identifier: GPL-2.0-or-later */
/* skerry start, stop, kill, pause, unpause: one request for each qube, all on the way together. */
#include <string.h>
#include <unistd.h>

#include "tools/skerry_admin.h"

struct life {
	const char *name, *method, *argument;
	const char *doing, *done; /* told on a terminal */
	bool fine_if_halted;
};

/* Says what goes on where it may take time and somebody looks on. */
static bool is_watched(const struct skerry_options *options)
{
	return !options->json && isatty(STDERR_FILENO);
}

/* 0 or SKERRY_REFUSED, after it was told. */
static int tell(const struct life *life, const struct admin_request *request,
                const struct skerry_options *options)
{
	const struct admin_reply *reply = &request->reply;

	if (reply->error &&
	    !(life->fine_if_halted && admin_error_is(reply, ADMIN_ERROR_NOT_STARTED)))
		return refused(life->name, request->target, reply);
	if (options->json)
		out_printf("{\"name\": %s, \"%s\": true}\n", json_text(request->target),
		           life->done);
	else if (is_watched(options))
		err_printf("%s: %s\n", request->target, life->done);
	return 0;
}

static int run(const struct life *life, int argc, char **argv, const struct skerry_options *options)
{
	struct admin_request *requests = arena_alloc((size_t)argc * sizeof(*requests));
	struct qubes qubes;
	int status = 0;
	size_t n = 0;

	if (argc < 2)
		return skerry_usage(life->name);
	if (!qubes_get(life->name, &qubes))
		return SKERRY_REFUSED;
	for (int i = 1; i < argc; i++) {
		if (!qube_get(life->name, &qubes, argv[i]))
			return SKERRY_REFUSED;
		requests[n++] = (struct admin_request){.method = life->method,
		                                       .argument = life->argument,
		                                       .target = argv[i]};
		if (is_watched(options) && life->doing)
			err_printf("%s: %s\n", argv[i], life->doing);
	}
	admin_call_all(requests, n);
	for (size_t i = 0; i < n; i++)
		status |= tell(life, &requests[i], options);
	return status;
}

int skerry_start(int argc, char **argv, const struct skerry_options *options)
{
	const struct life life = {"start", "admin.vm.Start", NULL, "starting …", "started", false};

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	return argc < 0 ? skerry_usage("start") : run(&life, argc, argv, options);
}

int skerry_stop(int argc, char **argv, const struct skerry_options *options)
{
	bool force = false, no_wait = false;
	const struct word_option table[] = {{"--force", NULL, &force},
	                                    {"--no-wait", NULL, &no_wait},
	                                    {0}};
	struct life life = {"stop", "admin.vm.Shutdown", NULL, "stopping …", "stopped", true};

	argc = words_take(argc, argv, table);
	if (argc < 0)
		return skerry_usage("stop");
	life.argument = no_wait ? (force ? "force" : NULL) : force ? "force+wait" : "wait";
	if (no_wait)
		life.done = "asked to stop";
	return run(&life, argc, argv, options);
}

int skerry_kill(int argc, char **argv, const struct skerry_options *options)
{
	const struct life life = {"kill", "admin.vm.Kill", NULL, NULL, "ended", true};

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	return argc < 0 ? skerry_usage("kill") : run(&life, argc, argv, options);
}

int skerry_pause(int argc, char **argv, const struct skerry_options *options)
{
	const struct life life = {"pause", "admin.vm.Pause", NULL, NULL, "paused", false};

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	return argc < 0 ? skerry_usage("pause") : run(&life, argc, argv, options);
}

int skerry_unpause(int argc, char **argv, const struct skerry_options *options)
{
	const struct life life = {"unpause", "admin.vm.Unpause", NULL, NULL, "runs on", false};

	argc = words_take(argc, argv, (const struct word_option[]){{0}});
	return argc < 0 ? skerry_usage("unpause") : run(&life, argc, argv, options);
}
