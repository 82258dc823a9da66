/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_LIB_VCHAN_CASES_H
#define TESTS_UNIT_LIB_VCHAN_CASES_H

#include "tests/unit/unit.h"

#include <stddef.h>

#include "lib/vchan/public/libvchan.h"

/*
 * Cases 1 to 21 of doc/protocol/vchan.md, section 6. S: server domain 1 for client domain 2, port
 * 42, with rings of 1024 asked for; a raw peer is a plain AF_UNIX program. cases_raw.c has those with
 * a raw peer, cases_both.c those with our library on both sides, cases_threads.c those with threads.
 */
#define CASES_PORT 42
#define CASES_LIMIT_MS                                                                             \
	60000 /* only reached by a bug: then a test fails instead of standing still */

/* cases.c; each asserts that it works. */
void as_domain(const char *domain);
libvchan_t *server(size_t ring);
libvchan_t *client(void);
int raw_try_connect(void); /* or -1 */
int raw_connect(void);
void raw_send(int sock, const char *data, size_t len);
void raw_expect(int sock, const char *data, size_t len);
void wait_until_open(libvchan_t *v);
void wait_for_data(libvchan_t *v, int n);
void fill_pattern(char *buf, size_t len);
size_t files_left(void); /* in the folder of the rendezvous */
size_t threads_now(void);

void test_01_read_after_connect(void **state);
void test_02_read_waits(void **state);
void test_03_write(void **state);
void test_04_write_before_connect(void **state);
void test_05_data_ready(void **state);
void test_06_buffer_space(void **state);
void test_07_short_read(void **state);
void test_08_recv_waits_for_all(void **state);
void test_08_recv_of_single_bytes(void **state);
void test_09_more_than_a_ring(void **state);
void test_10_around_the_end(void **state);
void test_12_wait_for_client(void **state);
void test_13_peer_closes(void **state);
void test_15_second_client(void **state);
void test_16_no_second_life(void **state);
void test_19_last_words(void **state);
void test_11_client(void **state);
void test_14_bytes_before_the_end(void **state);
void test_18_larger_than_the_ring(void **state);
void test_17_client_first(void **state);
void test_20_port_again(void **state);
void test_20_two_listeners(void **state);
void test_21_close_leaves_nothing(void **state);
void test_async_client(void **state);
void test_loopback_refused(void **state);
void test_killed_peer(void **state);
void test_no_thread_once_connected(void **state);
void test_two_threads(void **state);
void test_three_threads(void **state);
void test_large_message(void **state);

#endif
