/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notification protocol of one vchan ring (doc/protocol/vchan.md, 3.6; lib/vchan/ring.c): one
 * writer, one reader, an event that each can send the other. Both sleep when they can do nothing.
 * A lost wake-up is a state in which nobody can move before all bytes were: Spin finds it as an
 * invalid end state.
 *
 * Each step is one access to shared memory, in the order of the table in 3.6. Accesses are
 * interleaved one by one, which is what the full barriers there (sequentially consistent accesses
 * in ring.c) are for. An event is a flag: several before the sleeper looks are one.
 *
 *   spin -a vchan_notify.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * BROKEN=1 leaves out the second look after the request, BROKEN=2 publishes the index after the
 * event: both must be found (tests/model/notify.sh), or the model says nothing.
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define SIZE  2
#define TOTAL 7

byte prod, cons;        /* published; differences stay within SIZE */
bit asks_write = 1;     /* NOTIFY_WRITE: the reader wants to hear of bytes (set at the start) */
bit asks_read;          /* NOTIFY_READ: the writer wants to hear of room */
bit event_to_reader, event_to_writer;

active proctype writer()
{
	byte own, seen, n, wanted;
	bit asked;

	do
	:: own == TOTAL -> break
	:: else ->
		/* Any length that still is to be sent, up to the ring. */
		select (wanted : 1 .. SIZE);
		if
		:: wanted > TOTAL - own -> wanted = TOTAL - own
		:: else
		fi;
		seen = cons;                                            /* 1 */
		if
		:: SIZE - (own - seen) < wanted ->
			asks_read = 1;                                  /* 2 */
#if BROKEN != 1
			seen = cons;
#endif
		:: else
		fi;
		n = SIZE - (own - seen);
		if
		:: n == 0 ->
			/* vchan_step(): takes the event, then looks again. */
			atomic { event_to_writer -> event_to_writer = 0 }
		:: else ->
			if
			:: n > wanted -> n = wanted
			:: else
			fi;
			own = own + n;
#if BROKEN == 2
			atomic { asked = asks_write; asks_write = 0 };
			if
			:: asked -> event_to_reader = 1
			:: else
			fi;
			prod = own;
#else
			prod = own;                                     /* 4 */
			atomic { asked = asks_write; asks_write = 0 };  /* 5 */
			if
			:: asked -> event_to_reader = 1
			:: else
			fi
#endif
		fi
	od
}

active proctype reader()
{
	byte own, seen, n, wanted;
	bit asked;

	do
	:: own == TOTAL -> break
	:: else ->
		select (wanted : 1 .. SIZE);
		seen = prod;                                            /* 1 */
		if
		:: seen - own < wanted ->
			asks_write = 1;                                 /* 2 */
#if BROKEN != 1
			seen = prod;
#endif
		:: else
		fi;
		n = seen - own;
		assert(seen >= own && n <= SIZE);
		if
		:: n == 0 ->
			atomic { event_to_reader -> event_to_reader = 0 }
		:: else ->
			if
			:: n > wanted -> n = wanted
			:: else
			fi;
			own = own + n;
			cons = own;                                     /* 4 */
			atomic { asked = asks_read; asks_read = 0 };    /* 5 */
			if
			:: asked -> event_to_writer = 1
			:: else
			fi
		fi
	od
}
