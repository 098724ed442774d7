/*
 * The file `task` of a task's folder: one msgpack map. The service is wrapped in a spec of its own, named after the
 * stack, so that the one codec of specs serves here too.
 */
#include "base/log.h"
#include "base/pack.h"
#include "node/runtime/task.h"

#include <fcntl.h>

#define TASK_RECORD_VERSION 1
/* Bytes: one service at its bounds, and the fields beside it. */
#define TASK_RECORD_MAX (BODY_BYTES_MAX + 4096)

static void put_spec(struct wr *w, const struct runtime_task *p)
{
	struct spec spec = {.name = p->stack, .n_services = 1, .services = (struct service *)p->spec};
	struct wr body;

	wr_init(&body, BODY_BYTES_MAX);
	spec_encode(&body, &spec);
	if (!wr_ok(&body))
		w->fail = true;
	else
		pk_kv_bin(w, "spec", body.p, body.len);
	wr_free(&body);
}

static void put_ports(struct wr *w, const struct runtime_task *p)
{
	pk_str(w, "ports");
	pk_array(w, (uint32_t)(2 * p->n_ports));
	for (size_t i = 0; i < p->n_ports; i++) {
		pk_u64(w, p->ports[i].index);
		pk_u64(w, p->ports[i].port);
	}
}

static void encode(struct wr *w, const struct task *t)
{
	const struct runtime_task *p = &t->pub;

	pk_map(w, 32);
	pk_kv_u64(w, "version", TASK_RECORD_VERSION);
	pk_kv_str(w, "boot_id", t->rt->boot_id);
	put_spec(w, p);
	pk_kv_u64(w, "driver", p->driver);
	pk_kv_u64(w, "slot", p->slot);
	pk_kv_u64(w, "revision", p->revision);
	pk_kv_u64(w, "index", p->index);
	put_ports(w, p);
	pk_kv_u64(w, "run", t->run_number);
	pk_kv_u64(w, "state", t->life.state);
	pk_kv_u64(w, "runs", t->life.runs);
	pk_kv_u64(w, "streak", t->life.streak);
	pk_kv_u64(w, "blocked", t->life.blocked);
	pk_kv_i64(w, "started_mono", t->life.started_at);
	pk_kv_i64(w, "retry_at", t->life.retry_at);
	pk_kv_u64(w, "health", p->health);
	pk_kv_i64(w, "healthy_since", p->healthy_since);
	pk_kv_i64(w, "healthy_at", p->healthy_at);
	pk_kv_i64(w, "started_at", p->started_at);
	pk_kv_i64(w, "pid", p->pid);
	pk_kv_u64(w, "restarts", p->restarts);
	pk_kv_u64(w, "failures", p->failures);
	pk_kv_bool(w, "exited", p->exited);
	pk_kv_i64(w, "exit_code", p->exit_code);
	pk_kv_i64(w, "exit_signal", p->exit_signal);
	pk_kv_bool(w, "oom", p->oom);
	pk_kv_u64(w, "user_ms", p->user_ms);
	pk_kv_u64(w, "system_ms", p->system_ms);
	pk_kv_u64(w, "max_rss", p->max_rss);
	pk_kv_bool(w, "stopping", p->stopping);
	pk_kv_str(w, "reason", p->reason);
	pk_kv_nil(w, "end"); /* so that a cut file never looks whole */
}

int record_save(struct task *t)
{
	struct err err = {0};
	struct wr w;

	wr_init(&w, TASK_RECORD_MAX);
	encode(&w, t);
	if (!wr_ok(&w))
		err_set(&err, ERR_FAILED, "the service is too large");
	else
		file_replace(t->dir_fd, "task", w.p, w.len, &err);
	if (err.code)
		log_warn("task",
		        "%s/%s/%u: its record in %s could not be written (%s); an agent that restarts now would "
		        "go on from an older state",
		        t->pub.stack, t->pub.service, t->pub.index, t->dir, err.text);
	wr_free(&w);
	return err.code ? -1 : 0;
}

static void get_spec(struct rd *r, struct task *t)
{
	size_t len;
	const uint8_t *bytes = up_bin(r, &len);
	struct spec spec;

	if (!bytes)
		return;
	if (spec_decode_kept(&spec, &t->arena, bytes, len, NULL) < 0 || spec.n_services != 1 || !spec.name ||
	        !spec.services->name) {
		rd_fail(r, "its service cannot be read");
		return;
	}
	t->pub.stack = spec.name;
	t->pub.spec = spec.services;
	t->pub.service = spec.services->name;
	t->pub.content = service_content(spec.services);
}

static void get_ports(struct rd *r, struct runtime_task *p)
{
	uint32_t n = up_array(r);

	if (n > 2 * SERVICE_PORTS_MAX || n % 2)
		rd_fail(r, "too many ports");
	for (p->n_ports = 0; rd_ok(r) && p->n_ports < n / 2; p->n_ports++) {
		p->ports[p->n_ports].index = (uint8_t)up_u64(r);
		p->ports[p->n_ports].port = (uint16_t)up_u64(r);
	}
}

/* The fields of the lifecycle; false: not one of them. */
static bool get_life(struct rd *r, const char *key, size_t len, struct task *t)
{
	if (up_is(key, len, "run"))
		t->run_number = (uint32_t)up_u64(r);
	else if (up_is(key, len, "state"))
		t->life.state = (enum task_state)up_u64(r);
	else if (up_is(key, len, "runs"))
		t->life.runs = (uint32_t)up_u64(r);
	else if (up_is(key, len, "streak"))
		t->life.streak = (uint32_t)up_u64(r);
	else if (up_is(key, len, "blocked"))
		t->life.blocked = (uint32_t)up_u64(r);
	else if (up_is(key, len, "started_mono"))
		t->life.started_at = up_i64(r);
	else if (up_is(key, len, "retry_at"))
		t->life.retry_at = up_i64(r);
	else
		return false;
	return true;
}

static void get_field(struct rd *r, const char *key, size_t len, struct task *t)
{
	struct runtime_task *p = &t->pub;

	if (get_life(r, key, len, t))
		return;
	if (up_is(key, len, "spec"))
		get_spec(r, t);
	else if (up_is(key, len, "driver"))
		p->driver = (enum spec_driver)up_u64(r);
	else if (up_is(key, len, "slot"))
		p->slot = up_u64(r);
	else if (up_is(key, len, "revision"))
		p->revision = up_u64(r);
	else if (up_is(key, len, "index"))
		p->index = (uint32_t)up_u64(r);
	else if (up_is(key, len, "ports"))
		get_ports(r, p);
	else if (up_is(key, len, "health"))
		p->health = (enum task_health)up_u64(r);
	else if (up_is(key, len, "healthy_since"))
		p->healthy_since = up_i64(r);
	else if (up_is(key, len, "healthy_at"))
		p->healthy_at = up_i64(r);
	else if (up_is(key, len, "started_at"))
		p->started_at = up_i64(r);
	else if (up_is(key, len, "pid"))
		p->pid = up_i64(r);
	else if (up_is(key, len, "restarts"))
		p->restarts = (uint32_t)up_u64(r);
	else if (up_is(key, len, "failures"))
		p->failures = (uint8_t)up_u64(r);
	else if (up_is(key, len, "exited"))
		p->exited = up_bool(r);
	else if (up_is(key, len, "exit_code"))
		p->exit_code = (int)up_i64(r);
	else if (up_is(key, len, "exit_signal"))
		p->exit_signal = (int)up_i64(r);
	else if (up_is(key, len, "oom"))
		p->oom = up_bool(r);
	else if (up_is(key, len, "user_ms"))
		p->user_ms = up_u64(r);
	else if (up_is(key, len, "system_ms"))
		p->system_ms = up_u64(r);
	else if (up_is(key, len, "max_rss"))
		p->max_rss = up_u64(r);
	else if (up_is(key, len, "stopping"))
		p->stopping = up_bool(r);
	else if (up_is(key, len, "reason"))
		up_str_copy(r, p->reason, sizeof(p->reason));
	else
		up_skip(r);
}

/* What a damaged or older file could make the rest stumble over. */
static void check(struct rd *r, const struct task *t)
{
	if (!rd_ok(r))
		return;
	if (!t->pub.spec || (unsigned)t->life.state >= SUPERVISE_STATES ||
	        (unsigned)t->pub.health > HEALTH_UNHEALTHY)
		rd_fail(r, "a field is missing or out of range");
	else if (!driver_of(t->pub.driver))
		rd_fail(r, "its driver is not in this build");
	for (size_t i = 0; rd_ok(r) && i < t->pub.n_ports; i++)
		if (t->pub.ports[i].index >= t->pub.spec->n_ports)
			rd_fail(r, "a port that the service does not have");
}

int record_load(struct task *t, bool *same_boot, struct err *err)
{
	char boot_id[BOOT_ID_BYTES] = "";
	struct arena arena;
	uint64_t version = 0;
	struct rd r;
	uint8_t *bytes;
	size_t len;
	int rc;

	t->pub.driver = DRIVER_EXEC; /* of a record from before there were others */
	arena_init(&arena);
	bytes = file_read(t->dir_fd, "task", TASK_RECORD_MAX, &arena, &len, err);
	if (!bytes) {
		arena_free(&arena);
		return -1;
	}
	rd_init(&r, bytes, len);
	for (uint32_t n = up_map(&r); n && rd_ok(&r); n--) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (!key)
			break;
		if (up_is(key, key_len, "version"))
			version = up_u64(&r);
		else if (up_is(key, key_len, "boot_id"))
			up_str_copy(&r, boot_id, sizeof(boot_id));
		else
			get_field(&r, key, key_len, t);
	}
	if (version != TASK_RECORD_VERSION)
		rd_fail(&r, "a version that this agent does not know");
	check(&r, t);
	rc = rd_end(&r, err);
	arena_free(&arena);
	*same_boot = strcmp(boot_id, t->rt->boot_id) == 0;
	t->pub.state = t->life.state;
	return rc < 0 ? err_wrap(err, "read %s/task", t->dir) : 0;
}
