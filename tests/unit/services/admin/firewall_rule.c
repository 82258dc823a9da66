/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this failed, a firewall would let through what its rules forbid. */
#include "services/admin/firewall_rule.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct firewall_rule r;
static struct fault f;

static bool parse(const char *text)
{
	char line[2048];

	memcpy(line, text, strlen(text) + 1);
	f = (struct fault){0};
	return firewall_rule_parse(line, &r, &f);
}

/* As it is shown after it was read. */
static void shown(const char *text, const char *want)
{
	AUTO_TEXT out = {0};

	assert_true(parse(text));
	firewall_rule_print(&r, true, &out);
	assert_string_equal(text_get(&out), want);
}

static void rules(void **state UNUSED)
{
	shown("action=accept", "action=accept");
	shown("proto=tcp action=drop dst4=10.0.0.1 dstports=80",
	      "action=drop dst4=10.0.0.1/32 proto=tcp dstports=80-80");
	shown("action=accept dst6=fe80::/10 proto=icmp icmptype=8",
	      "action=accept dst6=fe80::/10 proto=icmp icmptype=8");
	shown("action=accept dsthost=example.org proto=udp dstports=1-65535 expire=1 comment=a b",
	      "action=accept expire=1 dsthost=example.org proto=udp dstports=1-65535 comment=a b");
	shown("action=accept specialtarget=dns expire=100",
	      "action=accept expire=100 specialtarget=dns");
}

static void refused(void **state UNUSED)
{
	static const char *const bad[] = {
	        "",
	        "accept",
	        "action=Accept",
	        "action=accept action=accept",
	        "action=accept dst4=1.2.3.4 dst6=::1",
	        "dst4=1.2.3.4",
	        "action=accept dst4=1.2.3.4/33",
	        "action=accept dst6=::1/129",
	        "action=accept dst4=1.2.3.4/",
	        "action=accept dst4=1.2.3.4/-1",
	        "action=accept dsthost=a/8",
	        "action=accept dsthost=",
	        "action=accept dsthost=EXAMPLE",
	        "action=accept dsthost=$(reboot)",
	        "action=accept proto=sctp",
	        "action=accept dstports=80",
	        "action=accept proto=tcp dstports=81-80",
	        "action=accept proto=tcp dstports=65536",
	        "action=accept proto=tcp dstports=",
	        "action=accept proto=tcp dstports=1-",
	        "action=accept proto=tcp dstports=-1",
	        "action=accept icmptype=8",
	        "action=accept proto=icmp icmptype=256",
	        "action=accept specialtarget=ntp",
	        "action=accept expire=0",
	        "action=accept expire=99999999999999999999",
	        "action=accept comment=a\tb",
	        "action=accept comment=a\"b",
	        "action=accept  dst4=1.2.3.4",
	        "action=accept unknown=1",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(parse(bad[i]));
		assert_string_equal(f.type, E_VALUE);
	}
}

static void long_ones(void **state UNUSED)
{
	char text[2000] = "action=accept comment=";
	size_t head = strlen(text);

	memset(text + head, 'a', 1023);
	assert_true(parse(text));
	text[head + 1023] = 'a';
	assert_false(parse(text));
	memset(text, 0, sizeof(text));
	memcpy(text, "action=accept dsthost=", 22);
	memset(text + 22, 'a', 300);
	assert_false(parse(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(refused),
	                                   cmocka_unit_test(long_ones)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
