/* One row of `ps`: a slot, its task if it has one, and what only the task's owner knows. Internal to node/control. */
#ifndef NODE_CONTROL_ROW_H
#define NODE_CONTROL_ROW_H

#include "node/control/call.h"

struct task_row {
	const char *stack, *service;
	uint32_t slot;
	const struct claim *claim;  /* NULL: unplaced */
	const struct service *spec; /* NULL: no longer wanted */
	ssize_t member;             /* -1: none */
	bool current;               /* runs what the stack's winning revision wants */
	enum spec_driver driver;
	const char *reason;
	/* owner's knowledge */
	bool known;
	int64_t pid;
	uint32_t restarts;
	bool exited;
	int exit_code, exit_signal;
	uint64_t user_ms, system_ms, max_rss; /* of the run that ended; bytes */
	bool oom;
	wall_ms started_at;
	wall_ms retry_at;
	id64 revision;
};

/* Fills what the task's owner knows: from our runtime, or from what ask.c fetched. */
void row_known(struct agent *a, struct task_row *t);
void row_from_runtime(struct task_row *t, const struct runtime_task *rt);
/* Appends the row; arena holds names that are made for it. */
void row_pack(struct agent *a, const struct task_row *t, struct arena *arena, struct rows *r);
/* A map entry with a short id as 16 hex digits. */
void row_id(struct wr *w, const char *key, id64 id);

/* Members' indexes in the order of their names as they are shown; memory is arena's. */
size_t *row_members_by_name(const struct view *v, struct arena *arena);

#endif
