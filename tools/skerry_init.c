/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * skerry init: what a new system needs before the first qube can be made. On the local ground: a template
 * that is this machine's own /usr, one qube for disposables, one that provides the network. On Xen: a kernel
 * and a template for the small qube that comes with dom0's image, and one for disposables. What is there
 * already stays as it is, so it can be run again at any time.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/skerry_admin.h"

#define TEMPLATE  "host"
#define DVM       "default-dvm"
#define NETVM     "sys-net"
#define HOST_POOL "host"
#define POOL      "local"
#define TINY      "tiny" /* a kernel whose initramfs is a whole small system */
#define TINY_MIB  "96"

struct init {
	struct qubes qubes;
	const struct skerry_options *options;
	bool changed;
};

/* Whether this is dom0 of a Xen machine. */
static bool on_xen(void)
{
	FILE *f = fopen("/proc/xen/capabilities", "re");
	char line[64] = "";
	bool found = f && fgets(line, sizeof(line), f) && strstr(line, "control_d");

	if (f)
		(void)fclose(f);
	return found;
}

/* Whether a method's answer has a line of these words. */
static bool has_line(const char *method, const char *argument, const char *name)
{
	struct admin_reply reply = admin_call(method, argument, "dom0", NULL);
	size_t len = strlen(name);

	if (reply.error)
		return false;
	for (const char *at = reply.content; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, name, len) == 0 && (at[len] == '\n' || !at[len]))
			return true;
	return false;
}

static bool has_pool(const char *name)
{
	return has_line("admin.pool.List", NULL, name);
}

/* Done, or told why not. */
static bool ask(struct init *init, const char *method, const char *argument, const char *target,
                const char *payload)
{
	struct admin_reply reply = admin_call(method, argument, target, payload);

	if (reply.error) {
		(void)refused("init",
		              argument ? arena_printf("%s of %s", argument, target) : target,
		              &reply);
		return false;
	}
	init->changed = true;
	return true;
}

static void tell(const struct init *init, const char *name, const char *what)
{
	if (init->options->json)
		out_printf("{\"name\": %s, \"created\": true}\n", json_text(name));
	else
		out_printf("%s: %s\n", name, what);
}

/*
 * Where a qube is a set of namespaces its volumes are directory trees, and the template's root is this
 * machine's.
 */
static bool make_pools(struct init *init)
{
	if (!has_pool(HOST_POOL) &&
	    !ask(init, "admin.pool.Add", "host", "dom0", "name=" HOST_POOL "\n"))
		return false;
	if (has_pool(POOL))
		return true;
	return ask(init, "admin.pool.Add", "directory", "dom0",
	           "name=" POOL "\ndir_path=/var/lib/qubes\n") &&
	       ask(init, "admin.property.Set", "default_pool", "dom0", POOL);
}

/* Features that say what our own programs in every qube do. */
static bool set_features(struct init *init, const char *template)
{
	static const char *const features[][2] = {
	        {"qrexec", "1"},
	        {"os", "Linux"},
	        {"vmexec", "1"},
	        {"supported-rpc.qubes.WaitForRunningSystem", "1"},
	        {"supported-rpc.qubes.WaitForSession", "1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (!ask(init, "admin.vm.feature.Set", features[i][0], template, features[i][1]))
			return false;
	return true;
}

static bool make_template(struct init *init)
{
	if (qubes_find(&init->qubes, TEMPLATE))
		return true;
	if (!ask(init, "admin.vm.CreateInPool.TemplateVM", NULL, "dom0",
	         "name=" TEMPLATE " label=black pool:root=" HOST_POOL) ||
	    !set_features(init, TEMPLATE))
		return false;
	tell(init, TEMPLATE, "a template that is this machine's own /usr, for reading only");
	return ask(init, "admin.property.Set", "default_template", "dom0", TEMPLATE);
}

/* Its qubes have all that they need in the kernel's initramfs; their disks are for what they keep. */
static bool make_tiny(struct init *init)
{
	if (qubes_find(&init->qubes, TINY))
		return true;
	if (!ask(init, "admin.property.Set", "default_kernel", "dom0", TINY) ||
	    !ask(init, "admin.vm.Create.TemplateVM", NULL, "dom0", "name=" TINY " label=black") ||
	    !ask(init, "admin.vm.property.Set", "memory", TINY, TINY_MIB) ||
	    !ask(init, "admin.vm.property.Set", "vcpus", TINY, "1") || !set_features(init, TINY))
		return false;
	tell(init, TINY, "a template for small qubes that run from memory");
	return ask(init, "admin.property.Set", "default_template", "dom0", TINY);
}

static bool make_network(struct init *init)
{
	/* The program that carries the packets; without it every qube is offline. */
	static const char *const places[] = {"/usr/bin/pasta", "/usr/local/bin/pasta",
	                                     "/bin/pasta"};
	bool can = false;

	if (qubes_find(&init->qubes, NETVM))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		can |= access(places[i], X_OK) == 0;
	if (!can) {
		err_printf("skerry init: qubes will have no network: pasta is not installed; "
		           "'apt-get install passt', then 'skerry init' again\n");
		return true;
	}
	if (!ask(init, "admin.vm.Create.AppVM", TEMPLATE, "dom0", "name=" NETVM " label=red") ||
	    !ask(init, "admin.vm.property.Set", "netvm", NETVM, "") ||
	    !ask(init, "admin.vm.property.Set", "provides_network", NETVM, "True"))
		return false;
	tell(init, NETVM, "carries the traffic of the others to this machine's network");
	return ask(init, "admin.property.Set", "default_netvm", "dom0", NETVM);
}

static bool make_disposables(struct init *init, const char *template, const char *ready)
{
	if (qubes_find(&init->qubes, DVM))
		return true;
	if (!ask(init, "admin.vm.Create.AppVM", template, "dom0", "name=" DVM " label=red") ||
	    !ask(init, "admin.vm.property.Set", "template_for_dispvms", DVM, "True") ||
	    !ask(init, "admin.vm.property.Set", "netvm", DVM, "") ||
	    !ask(init, "admin.property.Set", "default_dispvm", "dom0", DVM))
		return false;
	tell(init, DVM, "what disposables are made from");
	return !ready || ask(init, "admin.vm.feature.Set", "preload-dispvm-max", DVM, ready);
}

static bool make_local(struct init *init)
{
	return make_pools(init) && make_template(init) && make_network(init) &&
	       make_disposables(init, TEMPLATE, "2");
}

static bool make_xen(struct init *init)
{
	if (qubes_find(&init->qubes, TINY) ||
	    has_line("admin.pool.volume.List", "linux-kernel", TINY))
		return make_tiny(init) && make_disposables(init, TINY, NULL);
	err_printf("skerry init: there is no kernel " TINY " in /var/lib/qubes/vm-kernels: make "
	           "templates with qvm-create and qvm-volume\n");
	return true;
}

int skerry_init(int argc, char **argv, const struct skerry_options *options)
{
	struct init init = {.options = options};

	(void)argv;
	if (argc != 1)
		return skerry_usage("init");
	if (!qubes_get("init", &init.qubes))
		return SKERRY_REFUSED;
	if (!(on_xen() ? make_xen(&init) : make_local(&init)))
		return SKERRY_REFUSED;
	if (!init.changed && !options->json)
		out_text("nothing to do: template, network and disposables are there\n");
	return SKERRY_DONE;
}
