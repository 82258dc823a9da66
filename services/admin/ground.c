/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to the monitor, and what it tells by itself. Contract: ground.h. */
#include "services/admin/ground.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "services/admin/lifecycle.h"
#include "services/admin/network.h"
#include "services/admin/property.h"

#define HELLO_WAIT_MS   30000
#define NETWORK_WAIT_MS 30000U
#define STATS_WAIT_MS   5000U

struct question {
	struct question *next;
	uint32_t serial;
	ground_done fn;
	void *arg;
	struct loop_timer timer;
};

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[MONITOR_PACKET_MAX];
};

static struct {
	struct loop *loop;
	struct loop_fd source;
	uint32_t serial;
	struct question *questions;
	struct waiting *first, **last;
} ground = {.source = LOOP_FD_EMPTY};

void ground_uuid_bytes(const char *text, uint8_t out[MONITOR_UUID_LEN])
{
	size_t i, at = 0;
	unsigned int byte;

	memset(out, 0, MONITOR_UUID_LEN);
	for (i = 0; i + 1 < UUID_LEN - 1 && at < MONITOR_UUID_LEN;) {
		if (text[i] == '-') {
			i++;
			continue;
		}
		if (sscanf(text + i, "%2x", &byte) != 1)
			return;
		out[at++] = (uint8_t)byte;
		i += 2;
	}
}

void ground_uuid_text(const uint8_t uuid[MONITOR_UUID_LEN], char out[UUID_LEN])
{
	size_t i, at = 0;

	for (i = 0; i < MONITOR_UUID_LEN; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		snprintf(out + at, 3, "%02x", uuid[i]);
		at += 2;
	}
}

static NORETURN void ground_lost(const char *why)
{
	LOG("the monitor is gone (%s): ending, to start anew", why);
	exit(111);
}

static void flush(void)
{
	struct waiting *w;

	while ((w = ground.first)) {
		ssize_t n = send(ground.source.fd, w->data, w->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			break;
		if (n < 0)
			ground_lost(strerror(errno));
		ground.first = w->next;
		if (!ground.first)
			ground.last = &ground.first;
		free(w);
	}
	loop_fd_set(ground.loop, &ground.source, ground.first ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Takes the question out of the list and answers it. */
static void answer(struct question **slot, const struct monitor_message *m)
{
	struct question *q = *slot;
	ground_done fn = q->fn;
	void *arg = q->arg;

	*slot = q->next;
	loop_timer_clear(ground.loop, &q->timer);
	free(q);
	if (fn)
		fn(arg, m);
}

static void fail(struct monitor_message *m, uint32_t error, const char *text)
{
	*m = (struct monitor_message){.kind = MONITOR_FAILED, .failed = {.error = error}};
	(void)bytes_copy_text(m->failed.text, sizeof(m->failed.text), text);
}

static void on_timeout(void *arg)
{
	struct monitor_message m;
	struct question **slot;

	fail(&m, MONITOR_E_TIMEOUT, "the ground does not answer");
	for (slot = &ground.questions; *slot; slot = &(*slot)->next)
		if (*slot == arg) {
			answer(slot, &m);
			return;
		}
}

void ground_ask(struct monitor_message *m, uint32_t timeout_ms, ground_done fn, void *arg)
{
	struct question *q = memory_get(sizeof(*q));
	struct waiting *w = memory_get(sizeof(*w));
	struct monitor_message failed;
	ssize_t len;

	if (++ground.serial == 0)
		ground.serial = 1;
	m->serial = q->serial = ground.serial;
	q->fn = fn;
	q->arg = arg;
	len = ground.source.fd < 0 ? -1 : monitor_encode(w->data, sizeof(w->data), m);
	q->next = ground.questions;
	ground.questions = q;
	if (loop_timer_set(ground.loop, &q->timer, len < 0 ? 0 : timeout_ms, on_timeout, q)) {
		fail(&failed, MONITOR_E_GROUND, "no memory");
		free(w);
		answer(&ground.questions, &failed);
		return;
	}
	if (len < 0) {
		LOG("a question to the ground cannot be asked: kind %u", m->kind);
		free(w);
		return;
	}
	w->len = (size_t)len;
	*ground.last = w;
	ground.last = &w->next;
	flush();
}

void ground_simple(struct qube *q, enum monitor_kind kind, uint32_t timeout_ms, ground_done fn,
                   void *arg)
{
	struct monitor_message m = {.kind = kind, .domid = q->run.domid};

	ground_ask(&m, timeout_ms, fn, arg);
}

static void on_network(void *arg, const struct monitor_message *m)
{
	struct qube *q = arg;

	if (m->kind != MONITOR_DONE)
		LOG("%s: its network was not changed: %s", q->name, m->failed.text);
	qube_release(q);
}

/* What the property holds was checked when it was set: six pairs of digits. */
static uint64_t mac_number(const struct qube *q)
{
	AUTO_TEXT mac = {0};
	uint64_t number = 0;

	property_read(q, PROP_MAC, &mac);
	for (const char *c = text_get(&mac); *c; c++)
		if (*c != ':')
			number = number << 4 |
			         (uint64_t)(*c <= '9' ? *c - '0' : (*c | 32) - 'a' + 10);
	return number & MONITOR_MAC_MAX;
}

void ground_network(struct qube *q, struct qube *netvm)
{
	struct monitor_message m = {.kind = MONITOR_NETWORK, .domid = q->run.domid};
	AUTO_TEXT ip = {0};

	property_read(q, PROP_IP, &ip);
	m.network.netvm = netvm ? netvm->run.domid : 0;
	m.network.ip = network_number(text_get(&ip));
	m.network.mac = mac_number(q);
	ground_ask(&m, NETWORK_WAIT_MS, on_network, qube_hold(q));
}

void ground_call(struct qube *q, const char *user, const char *service, const void *input,
                 size_t input_len, uint32_t timeout_ms, ground_done fn, void *arg)
{
	struct monitor_message m = {.kind = MONITOR_CALL, .domid = q->run.domid};
	AUTO_TEXT name = {0};

	if (!user)
		property_read(q, PROP_DEFAULT_USER, &name);
	if (bytes_copy_text(m.call.name, sizeof(m.call.name), q->name) ||
	    bytes_copy_text(m.call.user, sizeof(m.call.user), user ? user : text_get(&name)) ||
	    bytes_copy_text(m.call.service, sizeof(m.call.service), service) ||
	    bytes_copy_text(m.call.source, sizeof(m.call.source), "dom0") ||
	    input_len > sizeof(m.call.input)) {
		LOG("%s: a call of %s does not fit", q->name, service);
		m.kind = 0;
	} else if (input_len) {
		memcpy(m.call.input, input, input_len);
		m.call.input_len = (uint32_t)input_len;
	}
	m.call.timeout_ms = timeout_ms;
	ground_ask(&m, timeout_ms + 5000, fn, arg);
}

static void put_text(char *dst, size_t room, const struct qube *q, enum property_id id)
{
	AUTO_TEXT t = {0};

	property_read(q, id, &t);
	if (bytes_copy_text(dst, room, text_get(&t)))
		LOG("%s: its %s is too long for the ground", q->name, property_of(id)->name);
}

/* A volume without a path that is not the host's own is none that the ground could use. */
static void put_volumes(struct qube *q, struct monitor_create *c)
{
	size_t i, n = 0;

	for (i = 0; i < q->n_volumes && n < MONITOR_VOLUMES_MAX; i++) {
		const struct volume *v = q->volumes[i];
		struct monitor_volume *out = &c->volumes[n];
		bool host = v->ground_kind == MONITOR_VOLUME_HOST;

		if (v->ground_kind == MONITOR_VOLUME_NONE || (!host && !v->path))
			continue;
		if (bytes_copy_text(out->role, sizeof(out->role), v->name) ||
		    bytes_copy_text(out->path, sizeof(out->path), host ? "" : v->path)) {
			LOG("%s: the path of its volume %s is too long", q->name, v->name);
			*out = (struct monitor_volume){0};
			continue;
		}
		out->kind = v->ground_kind;
		out->size = v->size;
		out->read_only = !v->rw || v->started_read_only;
		n++;
	}
}

/* The files of its kernel; the ground says so if one is missing. Without a kernel: "". */
static void put_kernel(const struct qube *q, struct monitor_create *c)
{
	AUTO_TEXT name = {0};
	AUTO_TEXT folder = {0};
	const struct pool *p = NULL;
	const char *dir;

	property_read(q, PROP_KERNEL, &name);
	for (size_t i = 0; i < q->n_volumes; i++)
		if (text_equal(q->volumes[i]->name, "kernel"))
			p = pool_by_name(q->volumes[i]->pool);
	dir = p ? pairs_get(p->config, p->n_config, "dir_path") : NULL;
	if (name.len == 0 || !dir)
		return;
	text_printf(&folder, "%s/%s", dir, text_get(&name));
	if (path_make(c->kernel, sizeof(c->kernel), text_get(&folder), "vmlinuz") ||
	    path_make(c->initrd, sizeof(c->initrd), text_get(&folder), "initramfs")) {
		LOG("%s: the path of its kernel is too long", q->name);
		memset(c->kernel, 0, sizeof(c->kernel));
		memset(c->initrd, 0, sizeof(c->initrd));
	}
}

/* Users' names that the monitor would not make an argument of are left to its default. */
void ground_user(char *dst, size_t room, const struct qube *q)
{
	AUTO_TEXT user = {0};

	property_read(q, PROP_DEFAULT_USER, &user);
	if (user.len == 0 || strchr("-+,.0123456789", user.data[0]) || strpbrk(user.data, "+,") ||
	    bytes_copy_text(dst, room, user.data))
		(void)bytes_copy_text(dst, room, "user");
}

static uint64_t kib(long long mib)
{
	uint64_t max = MONITOR_MEMORY_MAX;

	return mib < 0 ? 0 : (uint64_t)mib > max / 1024 ? max : (uint64_t)mib * 1024;
}

void ground_create_message(struct qube *q, struct monitor_message *m)
{
	static const uint32_t classes[CLASS_COUNT] = {
	        [CLASS_TEMPLATE] = MONITOR_CLASS_TEMPLATE,
	        [CLASS_STANDALONE] = MONITOR_CLASS_STANDALONE,
	        [CLASS_APP] = MONITOR_CLASS_APP,
	        [CLASS_DISP] = MONITOR_CLASS_DISPOSABLE,
	};
	struct monitor_create *c = &m->create;
	const struct qube *netvm = network_netvm(q);
	long long vcpus = property_int(q, PROP_VCPUS);
	AUTO_TEXT virt = {0};
	AUTO_TEXT ip = {0};

	*m = (struct monitor_message){.kind = MONITOR_CREATE};
	ground_uuid_bytes(q->uuid, c->uuid);
	(void)bytes_copy_text(c->name, sizeof(c->name), q->name);
	property_read(q, PROP_VIRT_MODE, &virt);
	property_read(q, PROP_IP, &ip);
	c->qube_class = classes[q->klass];
	c->virt_mode = text_equal(text_get(&virt), "hvm")  ? MONITOR_HVM
	               : text_equal(text_get(&virt), "pv") ? MONITOR_PV
	                                                   : MONITOR_PVH;
	c->flags = (property_bool(q, PROP_DEBUG) ? MONITOR_FLAG_DEBUG : 0U) |
	           (property_bool(q, PROP_PROVIDES_NETWORK) ? MONITOR_FLAG_PROVIDES_NETWORK : 0U) |
	           (property_int(q, PROP_MAXMEM) == 0 ? MONITOR_FLAG_FIXED_MEMORY : 0U);
	c->memory = kib(property_int(q, PROP_MEMORY));
	c->memory_max = MAX(c->memory, kib(property_int(q, PROP_MAXMEM)));
	c->vcpus = vcpus < (long long)MONITOR_VCPUS_MAX ? (uint32_t)vcpus : MONITOR_VCPUS_MAX;
	c->netvm = netvm ? netvm->run.domid : 0;
	c->ip = network_number(text_get(&ip));
	c->mac = mac_number(q);
	c->owner = q->qid;
	ground_user(c->default_user, sizeof(c->default_user), q);
	put_text(c->cmdline, sizeof(c->cmdline), q, PROP_KERNELOPTS);
	put_volumes(q, c);
	put_kernel(q, c);
}

void ground_fault(const struct monitor_message *answer, struct fault *f)
{
	const char *text = answer->failed.text[0] ? answer->failed.text : "no reason is known";

	fault_set(f, E_QUBES, "%s", text);
}

static void on_packet(const void *data, size_t len)
{
	struct monitor_message m;
	struct question **slot;

	if (monitor_decode(data, len, &m)) {
		LOG("the monitor sent a packet that makes no sense: ignored");
		return;
	}
	if (!monitor_is_answer(m.kind)) {
		lifecycle_event(&m);
		return;
	}
	for (slot = &ground.questions; *slot; slot = &(*slot)->next)
		if ((*slot)->serial == m.serial) {
			answer(slot, &m);
			return;
		}
}

static void on_monitor(void *arg, uint32_t events)
{
	uint8_t packet[MONITOR_PACKET_MAX];
	ssize_t n;

	if (events & EPOLLOUT)
		flush();
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(ground.source.fd, packet, sizeof(packet), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		ground_lost(n < 0 ? strerror(errno) : "end of its socket");
	on_packet(packet, (size_t)n);
}

/* The monitor's table of what runs, up to its end. */
static int learn(int fd)
{
	struct monitor_message m = {.kind = MONITOR_HELLO,
	                            .serial = 1,
	                            .hello = {.version = MONITOR_VERSION}};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint8_t packet[MONITOR_PACKET_MAX];
	ssize_t n = monitor_encode(packet, sizeof(packet), &m);

	ground.serial = 1;
	if (n < 0 || send(fd, packet, (size_t)n, MSG_NOSIGNAL) != n)
		return -1;
	for (;;) {
		if (poll(&wait, 1, HELLO_WAIT_MS) != 1)
			return -1;
		n = recv(fd, packet, sizeof(packet), 0);
		if (n <= 0 || monitor_decode(packet, (size_t)n, &m))
			return -1;
		if (m.kind == MONITOR_END)
			return 0;
		if (m.kind == MONITOR_QUBE)
			lifecycle_found(&m);
	}
}

int ground_open(struct loop *loop, int fd)
{
	ground.loop = loop;
	ground.last = &ground.first;
	if (fd < 0)
		return 0;
	if (fd_set_blocking(fd, true) || learn(fd) || fd_set_blocking(fd, false)) {
		LOG("the monitor did not say what runs");
		return -1;
	}
	return loop_fd_add(loop, &ground.source, fd, EPOLLIN, on_monitor, NULL);
}

struct stats {
	void (*fn)(void *arg);
	void *arg;
};

static void on_stats(void *arg, const struct monitor_message *m)
{
	struct stats *s = arg;

	if (m->kind != MONITOR_DONE)
		LOG("no figures from the ground: %s", m->failed.text);
	s->fn(s->arg);
	free(s);
}

void ground_stats(void (*fn)(void *arg), void *arg)
{
	struct monitor_message m = {.kind = MONITOR_STATS};
	struct stats *s = memory_get(sizeof(*s));

	*s = (struct stats){fn, arg};
	ground_ask(&m, STATS_WAIT_MS, on_stats, s);
}
