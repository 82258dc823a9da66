/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_MONITOR_H
#define PROTO_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"

/*
 * What the monitor, the toolstack of a ground, the admin service and the broker of channels say to
 * each other: one packet a message on a SOCK_SEQPACKET pair, little-endian, one fixed length for each
 * kind. Every packet begins with kind, serial and domid, 4 bytes each. Answers repeat the serial of
 * their request; events have serial 0. Who may send what, and when: monitor/requests.c.
 * Pure: no system call, no allocation, no global.
 *
 * Trust: none of these processes reads a byte of a qube as text, but any may be wrong. A decoder
 *        takes every byte string and gives a checked message or -1: numbers within their bounds,
 *        texts NUL-terminated, NUL-filled and without control characters, names of legal letters.
 * Source: doc/system.md, Messages. Test: tests/unit/proto/monitor.c, fuzz/proto_monitor.c.
 */

#define MONITOR_VERSION 2U

enum monitor_kind {
	/* requests */
	MONITOR_HELLO = 1,  /* admin, toolstack: first and once; the toolstack's brings its qubes */
	MONITOR_CREATE = 2, /* admin -> monitor -> toolstack; to the toolstack with the domid */
	MONITOR_UNPAUSE = 3,         /* … the first one lets a created qube begin */
	MONITOR_PAUSE = 4,           /* … */
	MONITOR_SHUTDOWN = 5,        /* … asks the qube to end by itself */
	MONITOR_DESTROY = 6,         /* … ends it; DONE after STOPPED */
	MONITOR_NETWORK = 7,         /* … */
	MONITOR_STATS = 8,           /* … answered by one STAT for each running qube, then DONE */
	MONITOR_QREXEC = 9,          /* admin -> monitor */
	MONITOR_CALL = 10,           /* admin -> monitor */
	MONITOR_CHANNELS_OPEN = 11,  /* monitor -> broker: the qube's socket must exist */
	MONITOR_CHANNELS_CLOSE = 12, /* monitor -> broker: it must not */
	/* answers */
	MONITOR_DONE = 32,
	MONITOR_CREATED = 33, /* the domid stands in the head */
	MONITOR_FAILED = 34,
	MONITOR_END = 35, /* of the table that answers HELLO */
	/* events, and rows of answers, which carry the serial of their request */
	MONITOR_QUBE = 48,
	MONITOR_STOPPED = 49,
	MONITOR_STAT = 50,
};

enum monitor_error {
	MONITOR_E_STATE = 1,   /* no such qube, or not in a state that allows it */
	MONITOR_E_EXISTS,      /* a qube of that name or uuid runs */
	MONITOR_E_LIMIT,       /* as many qubes as there may be */
	MONITOR_E_MEMORY,      /* not enough of it for the qube */
	MONITOR_E_VOLUME,      /* a volume is not what the ground can use */
	MONITOR_E_NETWORK,     /* the netvm does not run, or cannot be connected */
	MONITOR_E_GROUND,      /* the ground could not; the text says why */
	MONITOR_E_TIMEOUT,     /* not in time */
	MONITOR_E_PROGRAM,     /* a process of the qube failed; status says how */
	MONITOR_E_UNSUPPORTED, /* this ground does not do it */
	MONITOR_E_GONE,        /* who should have answered has ended; ask again */
	MONITOR_E_MAX = MONITOR_E_GONE,
};

enum monitor_class {
	MONITOR_CLASS_APP,
	MONITOR_CLASS_TEMPLATE,
	MONITOR_CLASS_STANDALONE,
	MONITOR_CLASS_DISPOSABLE,
	MONITOR_CLASS_MAX = MONITOR_CLASS_DISPOSABLE,
};

enum monitor_virt { MONITOR_PVH, MONITOR_HVM, MONITOR_PV, MONITOR_VIRT_MAX = MONITOR_PV };

enum monitor_flag {
	MONITOR_FLAG_DEBUG = 1 << 0,
	MONITOR_FLAG_PROVIDES_NETWORK = 1 << 1,
	MONITOR_FLAG_FIXED_MEMORY = 1 << 2, /* maxmem is not used: no balancing */
};
#define MONITOR_FLAGS_ALL 7U

enum monitor_volume_kind {
	MONITOR_VOLUME_NONE,  /* an unused row */
	MONITOR_VOLUME_DIR,   /* a directory tree */
	MONITOR_VOLUME_FILE,  /* an image file */
	MONITOR_VOLUME_BLOCK, /* a block device */
	MONITOR_VOLUME_HOST,  /* the local ground's root: what dom0 itself has; no path */
	MONITOR_VOLUME_MAX = MONITOR_VOLUME_HOST,
};

enum monitor_state {
	MONITOR_PAUSED = 1, /* created, or paused later */
	MONITOR_RUNNING,
	MONITOR_HALTING, /* SHUTDOWN was asked */
	MONITOR_DYING,   /* DESTROY was asked, or it ended and is being cleared away */
	MONITOR_STATE_MAX = MONITOR_DYING,
};

enum monitor_cause { MONITOR_OFF = 1, MONITOR_CRASH, MONITOR_DESTROYED };
#define MONITOR_CAUSE_MAX MONITOR_DESTROYED

/* Bytes, a final NUL included. Chosen unless said. */
#define MONITOR_UUID_LEN    16U
#define MONITOR_NAME_LEN    32U /* 31 letters: the original's longest name of a qube */
#define MONITOR_USER_LEN    32U
#define MONITOR_ROLE_LEN    16U
#define MONITOR_PATH_LEN    768U /* as proto/storage.h */
#define MONITOR_CMDLINE_LEN 1024U
#define MONITOR_SERVICE_LEN 64U
#define MONITOR_TEXT_LEN    128U
#define MONITOR_INPUT_LEN   512U
#define MONITOR_VOLUMES_MAX 8U

#define MONITOR_DOMID_MAX   32751U /* 0x7fef: the last that Xen gives to a domain */
#define MONITOR_OWNER_MAX   65535U /* numbers of qubes (qid) */
#define MONITOR_VCPUS_MAX   512U
#define MONITOR_MEMORY_MAX  (1ULL << 34) /* KiB: 16 TiB */
#define MONITOR_MAC_MAX     ((1ULL << 48) - 1)
#define MONITOR_TIMEOUT_MAX 86400U /* seconds: one day */

/*
 * Outer user of a qube's processes, and owner of what its volumes hold, where the local ground runs
 * as root: this number and the qube's own (qid). Nobody else uses the range (systemd's
 * doc/UIDS-GIDS has it free).
 */
#define MONITOR_OWNER_UID_BASE 1879048192U /* 0x70000000 */

#define MONITOR_HEAD_LEN       12U
#define MONITOR_PACKET_MAX     12288U /* no packet is longer; tests/unit/proto/monitor.c */

struct monitor_hello {
	uint32_t version;
};

struct monitor_volume {
	char role
	        [MONITOR_ROLE_LEN]; /* "root", "private", "volatile", "kernel"; may be "" with kind NONE */
	char path[MONITOR_PATH_LEN]; /* absolute, or "" for NONE and HOST */
	uint32_t kind;
	uint32_t read_only; /* 0 or 1 */
	uint64_t size;      /* bytes that it may hold; 0: no limit is known */
};

struct monitor_create {
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	uint32_t qube_class;
	uint32_t virt_mode;
	uint32_t flags;
	uint64_t memory;     /* KiB at the start */
	uint64_t memory_max; /* KiB at most */
	uint32_t vcpus;      /* 1 … */
	uint32_t netvm;      /* domid; 0: none */
	uint32_t ip;         /* 10.1.2.3 is 0x0a010203; 0: none */
	uint64_t mac;        /* 00:16:3e:5e:6c:00 is 0x00163e5e6c00; 0: none */
	uint32_t owner;      /* number of the qube (qid) */
	char default_user[MONITOR_USER_LEN];
	struct monitor_volume volumes[MONITOR_VOLUMES_MAX];
	char kernel[MONITOR_PATH_LEN];
	char initrd[MONITOR_PATH_LEN];
	char cmdline[MONITOR_CMDLINE_LEN];
};

struct monitor_network {
	uint32_t netvm; /* domid; 0: cut off */
	uint32_t ip;
	uint64_t mac;
};

struct monitor_qrexec {
	uint32_t timeout; /* seconds; 0: do not wait for the agent */
	char name[MONITOR_NAME_LEN];
	char default_user[MONITOR_USER_LEN];
	uint8_t uuid[MONITOR_UUID_LEN];
};

struct monitor_call {
	char name[MONITOR_NAME_LEN];
	char user[MONITOR_USER_LEN];
	char service[MONITOR_SERVICE_LEN]; /* with +ARGUMENT */
	char source[MONITOR_NAME_LEN];     /* who calls, as the service is told */
	uint32_t timeout_ms;               /* 1 … */
	uint32_t input_len;
	uint8_t input[MONITOR_INPUT_LEN]; /* zero from input_len on */
};

struct monitor_done {
	uint32_t status; /* of CALL: the service's exit status; else 0 */
};

struct monitor_failed {
	uint32_t error;
	uint32_t status; /* E_PROGRAM: exit status, or 128 + signal */
	char text[MONITOR_TEXT_LEN];
};

struct monitor_qube {
	uint8_t uuid[MONITOR_UUID_LEN];
	char name[MONITOR_NAME_LEN];
	uint32_t state;
};

struct monitor_stopped {
	uint8_t uuid[MONITOR_UUID_LEN];
	uint32_t cause;
};

struct monitor_stat {
	uint64_t memory; /* KiB in use */
	uint64_t cpu_ns; /* of all its processors, since its start */
	uint32_t vcpus;
};

struct monitor_channels {
	uint32_t
	        owner; /* number of the qube: its processes run as MONITOR_OWNER_UID_BASE + owner */
};

struct monitor_message {
	uint32_t kind;
	uint32_t serial;
	uint32_t domid; /* 0: none */
	union {
		struct monitor_hello hello;
		struct monitor_create create;
		struct monitor_network network;
		struct monitor_qrexec qrexec;
		struct monitor_call call;
		struct monitor_channels channels; /* OPEN only */
		struct monitor_done done;
		struct monitor_failed failed;
		struct monitor_qube qube;
		struct monitor_stopped stopped;
		struct monitor_stat stat;
	};
};

/** monitor_packet_len() - of all packets of a kind; 0: there is no such kind */
size_t monitor_packet_len(uint32_t kind);

/**
 * monitor_encode() - a message as a packet
 * Errors: bytes written, or -1: no such kind, too little room, or a value that no decoder takes.
 */
ssize_t monitor_encode(void *out, size_t max, const struct monitor_message *in) MUST_CHECK;

/**
 * monitor_decode() - a packet as a message
 * @out:  written on success only; what the kind does not use is zero
 * Errors: 0, or -1: not a legal packet of any kind.
 */
int monitor_decode(const void *data, size_t len, struct monitor_message *out) MUST_CHECK;

/** monitor_check() - whether every value is within its bounds: what the decoder promises */
bool monitor_check(const struct monitor_message *message);

/** monitor_is_answer() - whether a kind ends a request */
bool monitor_is_answer(uint32_t kind);

#endif
