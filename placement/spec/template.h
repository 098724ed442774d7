/*
 * Swarm's templates: what differs from task to task, written as {{.Task.Slot}} in `environment`, in `hostname` and in the
 * source of a bind. The Compose parser and every peer refuse any other {{ there; {{"{{"}} stands for the two braces
 * themselves. A driver expands when it prepares a task: env_build() does so for the environment, task_template() in
 * node/runtime/env.h for one text.
 */
#ifndef PLACEMENT_SPEC_TEMPLATE_H
#define PLACEMENT_SPEC_TEMPLATE_H

#include "base/arena.h"
#include "base/err.h"

enum template_value {
	TEMPLATE_NODE_HOSTNAME, /* the peer's name */
	TEMPLATE_NODE_ID,       /* 16 hex digits */
	TEMPLATE_SERVICE_ID,    /* 16 hex digits: the same for all tasks of a service, in every revision */
	TEMPLATE_SERVICE_NAME,  /* STACK_SERVICE, as a stack's services are called in swarm */
	TEMPLATE_TASK_ID,       /* 16 hex digits */
	TEMPLATE_TASK_NAME,     /* STACK_SERVICE.SLOT.TASKID; of a global service STACK_SERVICE.NODEID.TASKID */
	TEMPLATE_TASK_SLOT, /* counts from 1, as in swarm; 0 in a global service. STARLING_SLOT counts from 0 */
	TEMPLATE_N,
};

/* The text of each; none holds a / or a brace. */
struct template_values {
	const char *text[TEMPLATE_N];
};

/* Holds text only the templates above? err names what else stands there, and what may. */
int template_check(const char *text, struct err *err);
/* The first {{ that is no template, and its length up to }} or the end; NULL when there is none: for a caret. */
const char *template_fault(const char *text, size_t *len);
/* text with its templates filled in, in arena memory; text itself when it has none. A {{ that is no template, which
 * spec_check() lets nowhere, stays as it is. */
const char *template_expand(struct arena *arena, const char *text, const struct template_values *values);

#endif
