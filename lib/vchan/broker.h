/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_VCHAN_BROKER_H
#define LIB_VCHAN_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compat.h"

/*
 * What a program and the broker of channels say to each other, on a stream socket that stands for the
 * program's domain: one question, and after any time one answer with a connected socket in it.
 *
 *   question  magic u32 | op u32 | peer u32 | port u32     little-endian
 *   answer    magic u32 | zero u32                         with one descriptor
 *
 * Closing the connection withdraws the question.
 *
 * Source: doc/system.md.
 */
#define BROKER_MAGIC        0x6b736362U /* "bcsk" */
#define BROKER_QUESTION_LEN 16U
#define BROKER_ANSWER_LEN   8U

enum broker_op {
	BROKER_LISTEN = 1,
	BROKER_CONNECT = 2,
};

struct broker_question {
	enum broker_op op;
	uint32_t peer; /* domain, below BROKER_DOMAIN_MAX */
	uint32_t port; /* any */
};
#define BROKER_DOMAIN_MAX 0x7FF0U /* protocol */

/** broker_decode_question() - Trust: hostile. 0, or -1: it is none. */
int broker_decode_question(const uint8_t data[BROKER_QUESTION_LEN], struct broker_question *out)
        MUST_CHECK;
void broker_encode_question(uint8_t data[BROKER_QUESTION_LEN], const struct broker_question *in);
bool broker_check_answer(const uint8_t data[BROKER_ANSWER_LEN]);
void broker_encode_answer(uint8_t data[BROKER_ANSWER_LEN]);

#endif
