/* SPDX-License-Identifier: GPL-2.0-or-later */
/* If this fails, monitor, toolstack and admin misunderstand each other, or a wrong packet is believed. */
#include <string.h>

#include "proto/monitor.h"
#include "tests/unit/unit.h"

static uint8_t packet[MONITOR_PACKET_MAX];

static const uint32_t kinds[] = {
        MONITOR_HELLO,    MONITOR_CREATE,  MONITOR_UNPAUSE,       MONITOR_PAUSE,
        MONITOR_SHUTDOWN, MONITOR_DESTROY, MONITOR_NETWORK,       MONITOR_STATS,
        MONITOR_QREXEC,   MONITOR_CALL,    MONITOR_CHANNELS_OPEN, MONITOR_CHANNELS_CLOSE,
        MONITOR_DONE,     MONITOR_CREATED, MONITOR_FAILED,        MONITOR_END,
        MONITOR_QUBE,     MONITOR_STOPPED, MONITOR_STAT,
};

static struct monitor_message create(void)
{
	struct monitor_message m = {.kind = MONITOR_CREATE, .serial = 7};

	memset(m.create.uuid, 0xab, sizeof(m.create.uuid));
	memcpy(m.create.name, "work", 5);
	memcpy(m.create.default_user, "user", 5);
	m.create.memory = 400 * 1024;
	m.create.memory_max = 4000 * 1024;
	m.create.vcpus = 2;
	m.create.ip = 0x0a890001;
	m.create.mac = 0x00163e5e6c00;
	m.create.volumes[0] = (struct monitor_volume){.kind = MONITOR_VOLUME_HOST, .read_only = 1};
	memcpy(m.create.volumes[0].role, "root", 5);
	m.create.volumes[1] = (struct monitor_volume){.kind = MONITOR_VOLUME_DIR, .size = 1 << 30};
	memcpy(m.create.volumes[1].role, "private", 8);
	memcpy(m.create.volumes[1].path, "/var/lib/qubes/p", 17);
	return m;
}

static struct monitor_message sample(uint32_t kind)
{
	struct monitor_message m = {.kind = kind, .serial = 3, .domid = 5};

	if (kind == MONITOR_CREATE)
		return create();
	if (kind == MONITOR_QREXEC) {
		memcpy(m.qrexec.name, "work", 5);
		memcpy(m.qrexec.default_user, "user", 5);
	} else if (kind == MONITOR_CALL) {
		memcpy(m.call.name, "work", 5);
		memcpy(m.call.user, "root", 5);
		memcpy(m.call.service, "qubes.Some+a.b", 15);
		memcpy(m.call.source, "dom0", 5);
		m.call.timeout_ms = 1;
		m.call.input_len = 2;
		m.call.input[1] = 'x';
	} else if (kind == MONITOR_FAILED) {
		m.failed.error = MONITOR_E_GROUND;
		memcpy(m.failed.text, "no", 3);
	} else if (kind == MONITOR_QUBE) {
		memcpy(m.qube.name, "work", 5);
		m.qube.state = MONITOR_RUNNING;
	} else if (kind == MONITOR_STOPPED) {
		m.stopped.cause = MONITOR_CRASH;
	}
	return m;
}

/* Each kind survives both ways, has one length, and no shorter or longer packet is taken. */
static void test_monitor_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct monitor_message in = sample(kinds[i]), out;
		ssize_t n = monitor_encode(packet, sizeof(packet), &in);

		assert_int_equal(n, monitor_packet_len(kinds[i]));
		assert_in_range(n, MONITOR_HEAD_LEN, MONITOR_PACKET_MAX - 1);
		memset(&out, 0xff, sizeof(out));
		assert_int_equal(monitor_decode(packet, (size_t)n, &out), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		assert_int_equal(monitor_decode(packet, (size_t)n - 1, &out), -1);
		packet[n] = 0;
		assert_int_equal(monitor_decode(packet, (size_t)n + 1, &out), -1);
		assert_int_equal(monitor_encode(packet, (size_t)n - 1, &in), -1);
		for (size_t len = 0; len < MONITOR_HEAD_LEN; len++)
			assert_int_equal(monitor_decode(packet, len, &out), -1);
	}
}

static void test_monitor_kinds(void **state)
{
	struct monitor_message m = {0};

	(void)state;
	for (uint32_t kind = 0; kind < 300; kind++) {
		bool listed = false;

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			listed = listed || kinds[i] == kind;
		assert_int_equal(monitor_packet_len(kind) > 0, listed);
		m.kind = kind;
		if (!listed)
			assert_int_equal(monitor_encode(packet, sizeof(packet), &m), -1);
	}
	m.kind = UINT32_MAX;
	assert_int_equal(monitor_encode(packet, sizeof(packet), &m), -1);
	assert_true(monitor_is_answer(MONITOR_DONE) && monitor_is_answer(MONITOR_END));
	assert_false(monitor_is_answer(MONITOR_STAT) || monitor_is_answer(MONITOR_CALL));
}

#define REFUSED(kind, change)                                                                      \
	do {                                                                                       \
		struct monitor_message m = sample(kind);                                           \
                                                                                                   \
		assert_true(monitor_check(&m));                                                    \
		change;                                                                            \
		assert_false(monitor_check(&m));                                                   \
		assert_int_equal(monitor_encode(packet, sizeof(packet), &m), -1);                  \
	} while (0)

static void test_monitor_bounds(void **state)
{
	(void)state;
	REFUSED(MONITOR_PAUSE, m.domid = MONITOR_DOMID_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.qube_class = MONITOR_CLASS_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.virt_mode = MONITOR_VIRT_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.flags = MONITOR_FLAGS_ALL + 1);
	REFUSED(MONITOR_CREATE, m.create.memory = MONITOR_MEMORY_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.memory_max = UINT64_MAX);
	REFUSED(MONITOR_CREATE, m.create.vcpus = 0);
	REFUSED(MONITOR_CREATE, m.create.vcpus = MONITOR_VCPUS_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.netvm = MONITOR_DOMID_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.mac = MONITOR_MAC_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.owner = MONITOR_OWNER_MAX + 1);
	REFUSED(MONITOR_NETWORK, m.network.netvm = MONITOR_DOMID_MAX + 1);
	REFUSED(MONITOR_NETWORK, m.network.mac = MONITOR_MAC_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.volumes[7].kind = MONITOR_VOLUME_MAX + 1);
	REFUSED(MONITOR_CREATE, m.create.volumes[1].kind = MONITOR_VOLUME_NONE);
	REFUSED(MONITOR_CREATE, m.create.volumes[1].kind = MONITOR_VOLUME_HOST);
	REFUSED(MONITOR_CREATE, m.create.volumes[0].kind = MONITOR_VOLUME_DIR);
	REFUSED(MONITOR_CREATE, m.create.volumes[1].read_only = 2);
	REFUSED(MONITOR_CREATE, m.create.volumes[1].path[0] = 'x');
	REFUSED(MONITOR_QREXEC, m.qrexec.timeout = MONITOR_TIMEOUT_MAX + 1);
	REFUSED(MONITOR_CALL, m.call.timeout_ms = 0);
	REFUSED(MONITOR_CALL, m.call.input_len = MONITOR_INPUT_LEN + 1);
	REFUSED(MONITOR_CALL, m.call.input[2] = 1);
	REFUSED(MONITOR_FAILED, m.failed.error = 0);
	REFUSED(MONITOR_FAILED, m.failed.error = MONITOR_E_MAX + 1);
	REFUSED(MONITOR_QUBE, m.qube.state = 0);
	REFUSED(MONITOR_QUBE, m.qube.state = MONITOR_STATE_MAX + 1);
	REFUSED(MONITOR_QUBE, m.domid = 0);
	REFUSED(MONITOR_STOPPED, m.stopped.cause = 0);
	REFUSED(MONITOR_STOPPED, m.stopped.cause = MONITOR_CAUSE_MAX + 1);
	REFUSED(MONITOR_CREATED, m.domid = 0);
	REFUSED(MONITOR_STAT, m.stat.vcpus = MONITOR_VCPUS_MAX + 1);
	REFUSED(MONITOR_CHANNELS_OPEN, m.channels.owner = MONITOR_OWNER_MAX + 1);
}

/* Names become arguments and parts of paths: no dash or dot first, no slash, nothing after the NUL. */
static void test_monitor_texts(void **state)
{
	(void)state;
	REFUSED(MONITOR_CREATE, memset(m.create.name, 0, MONITOR_NAME_LEN));
	REFUSED(MONITOR_CREATE, memset(m.create.name, 'a', MONITOR_NAME_LEN));
	REFUSED(MONITOR_CREATE, m.create.name[0] = '-');
	REFUSED(MONITOR_CREATE, m.create.name[0] = '.');
	REFUSED(MONITOR_CREATE, m.create.name[1] = '/');
	REFUSED(MONITOR_CREATE, m.create.name[1] = '+');
	REFUSED(MONITOR_CREATE, m.create.name[10] = 'x');
	REFUSED(MONITOR_CREATE, m.create.default_user[0] = ' ');
	REFUSED(MONITOR_CREATE, m.create.kernel[0] = '\n');
	REFUSED(MONITOR_CREATE, m.create.cmdline[0] = 0x7f);
	REFUSED(MONITOR_CREATE, memset(m.create.initrd, 'a', MONITOR_PATH_LEN));
	REFUSED(MONITOR_CREATE, m.create.volumes[2].role[0] = '/');
	REFUSED(MONITOR_CREATE, m.create.volumes[1].role[0] = '\0');
	REFUSED(MONITOR_CALL, m.call.service[0] = '+');
	REFUSED(MONITOR_CALL, m.call.service[3] = ' ');
	REFUSED(MONITOR_CALL, memset(m.call.service, 0, MONITOR_SERVICE_LEN));
	REFUSED(MONITOR_CALL, m.call.source[0] = '@');
	REFUSED(MONITOR_FAILED, m.failed.text[5] = 'x');
	REFUSED(MONITOR_FAILED, m.failed.text[0] = 0x1b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_monitor_round_trip),
	        cmocka_unit_test(test_monitor_kinds),
	        cmocka_unit_test(test_monitor_bounds),
	        cmocka_unit_test(test_monitor_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
