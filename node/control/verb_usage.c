/* usage: what this host and each of its tasks has used of cpu so far, and uses of memory now; `top` asks twice and takes the
 * difference, so that an agent keeps nothing for it. */
#include "base/text.h"
#include "node/control/row.h"
#include "node/runtime/usage.h"

static void pack_usage(struct wr *w, const struct usage *u, uint64_t memory_of)
{
	pk_kv_u64(w, "cpu_us", u->cpu_us);
	pk_kv_u64(w, "memory_bytes", u->memory);
	pk_kv_u64(w, "memory_bytes_of", memory_of);
	pk_kv_u64(w, "processes", u->processes);
}

void verb_usage(struct call *c)
{
	struct agent *a = c->agent;
	size_t n = runtime_tasks(a->runtime, NULL, 0);
	const struct runtime_task **tasks = xcalloc(n + 1, sizeof(*tasks));
	char stack[NAME_MAX_BYTES];
	struct usage_look look;
	struct usage u;
	struct rows r;
	uint64_t total;
	bool given;
	struct err err;

	if (arg_text(c, "stack", stack, sizeof(stack), &given, &err) < 0) {
		free(tasks);
		call_fail(c, &err);
		return;
	}
	runtime_tasks(a->runtime, tasks, n);
	rows_init(&r);
	usage_look(&look, "/proc", "/sys/fs/cgroup");
	usage_host(&look, &u, &total);
	pk_map(&r.w, 6);
	pk_kv_i64(&r.w, "at_us", (int64_t)(uv_hrtime() / 1000));
	pk_kv_u64(&r.w, "cpu_milli_of", a->host.cpu_milli + a->reserve.cpu_milli);
	pack_usage(&r.w, &u, total);
	rows_end(&r);
	for (size_t i = 0; i < n; i++) {
		const struct runtime_task *t = tasks[i];

		if (!t->pid || (given && strcmp(t->stack, stack) != 0))
			continue;
		u = usage_of(&look, (int)t->pid);
		pk_map(&r.w, 8);
		row_id(&r.w, "task", t->task);
		pk_kv_str(&r.w, "stack", t->stack);
		pk_kv_str(&r.w, "service", t->service);
		pk_kv_u64(&r.w, "slot", t->index);
		pack_usage(&r.w, &u, t->spec->limit.memory);
		rows_end(&r);
	}
	usage_free(&look);
	free(tasks);
	call_rows(c, &r);
	rows_free(&r);
}
