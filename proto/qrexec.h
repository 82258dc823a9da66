/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTO_QREXEC_H
#define PROTO_QREXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * The qrexec messages: bytes to checked structs and back. Pure: no system call, no allocation, no
 * global. All integers are little-endian and every structure is packed by its layout.
 * Source: doc/protocol/qrexec.md.
 */

/* Versions. */
#define QREXEC_VERSION           4U /* ours: agent, control, data; protocol */
#define QREXEC_VERSION_LOCAL     3U /* ours on the dom0 local socket; protocol */
#define QREXEC_VERSION_MIN       2U /* agent and data peers; protocol */
#define QREXEC_VERSION_LOCAL_MIN 3U /* dom0 local socket; protocol */

/* Sizes, bytes; protocol. */
#define QREXEC_HEADER_LEN       8U
#define QREXEC_HELLO_LEN        4U
#define QREXEC_EXEC_LEN         8U /* exec_params without the command line */
#define QREXEC_IDENT_LEN        32U
#define QREXEC_TARGET_LEN       64U
#define QREXEC_NAME_MAX         65000U /* service name + argument with the NUL */
#define QREXEC_LOCAL_BODY_MAX   65535U /* exec_params + command line from a dom0 client */
#define QREXEC_TRIGGER2_LEN     128U
#define QREXEC_TRIGGER3_LEN     96U                                     /* fixed part */
#define QREXEC_TRIGGER4_LEN     160U                                    /* fixed part */
#define QREXEC_BODY_MAX         (QREXEC_TRIGGER4_LEN + QREXEC_NAME_MAX) /* of any message */
#define QREXEC_DATA_MAX         65536U /* one data message, versions 3 and up */
#define QREXEC_DATA_MAX_V2      4096U
#define QREXEC_SERVICE_NAME_MAX 255U /* name part of service+argument */

/* Ports; protocol. */
#define QREXEC_PORT_CONTROL 512
#define QREXEC_PORT_FIRST   513
#define QREXEC_PORT_LAST    768
#define QREXEC_PORTS        256

/* Exit codes that a caller sees; protocol. */
#define QREXEC_EXIT_PROBLEM   125
#define QREXEC_EXIT_REFUSED   126
#define QREXEC_EXIT_NOT_FOUND 127

enum qrexec_type {
	QREXEC_DATA_STDIN = 0x190,
	QREXEC_DATA_STDOUT = 0x191,
	QREXEC_DATA_STDERR = 0x192,
	QREXEC_DATA_EXIT_CODE = 0x193,
	QREXEC_EXEC_CMDLINE = 0x200,
	QREXEC_JUST_EXEC = 0x201,
	QREXEC_SERVICE_CONNECT = 0x202,
	QREXEC_SERVICE_REFUSED = 0x203,
	QREXEC_TRIGGER_SERVICE = 0x210,
	QREXEC_CONNECTION_TERMINATED = 0x211,
	QREXEC_TRIGGER_SERVICE3 = 0x212,
	QREXEC_TRIGGER_SERVICE4 = 0x213,
	QREXEC_HELLO = 0x300,
};

enum qrexec_error {
	QREXEC_OK = 0,
	QREXEC_E_LENGTH,  /* body length not legal for the type: the sender is broken */
	QREXEC_E_TYPE,    /* type not legal here */
	QREXEC_E_VERSION, /* version not legal or too old */
	QREXEC_E_PORT,    /* port outside 513 … 768 */
	QREXEC_E_IDENT,   /* request ident has bad characters: refuse that request */
	QREXEC_E_NAME,    /* service name empty, unterminated, with NUL, or begins with +: refuse */
};

struct qrexec_header {
	uint32_t type; /* offset 0 */
	uint32_t len;  /* offset 4: bytes of the body */
};

struct qrexec_exec {
	uint32_t domain;     /* offset 0: connect_domain */
	uint32_t port;       /* offset 4: connect_port */
	const char *command; /* offset 8: borrowed; NUL-terminated at command_len - 1 */
	size_t command_len;  /* with the NUL; may hold earlier NULs */
};

/* A request of a qube, sanitised. Strings are NUL-terminated copies. */
struct qrexec_trigger {
	uint8_t ident[QREXEC_IDENT_LEN]; /* as received, for REFUSED and CONNECT */
	char source[QREXEC_TARGET_LEN];  /* claimed source qube; "" for none; TRIGGER4 only */
	char target[QREXEC_TARGET_LEN];
	bool has_source;            /* TRIGGER4: requested_source= is sent, even if empty */
	size_t name_len;            /* bytes of name without the NUL, 1 … 64999 */
	char name[QREXEC_NAME_MAX]; /* service[+argument] */
};

/** qrexec_decode_header() - 8 bytes to a header; every value is possible, nothing is checked */
struct qrexec_header qrexec_decode_header(const uint8_t data[QREXEC_HEADER_LEN]);
void qrexec_encode_header(uint8_t out[QREXEC_HEADER_LEN], uint32_t type, uint32_t len);

/** qrexec_decode_hello() - body of a HELLO. Errors: QREXEC_OK, _E_TYPE, _E_LENGTH, _E_VERSION. */
enum qrexec_error qrexec_decode_hello(const struct qrexec_header *header, const uint8_t *body,
                                      uint32_t version_min, uint32_t *ret_version) MUST_CHECK;
/** qrexec_encode_hello() - header and body, QREXEC_HEADER_LEN + QREXEC_HELLO_LEN bytes */
#define QREXEC_HELLO_MESSAGE_LEN (QREXEC_HEADER_LEN + QREXEC_HELLO_LEN)
void qrexec_encode_hello(uint8_t out[QREXEC_HELLO_MESSAGE_LEN], uint32_t version);

/**
 * qrexec_check_agent_header() - may an agent of this protocol version send this header to a daemon?
 *
 * Called before a byte of the body is read, so a body is never larger than QREXEC_BODY_MAX.
 * Errors: QREXEC_OK, _E_TYPE, _E_LENGTH: both end the control connection.
 */
enum qrexec_error qrexec_check_agent_header(const struct qrexec_header *header, uint32_t version)
        MUST_CHECK;

/**
 * qrexec_decode_trigger() - body of TRIGGER_SERVICE, 3 or 4
 * @header:  passed qrexec_check_agent_header()
 * @body:    borrowed; header->len bytes, hostile
 * @out:     ident is always filled; the rest on QREXEC_OK only
 *
 * A NUL is forced at the end of each fixed field; forbidden bytes become '_'.
 * Errors: QREXEC_OK; _E_IDENT, _E_NAME: refuse this request, the connection goes on.
 */
enum qrexec_error qrexec_decode_trigger(const struct qrexec_header *header, const uint8_t *body,
                                        struct qrexec_trigger *out) MUST_CHECK;

/** qrexec_encode_trigger4() - the fixed part; the name (with NUL) follows it on the wire.
 *  Fields are zero-padded. Errors: QREXEC_OK, _E_LENGTH: a text does not fit. */
enum qrexec_error qrexec_encode_trigger4(uint8_t out[QREXEC_TRIGGER4_LEN], const char *source,
                                         const char *target, const char *ident) MUST_CHECK;

/**
 * qrexec_decode_terminated() - body of CONNECTION_TERMINATED
 * Errors: QREXEC_OK, _E_LENGTH, _E_PORT.
 */
enum qrexec_error qrexec_decode_terminated(const struct qrexec_header *header, const uint8_t *body,
                                           struct qrexec_exec *out) MUST_CHECK;

/**
 * qrexec_decode_exec() - body of EXEC_CMDLINE, JUST_EXEC or SERVICE_CONNECT with a command
 * @out:  command borrowed from body
 *
 * Errors: QREXEC_OK; _E_LENGTH: 8 bytes or fewer, more than QREXEC_LOCAL_BODY_MAX, or no NUL at the
 *         end. The port is not checked: 0 has a meaning in a request.
 */
enum qrexec_error qrexec_decode_exec(const struct qrexec_header *header, const uint8_t *body,
                                     struct qrexec_exec *out) MUST_CHECK;
/** qrexec_encode_exec() - the 8 fixed bytes */
void qrexec_encode_exec(uint8_t out[QREXEC_EXEC_LEN], uint32_t domain, uint32_t port);

/** qrexec_port_legal() - 513 … 768 */
bool qrexec_port_legal(uint32_t port);

/** Sanitising character classes: letters, digits, '_', '-', '.', and the ones named. */
bool qrexec_name_char(char c);   /* '+' */
bool qrexec_target_char(char c); /* '@' ':' */
bool qrexec_ident_char(char c);  /* ' ' */

#endif
