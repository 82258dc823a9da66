/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All properties. Columns: name, id, type, classes, stage, flags, default, check, allow, effect, help.
 * Rows stand in the order of lists: stage, then name. doc/protocol/core-model.md has the rules.
 */
#include <string.h>

#include "services/admin/property_internal.h"

#define ADMIN      CLASS_BIT(CLASS_ADMIN)
#define TEMPLATE   CLASS_BIT(CLASS_TEMPLATE)
#define STANDALONE CLASS_BIT(CLASS_STANDALONE)
#define APP        CLASS_BIT(CLASS_APP)
#define DISP       CLASS_BIT(CLASS_DISP)
#define REMOTE     CLASS_BIT(CLASS_REMOTE)
#define SYSTEM     CLASS_BIT(CLASS_SYSTEM)
#define LOCAL      (TEMPLATE | STANDALONE | APP | DISP)
#define ALL        (LOCAL | ADMIN | REMOTE)

#define ROW(nm, pid, ty, cl, st, fl, def, chk, alw, eff, hlp)                                      \
	{                                                                                          \
		.name = nm, .id = pid, .type = TYPE_##ty, .classes = cl, .stage = st, .flags = fl, \
		.fallback = def, .check = chk, .allow = alw, .effect = eff, .help = hlp            \
	}
#define RO   PROP_READ_ONLY
#define F(x) fallback_##x
#define C(x) check_##x
#define A(x) allow_##x
#define E(x) effect_##x
#define NO   NULL

static const struct property table[] = {
        ROW("auto_cleanup", PROP_AUTO_CLEANUP, BOOL, DISP, 2, 0, F(false), NO, NO, NO,
            "Remove the qube when it is shut down."),
        ROW("autostart", PROP_AUTOSTART, BOOL, LOCAL, 2, 0, F(false), NO, NO, NO,
            "Start the qube together with the system."),
        ROW("backup_timestamp", PROP_BACKUP_TIMESTAMP, INT, LOCAL, 2, 0, NO, NO, NO, NO,
            "Time of the last backup of the qube, in seconds since 1970."),
        ROW("check_updates_vm", SYS_CHECK_UPDATES_VM, BOOL, SYSTEM, 2, 0, F(true), NO, NO, NO,
            "Whether new qubes look for updates."),
        ROW("debug", PROP_DEBUG, BOOL, LOCAL, 2, 0, F(false), NO, NO, NO,
            "Keep more logs of the qube."),
        ROW("default_kernel", SYS_DEFAULT_KERNEL, STR, SYSTEM, 2, 0, NO, NO, A(kernel_installed),
            NO, "Kernel of qubes that name none."),
        ROW("default_pool", SYS_DEFAULT_POOL, STR, SYSTEM, 2, 0, F(default_pool), C(pool), NO, NO,
            "Pool of new volumes."),
        ROW("default_pool_kernel", SYS_DEFAULT_POOL_KERNEL, STR, SYSTEM, 2, 0, F(default_pool_role),
            C(pool), NO, NO, "Pool of new kernel volumes."),
        ROW("default_pool_private", SYS_DEFAULT_POOL_PRIVATE, STR, SYSTEM, 2, 0,
            F(default_pool_role), C(pool), NO, NO, "Pool of new private volumes."),
        ROW("default_pool_root", SYS_DEFAULT_POOL_ROOT, STR, SYSTEM, 2, 0, F(default_pool_role),
            C(pool), NO, NO, "Pool of new root volumes."),
        ROW("default_pool_volatile", SYS_DEFAULT_POOL_VOLATILE, STR, SYSTEM, 2, 0,
            F(default_pool_role), C(pool), NO, NO, "Pool of new volatile volumes."),
        ROW("default_qrexec_timeout", SYS_DEFAULT_QREXEC_TIMEOUT, INT, SYSTEM, 2, 0, F(sixty),
            C(positive), NO, NO, "Seconds to wait for the agent of a qube that starts."),
        ROW("default_shutdown_timeout", SYS_DEFAULT_SHUTDOWN_TIMEOUT, INT, SYSTEM, 2, 0, F(sixty),
            C(positive), NO, NO, "Seconds to wait for a qube that shuts down."),
        ROW("default_user", PROP_DEFAULT_USER, STR, LOCAL, 2, PROP_INHERITED, F(inherited_user),
            C(user), NO, NO, "User that services run as when nothing else is said."),
        ROW("devices_denied", PROP_DEVICES_DENIED, STR, LOCAL | ADMIN, 2, 0, F(empty),
            C(devices_denied), NO, NO, "Codes of device interfaces that must not be attached."),
        ROW("dispid", PROP_DISPID, INT, DISP, 2, PROP_ONCE, NO, NO, NO, NO,
            "Number of the disposable, for its name and address."),
        ROW("dns", PROP_DNS, STR, LOCAL, 2, RO, F(dns), NO, NO, NO,
            "Addresses of the name servers that the qube uses."),
        ROW("gateway", PROP_GATEWAY, STR, LOCAL, 2, RO, F(gateway), NO, NO, NO,
            "Gateway that the qube is for those connected to it."),
        ROW("gateway6", PROP_GATEWAY6, STR, LOCAL, 2, RO, F(gateway6), NO, NO, NO,
            "Gateway for IPv6 that the qube is for those connected to it."),
        ROW("icon", PROP_ICON, STR, ALL, 2, RO, F(own_label_icon), NO, NO, NO,
            "Name of the icon that stands for the qube."),
        ROW("include_in_backups", PROP_INCLUDE_IN_BACKUPS, BOOL, ALL, 2, 0, F(include_in_backups),
            NO, NO, NO, "Whether a backup takes the qube when nothing else is said."),
        ROW("installed_by_rpm", PROP_INSTALLED_BY_RPM, BOOL, LOCAL, 2, 0, F(false), NO, NO, NO,
            "Whether a package installed the qube, which then alone removes it."),
        ROW("ip", PROP_IP, STR, LOCAL, 2, 0, F(ip), C(ip), NO, E(ip), "Address of the qube."),
        ROW("ip6", PROP_IP6, STR, LOCAL, 2, 0, F(ip6), C(ip6), NO, E(ip6),
            "IPv6 address of the qube."),
        ROW("is_preload", PROP_IS_PRELOAD, BOOL, DISP, 2, RO, F(is_preload), NO, NO, NO,
            "Whether the disposable waits in the pool of ready ones."),
        ROW("kernel", PROP_KERNEL, STR, LOCAL, 2, PROP_INHERITED, F(kernel), C(kernel),
            A(kernel_installed), NO, "Kernel of the qube; empty for one from its own root volume."),
        ROW("keyboard_layout", PROP_KEYBOARD_LAYOUT, STR, LOCAL | ADMIN, 2, 0, F(keyboard_layout),
            C(keyboard_layout), NO, E(keyboard_layout),
            "Layout, variant and options, joined by +."),
        ROW("klass", PROP_KLASS, STR, ALL, 2, RO, F(klass), NO, NO, NO, "Class of the qube."),
        ROW("label", PROP_LABEL, LABEL, ALL, 2, 0, NO, NO, NO, E(label),
            "Colourful label that marks the windows of the qube."),
        ROW("mac", PROP_MAC, STR, LOCAL, 2, 0, F(mac), C(mac), NO, NO,
            "Hardware address of the qube's network interface."),
        ROW("maxmem", PROP_MAXMEM, INT, LOCAL, 2, PROP_INHERITED, F(maxmem), C(maxmem), A(maxmem),
            E(maxmem), "Memory in MiB that the qube may grow to; 0: it does not grow."),
        ROW("maxmem", PROP_MAXMEM, INT, ADMIN, 2, RO, F(maxmem), NO, NO, NO, "Memory in MiB."),
        ROW("maxmem", SYS_MAXMEM, INT, SYSTEM, 2, RO, F(host_memory), NO, NO, NO,
            "Memory of the machine in MiB."),
        ROW("memory", PROP_MEMORY, INT, LOCAL, 2, PROP_INHERITED, F(memory), C(positive), NO, NO,
            "Memory in MiB that the qube starts with."),
        ROW("name", PROP_NAME, STR, ALL, 2, PROP_ONCE | PROP_FIXED, F(name), NO, NO, NO,
            "Name of the qube."),
        ROW("no_cpus", SYS_NO_CPUS, INT, SYSTEM, 2, RO, F(host_cpus), NO, NO, NO,
            "Processors of the machine."),
        ROW("provides_network", PROP_PROVIDES_NETWORK, BOOL, LOCAL, 2, 0, F(false),
            C(provides_network), A(provides_network), E(provides_network),
            "Whether other qubes may use it as netvm."),
        ROW("qid", PROP_QID, INT, ALL, 2, PROP_ONCE | PROP_FIXED, F(qid), NO, NO, NO,
            "Number of the qube."),
        ROW("qrexec_timeout", PROP_QREXEC_TIMEOUT, INT, LOCAL, 2, PROP_INHERITED, F(qrexec_timeout),
            C(positive), NO, NO, "Seconds to wait for the agent when the qube starts."),
        ROW("remote_name", PROP_REMOTE_NAME, STR, REMOTE, 2, 0, NO, NO, NO, NO,
            "Name of the qube on the other machine."),
        ROW("shutdown_timeout", PROP_SHUTDOWN_TIMEOUT, INT, LOCAL, 2, PROP_INHERITED,
            F(shutdown_timeout), C(positive), NO, NO, "Seconds to wait when the qube shuts down."),
        ROW("start_time", PROP_START_TIME, STR, LOCAL, 2, RO, F(start_time), NO, NO, NO,
            "When the qube was started, in seconds since 1970."),
        ROW("stats_interval", SYS_STATS_INTERVAL, INT, SYSTEM, 2, 0, F(three), C(positive), NO, NO,
            "Seconds between two rounds of statistics."),
        ROW("stubdom_mem", PROP_STUBDOM_MEM, INT, LOCAL, 2, 0, NO, C(positive), NO, NO,
            "Memory in MiB of the stub domain."),
        ROW("stubdom_uuid", PROP_STUBDOM_UUID, STR, LOCAL, 2, RO, F(stubdom_uuid), NO, NO, NO,
            "UUID of the stub domain that runs."),
        ROW("stubdom_xid", PROP_STUBDOM_XID, INT, LOCAL, 2, RO, F(stubdom_xid), NO, NO, NO,
            "Number of the stub domain that runs."),
        ROW("template_for_dispvms", PROP_TEMPLATE_FOR_DISPVMS, BOOL, APP | STANDALONE, 2, 0,
            F(false), NO, A(template_for_dispvms), E(template_for_dispvms),
            "Whether disposables may be based on this qube."),
        ROW("transport_rpc", PROP_TRANSPORT_RPC, STR, REMOTE, 2, 0, NO, NO, NO, NO,
            "Service of the relay that carries calls to the other machine."),
        ROW("updateable", PROP_UPDATEABLE, BOOL, LOCAL | ADMIN, 2, RO, F(updateable), NO, NO, NO,
            "Whether software is installed in the qube itself."),
        ROW("uuid", PROP_UUID, STR, ALL, 2, PROP_ONCE | PROP_FIXED, F(uuid), NO, NO, NO,
            "Identifier of the qube that is never used again."),
        ROW("vcpus", PROP_VCPUS, INT, LOCAL, 2, PROP_INHERITED, F(vcpus), C(positive), NO, NO,
            "Processors of the qube."),
        ROW("virt_mode", PROP_VIRT_MODE, STR, LOCAL, 2, 0, F(virt_mode), C(virt_mode), NO, NO,
            "Kind of virtual machine: pv, pvh or hvm."),
        ROW("visible_gateway", PROP_VISIBLE_GATEWAY, STR, LOCAL, 2, RO, F(visible_gateway), NO, NO,
            NO, "Gateway as the qube sees it."),
        ROW("visible_gateway6", PROP_VISIBLE_GATEWAY6, STR, LOCAL, 2, RO, F(visible_gateway6), NO,
            NO, NO, "IPv6 gateway as the qube sees it."),
        ROW("visible_ip", PROP_VISIBLE_IP, STR, LOCAL, 2, RO, F(visible_ip), NO, NO, NO,
            "Address of the qube as it sees it."),
        ROW("visible_ip6", PROP_VISIBLE_IP6, STR, LOCAL, 2, RO, F(visible_ip6), NO, NO, NO,
            "IPv6 address of the qube as it sees it."),
        ROW("visible_netmask", PROP_VISIBLE_NETMASK, STR, LOCAL, 2, RO, F(visible_netmask), NO, NO,
            NO, "Network mask as the qube sees it."),
        ROW("xid", PROP_XID, INT, LOCAL, 2, RO, F(xid), NO, NO, NO,
            "Number of the domain that runs; -1 if none does."),

        ROW("appvm_default_bootmode", PROP_APPVM_DEFAULT_BOOTMODE, STR, TEMPLATE, 4, 0,
            F(appvm_default_bootmode), NO, NO, NO, "Boot mode of app qubes that name none."),
        ROW("audiovm", PROP_AUDIOVM, VM, LOCAL, 4, 0, F(audiovm), C(local_or_none), NO, E(audiovm),
            "Qube that plays and records sound for this one."),
        ROW("bootmode", PROP_BOOTMODE, STR, LOCAL, 4, 0, F(bootmode), NO, NO, NO,
            "Set of kernel options that the qube starts with."),
        ROW("clockvm", SYS_CLOCKVM, VM, SYSTEM, 4, 0, F(none), NO, NO, E(clockvm),
            "Qube that the others get the time from."),
        ROW("default_audiovm", SYS_DEFAULT_AUDIOVM, VM, SYSTEM, 4, 0, F(dom0), C(local_or_none), NO,
            E(default_audiovm), "Audio qube of qubes that name none."),
        ROW("default_dispvm", PROP_DEFAULT_DISPVM, VM, LOCAL | ADMIN, 4, 0, F(default_dispvm),
            C(dispvm_template), NO, NO, "Disposable template for calls from this qube."),
        ROW("default_dispvm", SYS_DEFAULT_DISPVM, VM, SYSTEM, 4, 0, F(none), C(dispvm_template), NO,
            E(default_dispvm), "Disposable template of qubes that name none."),
        ROW("default_guivm", SYS_DEFAULT_GUIVM, VM, SYSTEM, 4, 0, F(dom0), C(local_or_none), NO,
            E(default_guivm), "GUI domain of qubes that name none."),
        ROW("default_netvm", SYS_DEFAULT_NETVM, VM, SYSTEM, 4, 0, F(none), C(default_netvm),
            A(default_netvm), E(default_netvm), "Network provider of qubes that name none."),
        ROW("default_template", SYS_DEFAULT_TEMPLATE, VM, SYSTEM, 4, 0, NO, C(default_template), NO,
            NO, "Template of new qubes."),
        ROW("guivm", PROP_GUIVM, VM, LOCAL, 4, 0, F(guivm), C(local_or_none), NO, E(guivm),
            "Qube that shows the windows of this one."),
        ROW("kernelopts", PROP_KERNELOPTS, STR, LOCAL, 4, PROP_INHERITED, F(kernelopts),
            C(kernelopts), NO, NO, "Options on the command line of the kernel."),
        ROW("management_dispvm", PROP_MANAGEMENT_DISPVM, VM, LOCAL, 4, PROP_INHERITED,
            F(management_dispvm), C(dispvm_template), NO, NO,
            "Disposable template for the management of this qube."),
        ROW("management_dispvm", SYS_MANAGEMENT_DISPVM, VM, SYSTEM, 4, 0, F(none),
            C(dispvm_template), NO, NO, "Disposable template for the management of qubes."),
        ROW("netvm", PROP_NETVM, VM, LOCAL, 4, 0, F(netvm), C(netvm), A(netvm), E(netvm),
            "VM that provides network connection to this domain. When None, machine is "
            "disconnected. When absent, domain uses default NetVM."),
        ROW("relayvm", PROP_RELAYVM, VM, REMOTE, 4, 0, F(none), C(local_or_none), NO, E(relayvm),
            "Qube that calls to this one go through."),
        ROW("template", PROP_TEMPLATE, VM, APP | DISP, 4, PROP_KEEP, NO, C(template), A(template),
            E(template), "Qube whose root volume this one starts from."),
        ROW("updatevm", SYS_UPDATEVM, VM, SYSTEM, 4, 0, F(none), NO, NO, NO,
            "Qube that downloads the updates of dom0."),
};

const struct property *property_table(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(table);
	return table;
}

const struct property *property_of(enum property_id id)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].id == id)
			return &table[i];
	return NULL;
}

const struct property *property_by_name(const struct qube *q, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].classes & CLASS_BIT(q->klass) && strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
