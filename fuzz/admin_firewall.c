/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firewall rules: what is taken, printed, is taken again as the same rule. */
#include "services/admin/firewall_rule.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1);
	struct firewall_rule a, b;
	struct fault f = {0};
	struct text first = {0}, second = {0};

	if (!copy)
		abort();
	memcpy(copy, data, len);
	copy[len] = 0;
	if (firewall_rule_parse(copy, &a, &f)) {
		firewall_rule_print(&a, true, &first);
		CHECK(!strchr(text_get(&first), '\n'));
		text_puts(&second, text_get(&first));
		CHECK(firewall_rule_parse(second.data, &b, &f));
		text_clear(&second);
		firewall_rule_print(&b, true, &second);
		CHECK(text_equal(text_get(&first), text_get(&second)));
	} else {
		CHECK(f.type);
	}
	text_free(&first);
	text_free(&second);
	free(copy);
	return 0;
}
