/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_KEEPER_H
#define PROTO_KEEPER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/compat.h"
#include "proto/qrexec.h"

/*
 * What the keeper of a qube and its confined slice say to each other: one packet a message on a
 * SOCK_SEQPACKET pair, little-endian, fixed layout. Each side checks every byte: a slice that was
 * taken over by its qube can say here what a slice may say, in its own qube's name, and nothing else.
 * Pure: no system call, no allocation, no global.
 */

enum keeper_kind {
	/* keeper to slice */
	KEEPER_START = 1,   /* the channel: descriptors come with it; first and once */
	KEEPER_COMMAND = 2, /* EXEC_CMDLINE, JUST_EXEC or SERVICE_CONNECT for the agent */
	KEEPER_REFUSE = 3,  /* SERVICE_REFUSED for the agent */
	/* slice to keeper */
	KEEPER_OPEN = 16,       /* HELLO done; once */
	KEEPER_REQUEST = 17,    /* a call that the qube wants */
	KEEPER_TERMINATED = 18, /* CONNECTION_TERMINATED */
	KEEPER_END = 19,        /* the control connection is over; last */
};

enum keeper_end {
	KEEPER_END_CLOSED = 1, /* the agent closed it */
	KEEPER_END_HELLO = 2,  /* the agent's HELLO was not one */
	KEEPER_END_BROKEN = 3, /* the agent broke the protocol, or did not finish a message */
	KEEPER_END_MAX = 3,
};

/* Bytes; "DEFAULT" may become a longer user name. */
#define KEEPER_USER_MAX       255U
#define KEEPER_COMMAND_MAX    (QREXEC_LOCAL_BODY_MAX - QREXEC_EXEC_LEN + KEEPER_USER_MAX)
#define KEEPER_START_LEN      36U
#define KEEPER_COMMAND_LEN    28U /* without the command */
#define KEEPER_REFUSE_LEN     44U
#define KEEPER_OPEN_LEN       8U
#define KEEPER_REQUEST_LEN    180U /* without the name */
#define KEEPER_TERMINATED_LEN 12U
#define KEEPER_END_LEN        8U
#define KEEPER_PACKET_MAX     (KEEPER_COMMAND_LEN + KEEPER_COMMAND_MAX)

struct keeper_start {       /* offsets 4 … 32, u32 each */
	uint32_t domain;    /* the qube's number, for the trace */
	uint32_t transport; /* struct vchan_handle */
	uint32_t is_server;
	uint32_t left_order;
	uint32_t right_order;
	uint32_t send_max;
	uint32_t n_fds;     /* of the channel; they come first */
	uint32_t has_trace; /* 0 or 1: one more descriptor, the trace ring */
};

struct keeper_command {
	uint32_t type;        /* 4: QREXEC_EXEC_CMDLINE, _JUST_EXEC, _SERVICE_CONNECT */
	uint32_t domain;      /* 8 */
	uint32_t port;        /* 12: 513 … 768 */
	uint64_t call;        /* 16: for the trace */
	uint32_t command_len; /* 24: 1 … KEEPER_COMMAND_MAX, with the final NUL */
	const char *command;  /* 28: borrowed; last byte NUL */
};

struct keeper_refuse {
	uint64_t call;                   /* 4 */
	uint8_t ident[QREXEC_IDENT_LEN]; /* 12: any bytes: they are the qube's own */
};

struct keeper_request {
	uint32_t serial;                 /* 4: of the slice's requests, for the trace */
	uint32_t has_source;             /* 8: 0 or 1 */
	uint8_t ident[QREXEC_IDENT_LEN]; /* 12: legal ident */
	char source[QREXEC_TARGET_LEN];  /* 44: legal characters, NUL-padded; may be "" */
	char target[QREXEC_TARGET_LEN];  /* 108 */
	uint32_t name_len;               /* 172: without the NUL, 1 … QREXEC_NAME_MAX - 1 */
	uint32_t unused;                 /* 176: 0 */
	const char *name;                /* 180: borrowed, NUL-terminated, legal characters */
};

struct keeper_terminated {
	uint32_t domain; /* 4 */
	uint32_t port;   /* 8: 513 … 768 */
};

/** keeper_kind() - of a packet; 0 if it is too short to have one */
uint32_t keeper_kind(const void *data, size_t len);

/*
 * Encoders: bytes written, or -1 if max is too small or a value is not legal.
 * Decoders: 0, or -1: not a legal packet of that kind (short, long, a value out of range).
 */
ssize_t keeper_encode_start(void *out, size_t max, const struct keeper_start *in) MUST_CHECK;
int keeper_decode_start(const void *data, size_t len, struct keeper_start *out) MUST_CHECK;
ssize_t keeper_encode_command(void *out, size_t max, const struct keeper_command *in) MUST_CHECK;
int keeper_decode_command(const void *data, size_t len, struct keeper_command *out) MUST_CHECK;
ssize_t keeper_encode_refuse(void *out, size_t max, const struct keeper_refuse *in) MUST_CHECK;
int keeper_decode_refuse(const void *data, size_t len, struct keeper_refuse *out) MUST_CHECK;

ssize_t keeper_encode_open(void *out, size_t max, uint32_t version) MUST_CHECK;
int keeper_decode_open(const void *data, size_t len, uint32_t *ret_version) MUST_CHECK;
ssize_t keeper_encode_request(void *out, size_t max, const struct keeper_request *in) MUST_CHECK;
int keeper_decode_request(const void *data, size_t len, struct keeper_request *out) MUST_CHECK;
ssize_t keeper_encode_terminated(void *out, size_t max, const struct keeper_terminated *in)
        MUST_CHECK;
int keeper_decode_terminated(const void *data, size_t len, struct keeper_terminated *out)
        MUST_CHECK;
ssize_t keeper_encode_end(void *out, size_t max, enum keeper_end reason) MUST_CHECK;
int keeper_decode_end(const void *data, size_t len, enum keeper_end *ret_reason) MUST_CHECK;

/** keeper_ident_legal() - 0 … 31 legal characters, then NULs to the end (doc/protocol/qrexec.md, 6.5) */
int keeper_ident_legal(const uint8_t ident[QREXEC_IDENT_LEN]);

#endif
