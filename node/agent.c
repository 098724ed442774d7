/* The agent's life: open everything in order, run the loop, close everything. */
#include "node/agent.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "node/agent_parts.h"
#include "node/control/control.h"
#include "node/events.h"
#include "node/hostfacts.h"
#include "node/notify.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct now agent_now(struct agent *a)
{
	struct timespec ts;

	(void)a;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	struct now now = {.mono = (mono_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
	clock_gettime(CLOCK_REALTIME, &ts);
	now.wall = (wall_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	return now;
}

const char *agent_state_name(const struct agent *a)
{
	if (a->out)
		return a->out == OUT_EVICTED ? "evicted" : "unadmitted";
	if (a->leaving)
		return "leaving";
	if (!a->adopted)
		return "starting";
	if (!gossip_ready(a->gossip))
		return "joining";
	if (agent_held_back((struct agent *)a) != MONO_NEVER)
		return "waiting";
	if (gossip_isolated(a->gossip))
		return "isolated";
	if (a->view.n_members && a->view.members[a->view.self].draining)
		return "draining";
	return "ready";
}

void agent_stop(struct agent *a, int exit_code, const char *why)
{
	if (a->stopping)
		return;
	log_at(exit_code ? LOG_ERROR : LOG_INFO, "agent", "stopping: %s%s", why,
	        a->runtime && runtime_tasks(a->runtime, NULL, 0) ? "; tasks go on under their shims" : "");
	a->stopping = true;
	a->exit_code = exit_code;
	uv_stop(&a->loop);
}

/* --- opening --- */

/* What bears this peer's seal was verified before it was written. Of the rest (from init and join, or an older version)
 * the signature is checked now; then it is sealed too. */
static int load_record(void *ctx, const uint8_t *bytes, size_t len, bool sealed, struct err *err)
{
	struct agent *a = ctx;
	struct record rec;
	struct err bad;
	int rc;

	(void)err;
	rc = sealed ? gossip_load_verified(a->gossip, bytes, len, &bad)
	            : gossip_load(a->gossip, bytes, len, &bad);
	if (rc < 0)
		log_warn("store", "a stored record is passed over: %s", bad.text);
	else if (!sealed && record_decode(&rec, bytes, len, &bad) == 0 && !record_is_volatile(rec.kind))
		persist_put(a->persist, &rec.id, bytes, len, NULL); /* else at the next start */
	return 0;
}

static int open_identity(struct agent *a, struct err *err)
{
	char path[DATA_PATH_MAX];
	size_t len;

	keyfile_peer_path(path, sizeof(path), a->cfg.data_dir);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ERR_USAGE,
		        "data folder %s holds no peer yet: found a flock with `starling init --name NAME --data %s`, or join "
		        "one with `starling join --data %s TOKEN`",
		        a->cfg.data_dir, a->cfg.data_dir, a->cfg.data_dir);
	if (keyfile_load(path, "peer", &a->keys, err) < 0)
		return -1;
	a->persist = persist_open(a->cfg.data_dir, &a->loop, agent_on_persisted, a, err);
	if (!a->persist)
		return -1;
	persist_seal_with(a->persist, a->keys.secret);
	if (persist_meta_get(a->persist, "flock", &a->flock, sizeof(a->flock), &len, err) < 0)
		return -1;
	if (len != sizeof(a->flock))
		return err_set(err, ERR_FAILED,
		        "data folder %s names no flock: init or join was not finished; run it again",
		        a->cfg.data_dir);
	return persist_next_boot(a->persist, &a->boot, err);
}

static int open_gossip(struct agent *a, struct err *err)
{
	struct gossip_config g = {
	        .key = a->keys.public_key,
	        .flock = a->flock,
	        .boot = a->boot,
	        .profile = a->cfg.profile,
	        .advertise = a->advertise,
	};

	memcpy(g.secret, a->keys.secret, sizeof(g.secret));
	drbg_bytes(&a->rng, g.boot_id, sizeof(g.boot_id));
	drbg_bytes(&a->rng, g.seed, sizeof(g.seed));
	a->gossip = gossip_new(&g);
	sodium_memzero(&g, sizeof(g));
	if (persist_each(a->persist, load_record, a, err) < 0)
		return -1;
	store_each(gossip_store(a->gossip), REC_ADMISSION, agent_load_addr, a);
	return 0;
}

static int open_net(struct agent *a, struct err *err)
{
	uint8_t seed[32];
	struct addr bound;

	drbg_bytes(&a->rng, seed, sizeof(seed));
	a->net =
	        peer_net_open(&a->loop, &a->cfg.bind, &a->flock, a->keys.secret, seed, &agent_net_events, a, err);
	if (!a->net || agent_net_open(a, err) < 0)
		return -1;
	a->advertise = a->cfg.advertise;
	if (!a->advertise.port) {
		peer_net_bound(a->net, &bound);
		a->advertise.port = bound.port;
	}
	return 0;
}

/* The default address needs port 53; where that is not to be had, the fallback serves and `status` says which. */
static int open_dns(struct agent *a, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct err first;

	if (!a->cfg.n_dns)
		return 0;
	a->dns = dns_server_start(a->cfg.dns, a->cfg.n_dns, NULL, a->cfg.dns_default ? &first : err);
	if (!a->dns && a->cfg.dns_default) {
		a->dns = dns_server_start(&a->cfg.dns_fallback, 1, NULL, err);
		if (a->dns) {
			addr_text(text, &a->cfg.dns_fallback);
			log_info("dns", "%s; serving on %s instead", first.text, text);
		}
	}
	return a->dns ? 0 : -1;
}

static void on_task_changed(void *ctx, id64 task)
{
	struct agent *a = ctx;
	const struct runtime_task *t = a->runtime ? runtime_get(a->runtime, task) : NULL;

	if (t && t->spec->n_volumes)
		a->volumes_stale = true;
	if (t)
		events_task(a->events, t, agent_now(a).wall);
	else
		events_task_gone(a->events, task);
	agent_kick(a);
}

static int open_runtime(struct agent *a, struct err *err)
{
	struct runtime_config rc = {
	        .data_dir = a->cfg.data_dir,
	        .self_exe = "/proc/self/exe",
	        .address = addr_is_any(&a->cfg.bind) ? a->advertise : a->cfg.bind,
	        .port_first = 20000,
	        .port_last = 32000,
	        .engine_socket = a->cfg.engine_socket[0] ? a->cfg.engine_socket : NULL,
	};

	rc.address.port = 0;
	agent_open_images(a);
	agent_sweep_volumes(a);
	rc.images = a->images;
	if (a->dns)
		dns_server_addrs(a->dns, &rc.dns, 1);
	id64_text(rc.peer_id, key32_id(&a->keys.public_key));
	text_copy(rc.peer_name, sizeof(rc.peer_name), a->cfg.name);
	a->runtime = runtime_new(&a->loop, &rc, on_task_changed, a, err);
	if (!a->runtime || runtime_adopt(a->runtime, err) < 0)
		return -1;
	a->adopted = true;
	a->volumes_stale = true;
	return 0;
}

static void on_signal(uv_signal_t *s, int number)
{
	agent_stop(s->data, 0, number == SIGTERM ? "asked to by SIGTERM" : "interrupted");
}

static void start_timers(struct agent *a)
{
	a->work_due = MONO_NEVER;
	a->gossip_timer.data = a->work_timer.data = a->sigint.data = a->sigterm.data = a;
	uv_timer_init(&a->loop, &a->gossip_timer);
	uv_timer_init(&a->loop, &a->work_timer);
	uv_signal_init(&a->loop, &a->sigint);
	uv_signal_init(&a->loop, &a->sigterm);
	uv_signal_start(&a->sigint, on_signal, SIGINT);
	uv_signal_start(&a->sigterm, on_signal, SIGTERM);
}

static int open_all(struct agent *a, struct err *err)
{
	struct reconcile_config timing;

	if (open_identity(a, err) < 0 || open_net(a, err) < 0 || open_gossip(a, err) < 0 || open_dns(a, err) < 0)
		return -1;
	timing = reconcile_defaults();
	a->work = work_new(&a->keys.public_key, &a->flock, &timing);
	a->control = control_new(a);
	if (open_runtime(a, err) < 0)
		return -1;
	if (a->cfg.http.family) {
		a->http = http_open(&a->loop, &a->cfg.http, &agent_http_callbacks, a, err);
		if (!a->http)
			return -1;
	}
	agent_watch_address(a);
	return control_listen(a->control, err);
}

/* --- closing --- */

static void close_handle(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void close_all(struct agent *a)
{
	/* The loop runs once more below, when what its timers work on is gone. */
	uv_timer_stop(&a->gossip_timer);
	uv_timer_stop(&a->work_timer);
	if (a->runtime)
		runtime_detach(a->runtime);
	agent_net_free(a);
	if (a->control)
		control_free(a->control);
	a->control = NULL; /* the disk may still answer */
	if (a->http)
		http_close(a->http);
	if (a->runtime)
		runtime_close(a->runtime);
	agent_close_images(a);
	if (a->net)
		peer_net_close(a->net);
	if (a->verifier)
		verifier_close(a->verifier);
	uv_run(&a->loop, UV_RUN_NOWAIT);
	if (a->persist)
		persist_close(a->persist);
	addrwatch_close(a->addrwatch);
	if (a->dns)
		dns_server_stop(a->dns);
	uv_close((uv_handle_t *)&a->gossip_timer, NULL);
	uv_close((uv_handle_t *)&a->work_timer, NULL);
	uv_close((uv_handle_t *)&a->sigint, NULL);
	uv_close((uv_handle_t *)&a->sigterm, NULL);
	uv_walk(&a->loop, close_handle, NULL);
	while (uv_run(&a->loop, UV_RUN_DEFAULT))
		;
	uv_loop_close(&a->loop);
	if (a->zone)
		zone_unref(a->zone);
	work_free(a->work);
	if (a->gossip)
		gossip_free(a->gossip);
	arena_free(&a->arena);
	arena_free(&a->volumes_arena);
	events_free(a->events);
	free(a->offers);
	sodium_memzero(&a->keys, sizeof(a->keys));
}

/* What tasks may have: what the host lets this process use, less the reserve. */
static void take_host(struct agent *a)
{
	hostfacts_fill(&a->host);
	a->reserve = hostfacts_reserve(&a->host, a->cfg.reserve_cpu_milli, a->cfg.reserve_memory);
	a->host.cpu_milli -= a->reserve.cpu_milli;
	a->host.memory -= a->reserve.memory;
	if (!a->host.cpu_milli || !a->host.memory)
		log_warn("agent",
		        "the reserve (--reserve-cpu, --reserve-memory) is all that this host has: no task that reserves cpu or "
		        "memory starts here");
}

int agent_run(const struct config *cfg, void (*ready)(void *ctx), void *ctx, struct err *err)
{
	struct agent *a = xcalloc(1, sizeof(*a));
	uint8_t seed[32];
	int code;

	a->cfg = *cfg;
	a->ready = ready;
	a->ready_ctx = ctx;
	signal(SIGPIPE, SIG_IGN);
	randombytes_buf(seed, sizeof(seed));
	drbg_init(&a->rng, seed);
	sodium_memzero(seed, sizeof(seed));
	uv_loop_init(&a->loop);
	map_init(&a->links, sizeof(uint64_t), NULL);
	arena_init(&a->arena);
	arena_init(&a->volumes_arena);
	take_host(a);
	a->started = agent_now(a).wall;
	a->events = events_new();
	start_timers(a);
	if (open_all(a, err) < 0) {
		code = err->code;
	} else {
		agent_count_start(a);
		gossip_start(a->gossip, agent_now(a));
		agent_pump(a);
		agent_work(a);
		notify_ready();
		uv_run(&a->loop, UV_RUN_DEFAULT);
		notify_stopping();
		code = a->exit_code;
		if (!code)
			agent_ended_well(a);
	}
	close_all(a);
	free(a);
	return code;
}
