/*
 * The last field of a launch: a map. A key's meaning and kind never change; what is new gets a key of its own.
 *
 *	pid_file   text: where a container's runtime says which process is the container's first
 *	cleanup    texts: the runtime's command that clears away the container
 */
#include "node/runtime/launch_more.h"

#include "base/pack.h"
#include "placement/spec/spec.h"

enum more { MORE_PID_FILE, MORE_CLEANUP, MORES };

static const char *const names[MORES] = {
        [MORE_PID_FILE] = "pid_file",
        [MORE_CLEANUP] = "cleanup",
};

static bool has(const struct launch *l, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		return l->pid_file != NULL;
	case MORE_CLEANUP:
		return l->cleanup && l->cleanup[0];
	case MORES:
		break;
	}
	return false;
}

static uint32_t count(const struct launch *l)
{
	uint32_t n = 0;

	for (int m = 0; m < MORES; m++)
		n += has(l, m);
	return n;
}

bool launch_has_more(const struct launch *l)
{
	return count(l) > 0;
}

void launch_no_more(struct launch *l, struct arena *arena)
{
	l->pid_file = NULL;
	l->cleanup = arena_array(arena, 1, sizeof(*l->cleanup));
}

static void put(struct wr *w, const struct launch *l, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		pk_bin(w, l->pid_file, strlen(l->pid_file));
		break;
	case MORE_CLEANUP:
		launch_put_texts(w, l->cleanup);
		break;
	case MORES:
		break;
	}
}

void launch_put_more(struct wr *w, const struct launch *l)
{
	pk_map(w, count(l));
	for (int m = 0; m < MORES; m++)
		if (has(l, m)) {
			pk_str(w, names[m]);
			put(w, l, m);
		}
}

static void get(struct rd *r, struct launch *l, struct arena *arena, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		l->pid_file = launch_get_text(r, arena);
		break;
	case MORE_CLEANUP:
		l->cleanup = launch_get_texts(r, arena, 2 * SPEC_ARGS_MAX);
		break;
	case MORES:
		up_skip(r);
		break;
	}
}

void launch_get_more(struct rd *r, struct launch *l, struct arena *arena)
{
	for (uint32_t n = up_map(r); n && rd_ok(r); n--) {
		size_t len;
		const char *key = up_str(r, &len);
		enum more m = 0;

		while (key && m < MORES && !up_is(key, len, names[m]))
			m++;
		if (key)
			get(r, l, arena, m);
	}
}
