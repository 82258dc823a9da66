/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions on their way to a service, each with a limit of time. A serial's place in the table follows
 * from its number, so an answer is found at once.
 */
#include <signal.h>

#include "lib/base/bytes.h"
#include "lib/base/log.h"
#include "monitor/monitor.h"

static void finish(struct pending *p, const struct monitor_message *answer)
{
	struct pending copy = *p;

	loop_timer_clear(p->monitor->loop, &p->limit);
	*p = (struct pending){0};
	copy.fn(copy.monitor, &copy, answer);
}

static void fail(struct pending *p, enum monitor_error error, const char *text)
{
	struct monitor_message m = {.kind = MONITOR_FAILED, .serial = p->serial, .domid = p->domid};

	m.failed.error = error;
	(void)bytes_copy_text(m.failed.text, sizeof(m.failed.text), text);
	finish(p, &m);
}

static void on_late(void *arg)
{
	struct pending *p = arg;
	struct service *s = &p->monitor->services[p->to];

	LOG("%s does not answer to a request of kind %u", process_rules[p->to].program, p->kind);
	fail(p, MONITOR_E_TIMEOUT, "the ground does not answer: see the logs of skerryd");
	/* It is not what it should be; what it holds runs on, and its successor finds it. */
	proc_signal(&s->proc, SIGKILL);
}

/* The next serial whose place is free; NULL: there is none. */
static struct pending *take_place(struct monitor *m)
{
	for (uint32_t i = 0; i < PENDING_MAX; i++) {
		struct pending *p;

		if (++m->last_serial == 0)
			m->last_serial = 1;
		p = &m->pending[m->last_serial % PENDING_MAX];
		if (p->serial == 0) {
			p->serial = m->last_serial;
			return p;
		}
	}
	return NULL;
}

static void refuse(struct monitor *m, const struct pending *question, enum monitor_error error,
                   const char *text)
{
	struct monitor_message answer = {.kind = MONITOR_FAILED, .domid = question->domid};

	answer.failed.error = error;
	(void)bytes_copy_text(answer.failed.text, sizeof(answer.failed.text), text);
	question->fn(m, question, &answer);
}

void pending_ask(struct monitor *m, enum process_id to, struct monitor_message *message,
                 uint32_t origin, unsigned int limit_ms,
                 void (*fn)(struct monitor *m, const struct pending *p,
                            const struct monitor_message *answer))
{
	struct service *s = &m->services[to];
	struct pending question = {.monitor = m,
	                           .origin = origin,
	                           .kind = message->kind,
	                           .domid = message->domid,
	                           .to = to,
	                           .fn = fn};
	struct pending *p;

	if (!link_is_open(&s->link) || !s->ready) {
		refuse(m, &question, MONITOR_E_GONE, "the ground is being started: try again");
		return;
	}
	p = take_place(m);
	if (!p) {
		refuse(m, &question, MONITOR_E_LIMIT, "too many requests at once");
		return;
	}
	question.serial = p->serial;
	*p = question;
	if (loop_timer_set(m->loop, &p->limit, limit_ms, on_late, p)) {
		fail(p, MONITOR_E_MEMORY, "no memory");
		return;
	}
	message->serial = p->serial;
	link_send(&s->link, message);
}

const struct pending *pending_find(const struct monitor *m, enum process_id from, uint32_t serial)
{
	const struct pending *p = &m->pending[serial % PENDING_MAX];

	return serial && p->serial == serial && p->to == from ? p : NULL;
}

bool pending_answer(struct monitor *m, enum process_id from, const struct monitor_message *answer)
{
	struct pending *p = &m->pending[answer->serial % PENDING_MAX];

	if (!pending_find(m, from, answer->serial))
		return false;
	finish(p, answer);
	return true;
}

void pending_drop(struct monitor *m, enum process_id to)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (m->pending[i].serial && m->pending[i].to == to)
			fail(&m->pending[i], MONITOR_E_GONE,
			     "the ground ended and starts again: try again");
}

void pending_forget(struct monitor *m)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		m->pending[i].origin = 0;
}
