/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "slices/qrexec/request.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/deadline.h"
#include "lib/base/fd.h"
#include "lib/trace/trace.h"
#include "slices/qrexec/disposable.h"
#include "slices/qrexec/policy_link.h"
#include "slices/qrexec/qubesd.h"
#include "slices/qrexec/route.h"
#include "slices/qrexec/slice_link.h"

/* Slots. An id is turn * LIMIT_PENDING_REQUESTS + slot. */

static int take_slot(struct requests *all, struct request *r)
{
	unsigned int slot;

	if (all->n_free > 0)
		slot = all->free_slot[--all->n_free];
	else if (all->n_touched < LIMIT_PENDING_REQUESTS)
		slot = all->n_touched++;
	else
		return -1;
	all->slot[slot] = r;
	all->n++;
	r->id = all->turn[slot] * LIMIT_PENDING_REQUESTS + slot;
	return 0;
}

static void free_slot(struct requests *all, const struct request *r)
{
	unsigned int slot = r->id % LIMIT_PENDING_REQUESTS;

	all->slot[slot] = NULL;
	all->turn[slot]++;
	all->free_slot[all->n_free++] = (uint16_t)slot;
	all->n--;
}

struct request *request_find(struct keeper *k, uint32_t id)
{
	struct request *r = k->requests.slot[id % LIMIT_PENDING_REQUESTS];

	return r && r->id == id ? r : NULL;
}

void request_each(struct keeper *k, enum request_state state, void (*fn)(struct request *r))
{
	for (unsigned int i = 0; i < k->requests.n_touched; i++) {
		struct request *r = k->requests.slot[i];

		if (r && r->state == state)
			fn(r);
	}
}

/* The end of a request. */

static void request_free(struct request *r)
{
	struct keeper *k = r->k;

	policy_forget(r);
	qubesd_cancel(r->qubesd);
	if (r->disposable)
		disposable_kill(r->disposable);
	ports_wait_clear(&r->wait);
	loop_timer_clear(k->loop, &r->timer);
	loop_timer_clear(k->loop, &r->again);
	loop_fd_remove(k->loop, &r->source_fd);
	(void)fd_close(r->fd);
	k->requests.name_bytes -= strlen(r->name);
	free_slot(&k->requests, r);
	free(r->out);
	free(r->dest);
	free(r->command);
	free(r->name);
	free(r);
}

void request_refuse(struct request *r, const char *why)
{
	struct keeper *k = r->k;

	LOG_QUBE(&k->log_limit, "%s from %s to %s: %s%s", r->name, k->options->name,
	         r->target[0] ? r->target : "@default", why,
	         r->answered ? " (a local client had connected it)" : "");
	if (!r->answered)
		slice_link_refuse(k, r->ident, r->call);
	request_free(r);
}

void request_connect(struct request *r, uint32_t domain, uint32_t port)
{
	struct keeper *k = r->k;
	struct keeper_command command = {
	        .type = QREXEC_SERVICE_CONNECT,
	        .domain = domain,
	        .port = port,
	        .call = r->call,
	        .command_len = QREXEC_IDENT_LEN,
	        .command = (const char *)r->ident,
	};
	uint32_t own = (uint32_t)k->options->xid;

	if (r->answered) {
		LOG_QUBE(&k->log_limit, "%s: connected twice; the second is dropped", r->name);
	} else {
		trace_link(r->call,
		           domain == 0 ? trace_call_id(0, own, port)
		                       : trace_call_id(domain, own, port),
		           port);
		if (slice_link_command(k, &command)) {
			request_refuse(r, "the agent does not read");
			return;
		}
	}
	request_free(r);
}

void requests_drop(struct keeper *k)
{
	for (unsigned int i = 0; i < k->requests.n_touched; i++) {
		if (k->requests.slot[i])
			request_free(k->requests.slot[i]);
	}
}

int request_connected(struct keeper *k, const char *ident, size_t body_len)
{
	for (unsigned int i = 0; i < k->requests.n_touched; i++) {
		struct request *r = k->requests.slot[i];

		if (r && !r->answered && body_len <= sizeof(r->ident) &&
		    strncmp((const char *)r->ident, ident, body_len) == 0) {
			r->answered = true;
			return 0;
		}
	}
	return -1;
}

/* A new request. */

static void on_policy_late(void *arg)
{
	request_refuse(arg, "no decision in time");
}

static struct request *make_request(struct keeper *k, const struct keeper_request *message)
{
	struct request *r;

	if (k->requests.n >= LIMIT_PENDING_REQUESTS ||
	    k->requests.name_bytes + message->name_len > LIMIT_PENDING_BYTES)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->name = strdup(message->name);
	if (!r->name || take_slot(&k->requests, r)) {
		free(r->name);
		free(r);
		return NULL;
	}
	k->requests.name_bytes += message->name_len;
	r->k = k;
	r->fd = -1;
	r->source_fd = (struct loop_fd)LOOP_FD_EMPTY;
	r->state = REQUEST_NEW;
	r->has_source = message->has_source;
	r->call = trace_own_id((uint32_t)k->options->xid, message->serial);
	memcpy(r->ident, message->ident, sizeof(r->ident));
	memcpy(r->source, message->source, sizeof(r->source));
	memcpy(r->target, message->target, sizeof(r->target));
	return r;
}

void request_new(struct keeper *k, const struct keeper_request *message)
{
	struct request *r = make_request(k, message);

	if (!r) {
		LOG_QUBE(&k->log_limit, "too many calls wait (%u): refused", k->requests.n);
		slice_link_refuse(k, message->ident,
		                  trace_own_id((uint32_t)k->options->xid, message->serial));
		return;
	}
	if (loop_timer_set(k->loop, &r->timer, deadline_ms(LIMIT_PROMPT_MS + LIMIT_POLICY_MS),
	                   on_policy_late, r)) {
		request_refuse(r, "no memory");
		return;
	}
	trace_point(r->call, TRACE_ASK_POLICY, 0, r->target);
	policy_ask(r);
}

void request_verdict(struct request *r, const struct policy_answer *answer)
{
	bool allowed = answer && answer->verdict == POLICY_ALLOWED;

	trace_point(r->call, TRACE_VERDICT, allowed, allowed ? answer->target : NULL);
	loop_timer_clear(r->k->loop, &r->timer);
	if (!answer)
		request_refuse(r, "policy gave no answer");
	else if (!allowed)
		request_refuse(r, "refused by policy");
	else
		route_call(r, answer);
}
