/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/monitor.h"

#include <assert.h>
#include <string.h>

#include "lib/wire/reader.h"
#include "lib/wire/writer.h"

/*
 * One table of fields a kind serves the encoder, the decoder and the check, so that the three cannot
 * differ. Fields follow each other on the wire in the order of their table, without gaps.
 */

enum field_type {
	FIELD_U32,     /* at most max */
	FIELD_U64,     /* at most max */
	FIELD_BYTES,   /* len of them, any */
	FIELD_TEXT,    /* len bytes with NULs at the end; no control characters */
	FIELD_NAME,    /* the same, of letters that a name may have; or empty */
	FIELD_WORD,    /* the same, not empty */
	FIELD_SERVICE, /* the same, with a + as well */
};

struct field {
	uint8_t type;
	uint16_t offset; /* in struct monitor_message */
	uint16_t len;    /* bytes, of all but numbers */
	uint64_t max;
};

#define AT(member)  (uint16_t) offsetof(struct monitor_message, member)
#define LEN(member) (uint16_t)sizeof(((struct monitor_message *)NULL)->member)

#define U32(member, limit)                                                                         \
	{                                                                                          \
		FIELD_U32, AT(member), 4, limit                                                    \
	}
#define U64(member, limit)                                                                         \
	{                                                                                          \
		FIELD_U64, AT(member), 8, limit                                                    \
	}
#define BYTES(member)                                                                              \
	{                                                                                          \
		FIELD_BYTES, AT(member), LEN(member), 0                                            \
	}
#define TEXT(member)                                                                               \
	{                                                                                          \
		FIELD_TEXT, AT(member), LEN(member), 0                                             \
	}
#define NAME(member)                                                                               \
	{                                                                                          \
		FIELD_NAME, AT(member), LEN(member), 0                                             \
	}
#define WORD(member)                                                                               \
	{                                                                                          \
		FIELD_WORD, AT(member), LEN(member), 0                                             \
	}
#define SERVICE(member)                                                                            \
	{                                                                                          \
		FIELD_SERVICE, AT(member), LEN(member), 0                                          \
	}
#define VOLUME(i)                                                                                  \
	NAME(create.volumes[i].role), TEXT(create.volumes[i].path),                                \
	        U32(create.volumes[i].kind, MONITOR_VOLUME_MAX),                                   \
	        U32(create.volumes[i].read_only, 1), U64(create.volumes[i].size, UINT64_MAX)

static const struct field hello_fields[] = {U32(hello.version, UINT32_MAX)};

static const struct field create_fields[] = {
        BYTES(create.uuid),
        WORD(create.name),
        U32(create.qube_class, MONITOR_CLASS_MAX),
        U32(create.virt_mode, MONITOR_VIRT_MAX),
        U32(create.flags, MONITOR_FLAGS_ALL),
        U64(create.memory, MONITOR_MEMORY_MAX),
        U64(create.memory_max, MONITOR_MEMORY_MAX),
        U32(create.vcpus, MONITOR_VCPUS_MAX),
        U32(create.netvm, MONITOR_DOMID_MAX),
        U32(create.ip, UINT32_MAX),
        U64(create.mac, MONITOR_MAC_MAX),
        U32(create.owner, MONITOR_OWNER_MAX),
        WORD(create.default_user),
        VOLUME(0),
        VOLUME(1),
        VOLUME(2),
        VOLUME(3),
        VOLUME(4),
        VOLUME(5),
        VOLUME(6),
        VOLUME(7),
        TEXT(create.kernel),
        TEXT(create.initrd),
        TEXT(create.cmdline),
};
static_assert(MONITOR_VOLUMES_MAX == 8, "one row a volume");

static const struct field network_fields[] = {U32(network.netvm, MONITOR_DOMID_MAX),
                                              U32(network.ip, UINT32_MAX),
                                              U64(network.mac, MONITOR_MAC_MAX)};

static const struct field qrexec_fields[] = {
        U32(qrexec.timeout, MONITOR_TIMEOUT_MAX),
        WORD(qrexec.name),
        WORD(qrexec.default_user),
        BYTES(qrexec.uuid),
};

static const struct field call_fields[] = {
        WORD(call.name),
        WORD(call.user),
        SERVICE(call.service),
        WORD(call.source),
        U32(call.timeout_ms, MONITOR_TIMEOUT_MAX * 1000U),
        U32(call.input_len, MONITOR_INPUT_LEN),
        BYTES(call.input),
};

static const struct field channels_fields[] = {U32(channels.owner, MONITOR_OWNER_MAX)};
static const struct field done_fields[] = {U32(done.status, UINT32_MAX)};

static const struct field failed_fields[] = {
        U32(failed.error, MONITOR_E_MAX),
        U32(failed.status, UINT32_MAX),
        TEXT(failed.text),
};

static const struct field qube_fields[] = {
        BYTES(qube.uuid),
        WORD(qube.name),
        U32(qube.state, MONITOR_STATE_MAX),
};

static const struct field stopped_fields[] = {BYTES(stopped.uuid),
                                              U32(stopped.cause, MONITOR_CAUSE_MAX)};

static const struct field stat_fields[] = {
        U64(stat.memory, UINT64_MAX),
        U64(stat.cpu_ns, UINT64_MAX),
        U32(stat.vcpus, MONITOR_VCPUS_MAX),
};

struct layout {
	bool known;
	const struct field *fields;
	size_t n_fields;
};

#define NO_FIELDS                                                                                  \
	{                                                                                          \
		true, NULL, 0                                                                      \
	}
#define FIELDS(name)                                                                               \
	{                                                                                          \
		true, name##_fields, ARRAY_LEN(name##_fields)                                      \
	}

static const struct layout layouts[] = {
        [MONITOR_HELLO] = FIELDS(hello),
        [MONITOR_CREATE] = FIELDS(create),
        [MONITOR_UNPAUSE] = NO_FIELDS,
        [MONITOR_PAUSE] = NO_FIELDS,
        [MONITOR_SHUTDOWN] = NO_FIELDS,
        [MONITOR_DESTROY] = NO_FIELDS,
        [MONITOR_NETWORK] = FIELDS(network),
        [MONITOR_STATS] = NO_FIELDS,
        [MONITOR_QREXEC] = FIELDS(qrexec),
        [MONITOR_CALL] = FIELDS(call),
        [MONITOR_CHANNELS_OPEN] = FIELDS(channels),
        [MONITOR_CHANNELS_CLOSE] = NO_FIELDS,
        [MONITOR_DONE] = FIELDS(done),
        [MONITOR_CREATED] = NO_FIELDS,
        [MONITOR_FAILED] = FIELDS(failed),
        [MONITOR_END] = NO_FIELDS,
        [MONITOR_QUBE] = FIELDS(qube),
        [MONITOR_STOPPED] = FIELDS(stopped),
        [MONITOR_STAT] = FIELDS(stat),
};

static const struct layout *layout_of(uint32_t kind)
{
	return kind < ARRAY_LEN(layouts) && layouts[kind].known ? &layouts[kind] : NULL;
}

size_t monitor_packet_len(uint32_t kind)
{
	const struct layout *layout = layout_of(kind);
	size_t len = MONITOR_HEAD_LEN;

	if (!layout)
		return 0;
	for (size_t i = 0; i < layout->n_fields; i++)
		len += layout->fields[i].len;
	return len;
}

bool monitor_is_answer(uint32_t kind)
{
	return kind >= MONITOR_DONE && kind <= MONITOR_END;
}

/* Values. */

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Names become arguments of programs and parts of paths, so none begins with a dot or a dash. */
static bool name_ok(const char *text, size_t len, bool plus)
{
	if (len > 0 && !letter(text[0]) && text[0] != '_')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!letter(text[i]) && !strchr(plus ? "_.-+" : "_.-", text[i]))
			return false;
	return true;
}

static bool printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

static bool text_ok(const char *text, const struct field *f)
{
	size_t len = strnlen(text, f->len);

	if (len == f->len)
		return false;
	for (size_t i = len; i < f->len; i++)
		if (text[i])
			return false;
	switch (f->type) {
	case FIELD_TEXT:
		return printable(text, len);
	case FIELD_NAME:
		return name_ok(text, len, false);
	case FIELD_SERVICE:
		return len > 0 && name_ok(text, len, true);
	default:
		return len > 0 && name_ok(text, len, false);
	}
}

static uint32_t get_u32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get_u64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool field_ok(const struct monitor_message *m, const struct field *f)
{
	const char *at = (const char *)m + f->offset;

	if (f->type == FIELD_U32)
		return get_u32(at) <= f->max;
	if (f->type == FIELD_U64)
		return get_u64(at) <= f->max;
	return f->type == FIELD_BYTES || text_ok(at, f);
}

static bool volumes_ok(const struct monitor_create *c)
{
	for (size_t i = 0; i < MONITOR_VOLUMES_MAX; i++) {
		const struct monitor_volume *v = &c->volumes[i];
		bool pathless = v->kind == MONITOR_VOLUME_NONE || v->kind == MONITOR_VOLUME_HOST;

		/* One of kind NONE may have a role: a volume with nothing in it. */
		if ((v->role[0] == '\0' && v->kind != MONITOR_VOLUME_NONE) ||
		    (pathless ? v->path[0] != '\0' : v->path[0] != '/'))
			return false;
	}
	return true;
}

static bool input_ok(const struct monitor_call *c)
{
	for (size_t i = c->input_len; i < MONITOR_INPUT_LEN; i++)
		if (c->input[i])
			return false;
	return c->timeout_ms > 0;
}

bool monitor_check(const struct monitor_message *m)
{
	const struct layout *layout = layout_of(m->kind);

	if (!layout || m->domid > MONITOR_DOMID_MAX)
		return false;
	for (size_t i = 0; i < layout->n_fields; i++)
		if (!field_ok(m, &layout->fields[i]))
			return false;
	switch (m->kind) {
	case MONITOR_CREATE:
		return m->create.vcpus > 0 && volumes_ok(&m->create);
	case MONITOR_CALL:
		return input_ok(&m->call);
	case MONITOR_FAILED:
		return m->failed.error > 0;
	case MONITOR_QUBE:
		return m->domid > 0 && m->qube.state > 0;
	case MONITOR_STOPPED:
		return m->domid > 0 && m->stopped.cause > 0;
	case MONITOR_CREATED:
		return m->domid > 0;
	default:
		return true;
	}
}

/* Packets. */

ssize_t monitor_encode(void *out, size_t max, const struct monitor_message *in)
{
	const struct layout *layout = layout_of(in->kind);
	struct wire_writer w = wire_writer(out, max);

	if (!layout || !monitor_check(in))
		return -1;
	wire_put_u32(&w, in->kind);
	wire_put_u32(&w, in->serial);
	wire_put_u32(&w, in->domid);
	for (size_t i = 0; i < layout->n_fields; i++) {
		const struct field *f = &layout->fields[i];
		const char *at = (const char *)in + f->offset;

		if (f->type == FIELD_U32)
			wire_put_u32(&w, get_u32(at));
		else if (f->type == FIELD_U64)
			wire_put_u64(&w, get_u64(at));
		else
			wire_put_bytes(&w, at, f->len);
	}
	return w.bad ? -1 : (ssize_t)w.len;
}

static void read_field(struct wire_reader *r, struct monitor_message *m, const struct field *f)
{
	char *at = (char *)m + f->offset;

	if (f->type == FIELD_U32) {
		uint32_t value = wire_u32(r);

		memcpy(at, &value, sizeof(value));
	} else if (f->type == FIELD_U64) {
		uint64_t value = wire_u64(r);

		memcpy(at, &value, sizeof(value));
	} else {
		wire_copy(r, at, f->len);
	}
}

int monitor_decode(const void *data, size_t len, struct monitor_message *out)
{
	struct wire_reader r = wire_reader(data, len);
	struct monitor_message message;
	const struct layout *layout;

	memset(&message, 0, sizeof(message));
	message.kind = wire_u32(&r);
	message.serial = wire_u32(&r);
	message.domid = wire_u32(&r);
	layout = layout_of(message.kind);
	if (!layout)
		return -1;
	for (size_t i = 0; i < layout->n_fields; i++)
		read_field(&r, &message, &layout->fields[i]);
	if (!wire_end(&r) || !monitor_check(&message))
		return -1;
	*out = message;
	return 0;
}
