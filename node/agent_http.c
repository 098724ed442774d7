/* What /readyz and /metrics say of this agent. */
#include "node/agent_parts.h"

static void say(struct wr *body, const char *text)
{
	wr_bytes(body, text, strlen(text));
}

static bool ready(void *ctx, struct wr *body)
{
	const struct agent *a = ctx;
	const char *state = agent_state_name(a);
	char why[96];

	if (a->disk_full) {
		say(body, "disk full: this peer takes no new work");
		return false;
	}
	if (agent_held_text(a, why, sizeof(why))) {
		say(body, "not ready: ");
		say(body, why);
		return false;
	}
	if (!strcmp(state, "ready")) {
		say(body, "ready");
		return true;
	}
	say(body, state);
	say(body, ": this peer is not ready for work yet");
	/* Draining and isolated peers answer names and run their tasks: they are in service. */
	return !strcmp(state, "draining") || !strcmp(state, "isolated");
}

static void flock_metrics(const struct agent *a, struct metrics *m)
{
	static const char *const states[] = {"alive", "suspect", "dead", "left"};
	uint64_t count[ARRAY_LEN(states)] = {0};

	for (size_t i = 0; i < a->view.n_members; i++)
		count[a->view.members[i].state]++;
	metrics_gauge(m, "starling_peers", "Peers of the flock, by the state that this peer sees them in.");
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		metrics_u64(m, count[i], "state", states[i], NULL);
	metrics_gauge(m, "starling_store_records", "Records in the replicated store.");
	metrics_u64(m, store_count(gossip_store(a->gossip)), NULL);
	metrics_gauge(m, "starling_stacks", "Stacks that are not removed.");
	count[0] = 0;
	for (size_t i = 0; i < a->view.n_stacks; i++)
		count[0] += !a->view.stacks[i].removed;
	metrics_u64(m, count[0], NULL);
}

static void task_metrics(const struct agent *a, struct metrics *m)
{
	uint64_t count[TASK_LOST + 1] = {0};

	for (size_t i = 0; i < a->view.n_claims; i++)
		if (a->view.claims[i].member == a->view.self && a->view.claims[i].c.state <= TASK_LOST)
			count[a->view.claims[i].c.state]++;
	metrics_gauge(m, "starling_tasks", "Tasks of this peer, by state.");
	for (enum task_state s = TASK_PENDING; s <= TASK_LOST; s++)
		metrics_u64(m, count[s], "state", task_state_name(s), NULL);
	count[0] = 0;
	for (size_t i = 0; i < a->placement.n_slots; i++)
		count[0] += a->placement.slots[i].owner < 0;
	metrics_gauge(m, "starling_slots_unowned", "Wanted slots that no live peer claims.");
	metrics_u64(m, count[0], NULL);
}

static void gossip_metrics(const struct agent *a, struct metrics *m)
{
	const struct gossip_counters *c = gossip_counters(a->gossip);

	metrics_counter(m, "starling_gossip_packets_total", "UDP packets of the gossip protocol.");
	metrics_u64(m, c->packets_in, "direction", "in", NULL);
	metrics_u64(m, c->packets_out, "direction", "out", NULL);
	metrics_counter(m, "starling_gossip_bytes_total", "Bytes of UDP packets of the gossip protocol.");
	metrics_u64(m, c->bytes_in, "direction", "in", NULL);
	metrics_u64(m, c->bytes_out, "direction", "out", NULL);
	metrics_counter(m, "starling_gossip_dropped_total", "Packets dropped, by reason.");
	metrics_u64(m, c->drop_unknown, "reason", "unknown_sender", NULL);
	metrics_u64(m, c->drop_bad, "reason", "bad_seal", NULL);
	metrics_u64(m, c->drop_replay, "reason", "replay", NULL);
	metrics_u64(m, c->drop_short, "reason", "malformed", NULL);
	metrics_counter(m, "starling_gossip_frames_total", "Frames of streams between peers.");
	metrics_u64(m, c->frames_in, "direction", "in", NULL);
	metrics_u64(m, c->frames_out, "direction", "out", NULL);
	metrics_counter(m, "starling_gossip_syncs_total", "Reconciliations finished.");
	metrics_u64(m, c->syncs, NULL);
	metrics_counter(
	        m, "starling_gossip_records_refused_total", "Records from other peers refused, by reason.");
	metrics_u64(m, c->records_bad, "reason", "malformed_or_badly_signed", NULL);
	metrics_u64(m, c->records_over, "reason", "over_a_limit", NULL);
	metrics_counter(m, "starling_suspicions_total", "Suspicions of other peers begun.");
	metrics_u64(m, c->suspicions, NULL);
	metrics_counter(m, "starling_deaths_total", "Other peers taken for dead.");
	metrics_u64(m, c->deaths, NULL);
	metrics_counter(m, "starling_refutations_total", "Suspicions of this peer that it refuted.");
	metrics_u64(m, c->refutes, NULL);
}

static void dns_metrics(const struct agent *a, struct metrics *m)
{
	struct dns_counters c;

	if (!a->dns)
		return;
	dns_server_counters(a->dns, &c);
	metrics_counter(m, "starling_dns_queries_total", "DNS queries received.");
	metrics_u64(m, c.queries, NULL);
	metrics_counter(m, "starling_dns_responses_total", "DNS responses sent, by kind.");
	metrics_u64(m, c.answers, "kind", "answer", NULL);
	metrics_u64(m, c.nodata, "kind", "nodata", NULL);
	metrics_u64(m, c.nxdomain, "kind", "nxdomain", NULL);
	metrics_u64(m, c.refused, "kind", "refused", NULL);
	metrics_u64(m, c.formerr, "kind", "formerr", NULL);
	metrics_u64(m, c.servfail, "kind", "servfail", NULL);
	metrics_u64(m, c.notimp, "kind", "notimp", NULL);
	metrics_u64(m, c.badvers, "kind", "badvers", NULL);
	metrics_counter(m, "starling_dns_dropped_total", "DNS queries dropped: rate limit, or not a query.");
	metrics_u64(m, c.dropped, NULL);
	metrics_counter(m, "starling_dns_truncated_total", "DNS responses cut to fit, with TC set.");
	metrics_u64(m, c.truncated, NULL);
}

static void all_metrics(void *ctx, struct metrics *m)
{
	const struct agent *a = ctx;
	struct now now = agent_now((struct agent *)a);
	struct gossip_clock clock;

	metrics_gauge(m, "starling_info", "Always 1; says who this is.");
	metrics_u64(m, 1, "version", STARLING_VERSION, "peer", a->cfg.name, NULL);
	metrics_gauge(m, "starling_ready", "1 when this peer takes new work.");
	metrics_u64(m, !strcmp(agent_state_name(a), "ready") && !a->disk_full, NULL);
	metrics_gauge(
	        m, "starling_store_full", "1 while the data folder has no room: this peer takes no new work.");
	metrics_u64(m, a->disk_full, NULL);
	metrics_gauge(m, "starling_uptime_seconds", "Since the agent started.");
	metrics_milli(m, now.wall - a->started, NULL);
	gossip_clock(a->gossip, now, &clock);
	metrics_gauge(m, "starling_clock_offset_seconds",
	        "How far this peer's wall clock is ahead of the median of its own and its peers'.");
	metrics_milli(m, clock.offset_ms, NULL);
	flock_metrics(a, m);
	task_metrics(a, m);
	gossip_metrics(a, m);
	dns_metrics(a, m);
}

const struct http_callbacks agent_http_callbacks = {.ready = ready, .metrics = all_metrics};
