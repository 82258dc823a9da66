/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a builder may ask for: see proto/xen_build.h. Numbers beside a call's kind are judged by the hypervisor, for that domain alone. */
#include "proto/xen_build.h"

/* Those that tell a PVH kernel where its special pages are; numbers of xen/include/public/hvm/params.h. */
static bool param_legal(uint64_t number)
{
	static const uint8_t legal[] = BUILD_PARAMS;

	for (size_t i = 0; i < ARRAY_LEN(legal); i++)
		if (number == legal[i])
			return true;
	return false;
}

static bool text_legal(const struct build_call *untrusted)
{
	return untrusted->len > 0 && untrusted->data[untrusted->len - 1] == '\0';
}

bool build_call_legal(const struct build_call *untrusted, size_t len, bool pvh)
{
	uint32_t n;

	if (len < BUILD_CALL_HEAD || untrusted->len != len - BUILD_CALL_HEAD)
		return false;
	n = untrusted->len;
	switch ((enum build_op)untrusted->op) {
	case BUILD_VERSION:
	case BUILD_CAPABILITIES:
	case BUILD_INFO:
	case BUILD_DONE:
		return n == 0;
	case BUILD_POPULATE:
		return n > 0 && n % sizeof(uint64_t) == 0 && untrusted->args[0] <= BUILD_ORDER_MAX;
	case BUILD_PIN:
	case BUILD_HYPERCALLS:
		return n == 0 && !pvh;
	case BUILD_PROCESSOR:
		return n == BUILD_PROCESSOR_LEN && !pvh;
	case BUILD_MOVE:
	case BUILD_STATE:
		return n == 0 && pvh;
	case BUILD_SET_STATE:
		return n > 0 && pvh;
	case BUILD_PARAM:
	case BUILD_SET_PARAM:
		return n == 0 && pvh && param_legal(untrusted->args[0]);
	case BUILD_FAILED:
		return text_legal(untrusted);
	case BUILD_MAX:
		break;
	}
	return false;
}
