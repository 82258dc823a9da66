/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A package becomes a template, or replaces what is in one. The import of the root volume is the step that counts, and
 * is done as a whole or not at all; before it and until all the rest is done the qube has the feature
 * template-unfinished. A new qube that has no template-name beside it is no template yet.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/paths.h"
#include "tools/qvm/child.h"
#include "tools/qvm/volume.h"
#include "tools/template/install.h"

static int say(const struct install *job, const struct admin_reply *reply)
{
	if (!reply->error)
		return 0;
	err_printf("%s: %s\n", job->qube, admin_error_shown(reply));
	return -1;
}

static struct admin_reply create(const struct install *job)
{
	if (job->pool)
		return admin_call("admin.vm.CreateInPool.TemplateVM", NULL, "dom0",
		                  arena_printf("name=%s label=black pool=%s", job->qube,
		                               job->pool));
	return admin_call("admin.vm.Create.TemplateVM", NULL, "dom0",
	                  arena_printf("name=%s label=black", job->qube));
}

static int mark(const struct install *job)
{
	const struct rpm_package *p = job->package->package;
	const struct evr evr = {arena_printf("%u", p->epoch), p->version, p->release};
	struct admin_reply reply =
	        admin_call("admin.vm.feature.Set", TEMPLATE_UNFINISHED, job->qube, evr_text(&evr));

	return say(job, &reply);
}

static int unmark(const struct install *job)
{
	struct admin_reply reply =
	        admin_call("admin.vm.feature.Remove", TEMPLATE_UNFINISHED, job->qube, NULL);

	return say(job, &reply);
}

/* The image, and only if the package was right to its end. */
static int import(const struct install *job, struct payload *payload, struct payload_info *info)
{
	struct admin_reply reply =
	        volume_import_fd(job->qube, "root", payload->image, (long long)payload->size);
	const char *why;

	if (payload_end(payload, info, &why)) {
		/* Who takes the image knows why he did not. */
		if (reply.error && strcmp(why, payload_error(PAYLOAD_E_WRITE)) == 0)
			return say(job, &reply);
		err_printf("%s: refused: %s\n", job->package->spec, why);
		return -1;
	}
	return say(job, &reply);
}

static int finish(const struct install *job, const struct payload_info *info)
{
	struct admin_reply reply = {0};

	if (job->existing) {
		reply = admin_call("admin.vm.volume.Clear", "private", job->qube, NULL);
		if (say(job, &reply))
			return -1;
	}
	reply = settings_apply(job, info);
	if (!reply.error)
		reply = settings_describe(job);
	return say(job, &reply) || unmark(job) ? -1 : 0;
}

static int make_new(const struct install *job, struct payload *payload, struct payload_info *info)
{
	struct admin_reply reply = {0};

	if (unfinished_begin(job->options, job->qube))
		return -1;
	reply = create(job);
	if (say(job, &reply)) {
		unfinished_end(job->options);
		return -1;
	}
	if (mark(job) || import(job, payload, info) || finish(job, info)) {
		reply = admin_call("admin.vm.Remove", NULL, job->qube, NULL);
		/* Else the next one takes it away. */
		if (say(job, &reply) == 0)
			unfinished_end(job->options);
		return -1;
	}
	unfinished_end(job->options);
	return 0;
}

static int replace(const struct install *job, struct payload *payload, struct payload_info *info)
{
	if (mark(job))
		return -1;
	if (import(job, payload, info)) {
		/* Nothing has changed. */
		(void)unmark(job);
		return -1;
	}
	return finish(job, info);
}

static const char *qvm_program(void)
{
	static const char *const places[] = {"qvm", "../qvm/qvm", NULL};
	char *path = arena_alloc(PATH_MAX);

	return path_program(path, PATH_MAX, places) == 0 ? path : "qvm";
}

/* Commands that ask and call as a person would. */
static int run(const char *const *argv)
{
	OWNED_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = child_start(argv, (const int[]){nothing, nothing, -1});

	return pid < 0 ? -1 : child_status(pid);
}

/* The template tells what it can do and which applications it has. */
static int post_install(const struct install *job)
{
	const char *qvm = qvm_program();
	int called =
	        run((const char *const[]){qvm, "qvm-run", "-q", "--no-gui", "--pass-io",
	                                  "--service", "--", job->qube, "qubes.PostInstall", NULL});
	int ended =
	        run((const char *const[]){qvm, "qvm-shutdown", "-q", "--wait", job->qube, NULL});

	if (called)
		err_printf("%s: installed, but qubes.PostInstall in it failed with status %d\n",
		           job->qube, called);
	if (ended)
		err_printf("%s: installed, but it was not shut down\n", job->qube);
	return called || ended ? -1 : 0;
}

int install_make(const struct install *job)
{
	static struct payload_info info;
	const struct rpm_package *p = job->package->package;
	const struct payload_options options = {.name = p->name + strlen(TEMPLATE_PREFIX),
	                                        .allow_pv = job->allow_pv,
	                                        .show = job->options->verbose};
	struct payload payload;
	const char *why;
	int r;

	if (payload_start(job->package->fd, p->payload_at, &options, &payload, &why)) {
		err_printf("%s: refused: %s\n", job->package->spec, why);
		return -1;
	}
	r = job->existing ? replace(job, &payload, &info) : make_new(job, &payload, &info);
	if (payload.reader > 0 && payload_end(&payload, &info, &why))
		r = -1;
	if (r || job->skip_start)
		return r;
	return post_install(job);
}
