/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICES_ADMIN_PROPERTY_INTERNAL_H
#define SERVICES_ADMIN_PROPERTY_INTERNAL_H

#include "services/admin/property.h"

/* What property_table.c's rows point to. */

FALLBACK(false);
FALLBACK(true);
FALLBACK(empty);
FALLBACK(own_label_icon);
FALLBACK(sixty);
FALLBACK(three);
FALLBACK(none);
FALLBACK(dom0);
FALLBACK(inherited_user);
FALLBACK(dns);
FALLBACK(gateway);
FALLBACK(gateway6);
FALLBACK(include_in_backups);
FALLBACK(ip);
FALLBACK(ip6);
FALLBACK(is_preload);
FALLBACK(kernel);
FALLBACK(keyboard_layout);
FALLBACK(klass);
FALLBACK(mac);
FALLBACK(maxmem);
FALLBACK(memory);
FALLBACK(name);
FALLBACK(qid);
FALLBACK(uuid);
FALLBACK(qrexec_timeout);
FALLBACK(shutdown_timeout);
FALLBACK(start_time);
FALLBACK(stubdom_uuid);
FALLBACK(stubdom_xid);
FALLBACK(xid);
FALLBACK(updateable);
FALLBACK(vcpus);
FALLBACK(virt_mode);
FALLBACK(visible_gateway);
FALLBACK(visible_gateway6);
FALLBACK(visible_ip);
FALLBACK(visible_ip6);
FALLBACK(visible_netmask);
FALLBACK(appvm_default_bootmode);
FALLBACK(audiovm);
FALLBACK(guivm);
FALLBACK(bootmode);
FALLBACK(default_dispvm);
FALLBACK(kernelopts);
FALLBACK(management_dispvm);
FALLBACK(netvm);
FALLBACK(default_pool);
FALLBACK(default_pool_role);
FALLBACK(host_memory);
FALLBACK(host_cpus);

CHECKER(local_or_none);
CHECKER(user);
CHECKER(devices_denied);
CHECKER(ip);
CHECKER(ip6);
CHECKER(kernel);
CHECKER(kernelopts);
CHECKER(keyboard_layout);
CHECKER(mac);
CHECKER(maxmem);
CHECKER(positive);
CHECKER(netvm);
CHECKER(dispvm_template);
CHECKER(template);
CHECKER(virt_mode);
CHECKER(provides_network);
CHECKER(default_netvm);
CHECKER(default_template);
CHECKER(pool);

ALLOWER(kernel_installed);
ALLOWER(maxmem);
ALLOWER(netvm);
ALLOWER(default_netvm);
ALLOWER(template);
ALLOWER(template_for_dispvms);
ALLOWER(provides_network);

EFFECT(label);
EFFECT(audiovm);
EFFECT(guivm);
EFFECT(relayvm);
EFFECT(ip);
EFFECT(ip6);
EFFECT(netvm);
EFFECT(default_netvm);
EFFECT(provides_network);
EFFECT(template_for_dispvms);
EFFECT(template);
EFFECT(clockvm);
EFFECT(default_guivm);
EFFECT(default_audiovm);
EFFECT(default_dispvm);
EFFECT(keyboard_layout);
EFFECT(maxmem);

#endif
