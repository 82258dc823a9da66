/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a property is when nobody set it. Facts: doc/protocol/core-model.md, Properties. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/admin/network.h"
#include "services/admin/preload.h"
#include "services/admin/property_internal.h"

#define DNS_TEXT    "10.139.1.1 10.139.1.2"
#define NETMASK     "255.255.255.255"
#define DEFAULT_MAC "00:16:3e:5e:6c:00"
#define MAXMEM_MAX  4000 /* MiB; when the qube is not known to balance well */

static struct qube *template_of(const struct qube *q)
{
	return property_has(q, PROP_TEMPLATE) ? property_qube(q, PROP_TEMPLATE) : NULL;
}

/* The template's value of the same property, if there is a template. */
static bool inherited(const struct qube *q, enum property_id id, struct text *out)
{
	struct qube *template = template_of(q);

	return template && property_read(template, id, out);
}

static bool system_value(enum property_id id, struct text *out)
{
	return property_read(world.system, id, out);
}

static bool say(struct text *out, const char *s)
{
	text_puts(out, s);
	return true;
}

FALLBACK(false)
{
	return say(out, "False");
}
FALLBACK(true)
{
	return say(out, "True");
}
FALLBACK(empty)
{
	return say(out, "");
}
FALLBACK(none)
{
	return say(out, "");
}
FALLBACK(sixty)
{
	return say(out, "60");
}
FALLBACK(three)
{
	return say(out, "3");
}
FALLBACK(dom0)
{
	return say(out, "dom0");
}
FALLBACK(mac)
{
	return say(out, DEFAULT_MAC);
}
FALLBACK(klass)
{
	return say(out, class_name(q->klass));
}
FALLBACK(name)
{
	return say(out, q->name);
}
FALLBACK(uuid)
{
	return say(out, q->uuid);
}
FALLBACK(kernel)
{
	return inherited(q, PROP_KERNEL, out) || system_value(SYS_DEFAULT_KERNEL, out);
}
FALLBACK(memory)
{
	return inherited(q, PROP_MEMORY, out) || say(out, "400");
}
FALLBACK(vcpus)
{
	return inherited(q, PROP_VCPUS, out) || say(out, "2");
}
FALLBACK(audiovm)
{
	return system_value(SYS_DEFAULT_AUDIOVM, out);
}
FALLBACK(guivm)
{
	return system_value(SYS_DEFAULT_GUIVM, out);
}
FALLBACK(default_pool_role)
{
	return system_value(SYS_DEFAULT_POOL, out);
}

FALLBACK(qid)
{
	text_printf(out, "%" PRIu32, q->qid);
	return true;
}

FALLBACK(own_label_icon)
{
	const char *prefix = "appvm";
	const char *label = q->values[PROP_LABEL];

	if (q->klass == CLASS_ADMIN)
		return say(out, "adminvm-black");
	if (q->klass == CLASS_TEMPLATE || property_bool(q, PROP_TEMPLATE_FOR_DISPVMS))
		prefix = "templatevm";
	else if (feature_true(feature_get(q, "servicevm")))
		prefix = "servicevm";
	else if (q->klass == CLASS_DISP)
		prefix = "dispvm";
	else if (q->klass == CLASS_STANDALONE)
		prefix = "standalonevm";
	else if (q->klass == CLASS_REMOTE)
		prefix = "remotevm";
	text_printf(out, "%s-%s", prefix, label ? label : "None");
	return true;
}

FALLBACK(inherited_user)
{
	return inherited(q, PROP_DEFAULT_USER, out) || say(out, "user");
}

FALLBACK(dns)
{
	return say(out, network_is_on(q) ? DNS_TEXT : "");
}

FALLBACK(ip)
{
	return network_ip(q, out) || say(out, "");
}

FALLBACK(ip6)
{
	return network_ip6(q, out) || say(out, "");
}

/* A value that a feature hides from the qube itself, or the true one. */
static bool visible(const struct qube *q, const char *feature, const struct qube *owner,
                    enum property_id id, struct text *out)
{
	const char *fake = feature_with_template(q, feature);

	if (feature_true(fake))
		return say(out, fake);
	return (owner && property_read(owner, id, out)) || say(out, "");
}

FALLBACK(visible_ip)
{
	return visible(q, "net.fake-ip", q, PROP_IP, out);
}

FALLBACK(visible_ip6)
{
	return property_read(q, PROP_IP6, out);
}

FALLBACK(visible_gateway)
{
	return visible(q, "net.fake-gateway", network_netvm(q), PROP_GATEWAY, out);
}

FALLBACK(visible_gateway6)
{
	const struct qube *netvm = network_netvm(q);

	return (netvm && property_read(netvm, PROP_GATEWAY6, out)) || say(out, "");
}

FALLBACK(visible_netmask)
{
	const char *fake = feature_with_template(q, "net.fake-netmask");

	if (feature_true(fake))
		return say(out, fake);
	return say(out, network_netvm(q) ? NETMASK : "");
}

FALLBACK(gateway)
{
	if (!property_bool(q, PROP_PROVIDES_NETWORK))
		return say(out, "");
	return property_read(q, PROP_VISIBLE_IP, out);
}

FALLBACK(gateway6)
{
	if (!property_bool(q, PROP_PROVIDES_NETWORK))
		return say(out, "");
	return property_read(q, PROP_VISIBLE_IP6, out);
}

FALLBACK(include_in_backups)
{
	if (q->klass == CLASS_REMOTE)
		return say(out, "False");
	return say(out, q->klass == CLASS_DISP && property_bool(q, PROP_AUTO_CLEANUP) ? "False"
	                                                                              : "True");
}

FALLBACK(is_preload)
{
	return say(out, preload_is(q) ? "True" : "False");
}

FALLBACK(keyboard_layout)
{
	struct qube *guivm = property_has(q, PROP_GUIVM) ? property_qube(q, PROP_GUIVM) : NULL;
	size_t depth;
	const struct qube *at = guivm;

	/* A GUI domain may itself be shown by another; a ring of them has no layout of its own. */
	for (depth = 0; at && depth < 8; depth++) {
		if (at->values[PROP_KEYBOARD_LAYOUT])
			return say(out, at->values[PROP_KEYBOARD_LAYOUT]);
		at = property_has(at, PROP_GUIVM) ? property_qube(at, PROP_GUIVM) : NULL;
	}
	return say(out, "us++");
}

bool pci_assigned(const struct qube *q)
{
	size_t i;

	for (i = 0; i < q->n_assigned; i++)
		if (text_equal(q->assigned[i]->devclass, "pci"))
			return true;
	return false;
}

static bool any_feature(const struct qube *q, const char *prefix)
{
	size_t i;

	for (i = 0; i < q->n_features; i++)
		if (text_starts(q->features[i].name, prefix))
			return true;
	return false;
}

/* A qube that cannot tell how much memory it needs is given what it starts with. */
static bool balancing_possible(const struct qube *q)
{
	const struct qube *at;
	AUTO_TEXT virt = {0};

	if (pci_assigned(q))
		return false;
	property_read(q, PROP_VIRT_MODE, &virt);
	if (text_equal(text_get(&virt), "hvm") && !feature_true(feature_with_template(q, "qrexec")))
		return false;
	for (at = q; at; at = template_of(at))
		if (any_feature(at, "supported-service."))
			return feature_true(
			        feature_with_template(q, "supported-service.meminfo-writer"));
	return true;
}

FALLBACK(maxmem)
{
	long long most;

	if (q->klass == CLASS_ADMIN) {
		text_printf(out, "%" PRIu64, world.host.dom0_static_max_kib / 1024);
		return true;
	}
	if (!balancing_possible(q))
		return say(out, "0");
	if (inherited(q, PROP_MAXMEM, out))
		return true;
	most = text_equal(feature_get(q, "os"), "Linux") ? property_int(q, PROP_MEMORY) : 0;
	most = most > 0 && most <= MAXMEM_MAX / 10 ? most * 10 : MAXMEM_MAX;
	if (text_equal(feature_get(q, "os"), "Linux") &&
	    property_int(q, PROP_MEMORY) > MAXMEM_MAX / 10)
		most = property_int(q, PROP_MEMORY) > (1LL << 40)
		               ? 1LL << 43
		               : property_int(q, PROP_MEMORY) * 10;
	if ((uint64_t)most > world.host.memory_mib / 2)
		most = (long long)(world.host.memory_mib / 2);
	text_printf(out, "%lld", most);
	return true;
}

FALLBACK(qrexec_timeout)
{
	return inherited(q, PROP_QREXEC_TIMEOUT, out) ||
	       system_value(SYS_DEFAULT_QREXEC_TIMEOUT, out);
}

FALLBACK(shutdown_timeout)
{
	return inherited(q, PROP_SHUTDOWN_TIMEOUT, out) ||
	       system_value(SYS_DEFAULT_SHUTDOWN_TIMEOUT, out);
}

FALLBACK(start_time)
{
	if (q->run.start_time > 0)
		text_printf(out, "%.2f", q->run.start_time);
	return out->data || say(out, "");
}

FALLBACK(stubdom_uuid)
{
	return say(out, "");
}

FALLBACK(stubdom_xid)
{
	text_printf(out, "%d", q->run.stub_domid ? (int)q->run.stub_domid : -1);
	return true;
}

FALLBACK(xid)
{
	text_printf(out, "%d", q->run.domid ? (int)q->run.domid : -1);
	return true;
}

FALLBACK(updateable)
{
	return say(out, property_has(q, PROP_TEMPLATE) ? "False" : "True");
}

FALLBACK(virt_mode)
{
	if (pci_assigned(q))
		return say(out, "hvm");
	return inherited(q, PROP_VIRT_MODE, out) || say(out, "pvh");
}

static bool bootmode_known(const struct qube *q, const char *mode)
{
	AUTO_TEXT name = {0};

	if (text_equal(mode, "default"))
		return true;
	text_printf(&name, "boot-mode.kernelopts.%s", mode);
	return feature_with_template(q, text_get(&name)) != NULL;
}

FALLBACK(appvm_default_bootmode)
{
	const char *mode = feature_get(q, "boot-mode.appvm-default");

	return say(out, mode ? mode : "default");
}

FALLBACK(bootmode)
{
	const char *mode = feature_get(q, "boot-mode.active");
	struct qube *template = template_of(q);
	AUTO_TEXT from = {0};

	if (mode && bootmode_known(q, mode))
		return say(out, mode);
	while (template && template_of(template))
		template = template_of(template);
	if (template && property_read(template, PROP_APPVM_DEFAULT_BOOTMODE, &from) &&
	    bootmode_known(q, text_get(&from)))
		return say(out, text_get(&from));
	return say(out, "default");
}

FALLBACK(default_dispvm)
{
	struct qube *template = q->klass == CLASS_DISP ? template_of(q) : NULL;

	if (template)
		return say(out, template->name);
	return system_value(SYS_DEFAULT_DISPVM, out);
}

FALLBACK(kernelopts)
{
	AUTO_TEXT kernel = {0};

	property_read(q, PROP_KERNEL, &kernel);
	if (kernel.len == 0)
		return say(out, "");
	if (pci_assigned(q)) {
		struct qube *dom0 = qube_by_name("dom0");

		return say(out, feature_true(feature_get(dom0, "suspend-s0ix"))
		                        ? " qubes_exp_pm_use_suspend=1"
		                        : "");
	}
	return inherited(q, PROP_KERNELOPTS, out) || say(out, "swiotlb=2048");
}

FALLBACK(management_dispvm)
{
	return inherited(q, PROP_MANAGEMENT_DISPVM, out) ||
	       system_value(SYS_MANAGEMENT_DISPVM, out);
}

FALLBACK(netvm)
{
	if (q->klass == CLASS_TEMPLATE)
		return say(out, "");
	return system_value(SYS_DEFAULT_NETVM, out);
}

FALLBACK(default_pool)
{
	struct pool *p = pool_by_name("default");
	size_t i;

	if (p)
		return say(out, p->name);
	for (i = 0; i < world.n_pools; i++) {
		const char *dir =
		        pairs_get(world.pools[i]->config, world.pools[i]->n_config, "dir_path");

		if (dir && text_equal(dir, "/var/lib/qubes"))
			return say(out, world.pools[i]->name);
	}
	return false;
}

FALLBACK(host_memory)
{
	text_printf(out, "%" PRIu64, world.host.memory_mib);
	return true;
}

FALLBACK(host_cpus)
{
	text_printf(out, "%" PRIu32, world.host.cpus);
	return true;
}
