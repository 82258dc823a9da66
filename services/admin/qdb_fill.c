/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a qube finds in its QubesDB, and what follows from changes. Facts: doc/protocol/qubesdb.md, Keys. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "services/admin/feature_methods.h"
#include "services/admin/firewall.h"
#include "services/admin/network.h"
#include "services/admin/property.h"
#include "services/admin/qdb.h"

#define DNS_1     "10.139.1.1"
#define DNS_2     "10.139.1.2"
#define SEED_LEN  64U
#define VALUE_MAX 3071U

static void put_property(struct qube *q, const char *key, const struct qube *of,
                         enum property_id id)
{
	AUTO_TEXT t = {0};

	property_read(of, id, &t);
	qdb_write(q, key, text_get(&t));
}

static bool has_text(const struct qube *q, enum property_id id)
{
	AUTO_TEXT t = {0};

	return property_read(q, id, &t) && t.len > 0;
}

static void put_seed(struct qube *q)
{
	unsigned char seed[SEED_LEN];
	char text[sodium_base64_ENCODED_LEN(SEED_LEN, sodium_base64_VARIANT_ORIGINAL)];

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return;
	sodium_bin2base64(text, sizeof(text), seed, sizeof(seed), sodium_base64_VARIANT_ORIGINAL);
	qdb_write(q, "/qubes-random-seed", text);
}

static void put_basics(struct qube *q)
{
	struct qube *template =
	        property_has(q, PROP_TEMPLATE) ? property_qube(q, PROP_TEMPLATE) : NULL;
	bool updateable = property_bool(q, PROP_UPDATEABLE);

	qdb_write(q, "/name", q->name);
	qdb_write(q, "/type", class_name(q->klass));
	put_property(q, "/default-user", q, PROP_DEFAULT_USER);
	qdb_write(q, "/qubes-vm-updateable", updateable ? "True" : "False");
	qdb_write(q, "/qubes-vm-persistence",
	          q->klass == CLASS_DISP ? "none"
	          : updateable           ? "full"
	                                 : "rw-only");
	qdb_write(q, "/qubes-debug-mode", property_bool(q, PROP_DEBUG) ? "1" : "0");
	qdb_write(q, "/qubes-base-template", template ? template->name : "");
	put_seed(q);
}

static void put_provider(struct qube *q)
{
	if (!property_bool(q, PROP_PROVIDES_NETWORK))
		return;
	put_property(q, "/qubes-netvm-network", q, PROP_GATEWAY);
	put_property(q, "/qubes-netvm-gateway", q, PROP_GATEWAY);
	if (has_text(q, PROP_GATEWAY6))
		put_property(q, "/qubes-netvm-gateway6", q, PROP_GATEWAY6);
	qdb_write(q, "/qubes-netvm-netmask", "255.255.255.255");
	qdb_write(q, "/qubes-netvm-primary-dns", DNS_1);
	qdb_write(q, "/qubes-netvm-secondary-dns", DNS_2);
}

static void put_client(struct qube *q)
{
	static const char *const keys[] = {"/qubes-mac",         "/qubes-ip",
	                                   "/qubes-netmask",     "/qubes-gateway",
	                                   "/qubes-primary-dns", "/qubes-secondary-dns",
	                                   "/qubes-ip6",         "/qubes-gateway6"};
	size_t i;

	if (!network_netvm(q)) {
		for (i = 0; i < ARRAY_LEN(keys); i++)
			qdb_remove(q, keys[i]);
		return;
	}
	put_property(q, "/qubes-mac", q, PROP_MAC);
	put_property(q, "/qubes-ip", q, PROP_VISIBLE_IP);
	put_property(q, "/qubes-netmask", q, PROP_VISIBLE_NETMASK);
	put_property(q, "/qubes-gateway", q, PROP_VISIBLE_GATEWAY);
	qdb_write(q, "/qubes-primary-dns", DNS_1);
	qdb_write(q, "/qubes-secondary-dns", DNS_2);
	if (has_text(q, PROP_VISIBLE_IP6))
		put_property(q, "/qubes-ip6", q, PROP_VISIBLE_IP6);
	if (has_text(q, PROP_VISIBLE_GATEWAY6))
		put_property(q, "/qubes-gateway6", q, PROP_VISIBLE_GATEWAY6);
}

static const char *vm_type(const struct qube *q)
{
	if (q->klass == CLASS_TEMPLATE)
		return "TemplateVM";
	if (!property_bool(q, PROP_PROVIDES_NETWORK))
		return "AppVM";
	return network_netvm(q) ? "ProxyVM" : "NetVM";
}

static void put_number(struct qube *q, const char *key, const struct qube *of)
{
	char number[16];

	if (!of || (!of->run.domid && of->klass != CLASS_ADMIN))
		return;
	snprintf(number, sizeof(number), "%u", of->run.domid);
	qdb_write(q, key, number);
}

static void put_gui(struct qube *q)
{
	struct qube *dom0 = qube_by_name("dom0"), *guivm = property_qube(q, PROP_GUIVM);
	static const char *const names[] = {"gui-videoram-min", "gui-videoram-overhead"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = feature_with_template(q, names[i]);
		AUTO_TEXT key = {0};

		if (!value)
			value = feature_get(dom0, names[i]);
		text_printf(&key, "/qubes-%s", names[i]);
		if (value)
			qdb_write(q, text_get(&key), value);
	}
	qdb_write(q, "/qubes-gui-enabled", feature_true(feature_get(q, "gui")) ? "True" : "False");
	put_property(q, "/keyboard-layout", q, PROP_KEYBOARD_LAYOUT);
	put_number(q, "/qubes-gui-domain-xid", guivm);
	if (feature_true(feature_get(q, "service.guivm"))) {
		const char *prefix = feature_get(q, "guivm-windows-prefix");

		qdb_write(q, "/guivm-windows-prefix", prefix ? prefix : "GuiVM");
	}
}

/* The key that a feature stands for; false: none. */
static bool feature_key(const char *feature, struct text *key)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[64];
	const char *app;

	if (text_starts(feature, "service.app-dispvm.")) {
		app = feature + strlen("service.app-dispvm.");
		crypto_hash_sha256(hash, (const unsigned char *)app, strlen(app));
		sodium_bin2base64(text, sizeof(text), hash, sizeof(hash),
		                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		text_printf(key, "/hash-app-dispvm/%s", text);
	} else if (text_starts(feature, "service.")) {
		text_printf(key, "/qubes-service/%s", feature + strlen("service."));
	} else if (text_starts(feature, "vm-config.")) {
		text_printf(key, "/vm-config/%s", feature + strlen("vm-config."));
	} else if (text_starts(feature, "custom-persist.")) {
		text_printf(key, "/persist/%s", feature + strlen("custom-persist."));
	}
	return key->len > 0;
}

void qdb_feature(struct qube *q, const char *feature, const char *value)
{
	AUTO_TEXT key = {0};

	if (!q->qdb || strcmp(feature, "service.meminfo-writer") == 0 ||
	    !feature_key(feature, &key))
		return;
	if (!value)
		qdb_remove(q, text_get(&key));
	else if (text_starts(feature, "service.app-dispvm."))
		qdb_write(q, text_get(&key), feature + strlen("service.app-dispvm."));
	else if (text_starts(feature, "service."))
		qdb_write(q, text_get(&key), value[0] ? "1" : "0");
	else
		qdb_write(q, text_get(&key), value);
}

static void put_features(struct qube *q)
{
	size_t i;

	for (i = 0; i < q->n_features; i++)
		qdb_feature(q, q->features[i].name, q->features[i].value);
	if (feature_get(q, "updates-proxy-setup"))
		qdb_write(q, "/qubes-service/yum-proxy-setup",
		          feature_true(feature_get(q, "updates-proxy-setup")) ? "1" : "0");
}

void qdb_meminfo_writer(struct qube *q)
{
	qdb_write(q, "/qubes-service/meminfo-writer", property_int(q, PROP_MAXMEM) > 0 ? "1" : "0");
}

static void put_all(struct qube *q)
{
	put_basics(q);
	put_provider(q);
	put_client(q);
	if (feature_true(feature_with_template(q, "anon-timezone")))
		qdb_remove(q, "/qubes-timezone");
	else if (world.host.timezone[0])
		qdb_write(q, "/qubes-timezone", world.host.timezone);
	qdb_write(q, "/qubes-block-devices", "");
	qdb_write(q, "/qubes-usb-devices", "");
	put_number(q, "/qubes-audio-domain-xid", property_qube(q, PROP_AUDIOVM));
	qdb_write(q, "/qubes-vm-type", vm_type(q));
	qdb_write(q, "/qubes-iptables-error", "");
	put_features(q);
	qdb_meminfo_writer(q);
	put_gui(q);
	if (property_bool(q, PROP_PROVIDES_NETWORK))
		qdb_netvm(q);
}

void qdb_fill(struct qube *q, void (*fn)(void *arg, bool ok), void *arg)
{
	put_all(q);
	qdb_sync(q, fn, arg);
}

void qdb_network(struct qube *q)
{
	if (q->qdb)
		put_all(q);
}

void qdb_network_off(struct qube *q)
{
	if (q->qdb)
		put_client(q);
}

void qdb_audiovm(struct qube *q, struct qube *audiovm)
{
	if (audiovm)
		put_number(q, "/qubes-audio-domain-xid", audiovm);
	else
		qdb_remove(q, "/qubes-audio-domain-xid");
}

void qdb_keyboard_layout(struct qube *q)
{
	if (q->qdb)
		put_property(q, "/keyboard-layout", q, PROP_KEYBOARD_LAYOUT);
}

struct addresses {
	struct text v4, v6;
	struct qube *netvm;
};

static void add_address(void *arg, struct qube *client)
{
	struct addresses *a = arg;
	AUTO_TEXT ip = {0};
	AUTO_TEXT ip6 = {0};
	AUTO_TEXT seen = {0};
	AUTO_TEXT key = {0};

	property_read(client, PROP_VISIBLE_IP, &seen);
	property_read(client, PROP_VISIBLE_IP6, &ip6);
	property_read(client, PROP_IP, &ip);
	if (seen.len)
		text_printf(&a->v4, "%s%s", a->v4.len ? " " : "", text_get(&seen));
	if (ip6.len)
		text_printf(&a->v6, "%s%s", a->v6.len ? " " : "", text_get(&ip6));
	if (!ip.len || text_equal(text_get(&ip), text_get(&seen)))
		return;
	text_printf(&key, "/mapped-ip/%s/visible-ip", text_get(&ip));
	qdb_write(a->netvm, text_get(&key), text_get(&seen));
	text_clear(&key);
	text_printf(&key, "/mapped-ip/%s/visible-gateway", text_get(&ip));
	put_property(a->netvm, text_get(&key), client, PROP_VISIBLE_GATEWAY);
}

/* A value holds some 200 addresses. */
static void put_addresses(struct qube *netvm, const char *key, struct text *list)
{
	if (list->len > VALUE_MAX) {
		LOG("%s has more clients than its %s holds: the last ones are left out",
		    netvm->name, key);
		while (list->len > VALUE_MAX || (list->len && list->data[list->len] != ' '))
			list->len--;
		list->data[list->len] = 0;
	}
	qdb_write(netvm, key, text_get(list));
}

void qdb_netvm(struct qube *netvm)
{
	struct addresses a = {.netvm = netvm};

	if (!netvm->qdb)
		return;
	network_clients(netvm, add_address, &a);
	put_addresses(netvm, "/connected-ips", &a.v4);
	put_addresses(netvm, "/connected-ips6", &a.v6);
	text_free(&a.v4);
	text_free(&a.v6);
}

static void put_rules(struct qube *q, struct qube *netvm, const char *ip, bool v6)
{
	AUTO_TEXT key = {0};
	AUTO_TEXT rules = {0};
	char *at, *line;
	unsigned int n = 0;

	text_printf(&key, "/qubes-firewall/%s/", ip);
	qdb_remove(netvm, text_get(&key));
	text_puts(&key, "policy");
	qdb_write(netvm, text_get(&key), "drop");
	firewall_qubesdb_rules(q, v6, &rules);
	text_puts(&rules, "");
	at = rules.data;
	/* One line for each rule; an empty one is left out, its number too. */
	while ((line = strsep(&at, "\n")) && at) {
		text_clear(&key);
		text_printf(&key, "/qubes-firewall/%s/%04u", ip, n++);
		if (line[0])
			qdb_write(netvm, text_get(&key), line);
	}
	text_clear(&key);
	text_printf(&key, "/qubes-firewall/%s", ip);
	qdb_write(netvm, text_get(&key), "");
}

void qdb_firewall(struct qube *q)
{
	struct qube *netvm = network_netvm(q);
	AUTO_TEXT ip = {0};
	AUTO_TEXT ip6 = {0};

	if (!netvm || !netvm->qdb)
		return;
	property_read(q, PROP_IP, &ip);
	property_read(q, PROP_IP6, &ip6);
	if (ip.len)
		put_rules(q, netvm, text_get(&ip), false);
	if (ip6.len)
		put_rules(q, netvm, text_get(&ip6), true);
}
