/*
 * What submit refuses at the door: a grant that would be void, a setting that says nothing, a revision that cannot be
 * read, or that no peer may run as its author asks. Records that come by gossip are stored all the same (a grant may
 * follow them); placement then gives them to nobody.
 */
#include "node/control/submit_check.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/bodies.h"
#include "placement/settings.h"
#include "placement/spec/spec.h"

static int check_powers(const struct trust *t, const struct record *rec, const struct spec *spec, struct err *err)
{
	uint32_t has = trust_powers_for(t, rec);
	const struct grant *g = trust_operator(t, &rec->author);

	for (size_t i = 0; i < spec->n_services; i++) {
		uint32_t lacks = service_powers(&spec->services[i]) & ~has;

		if (lacks)
			return err_set(err, ERR_UNAUTHORISED,
			        "stack %s: service %s needs the power %s, which key %s does not have; ask an admin for "
			        "`starling key grant` with --power, or let a key that has it deploy",
			        rec->name, spec->services[i].name, trust_power_name(lacks & -lacks),
			        g ? g->name : "of its author");
	}
	return 0;
}

/* A grant that gives nothing is not written: whoever made it would take it for one that does. */
static int check_grant(const struct trust *t, const struct record *rec, struct err *err)
{
	const char *name;
	struct grant g;
	char id[17];

	if (body_get_grant(&g, rec, err) < 0)
		return err_wrap(err, "grant");
	if (!trust_grant_void(t, rec, &g))
		return 0;
	name = trust_key_name(t, &g.operator_key);
	id64_text(id, key32_id(&g.operator_key));
	return err_set(err, ERR_FAILED,
	        "grant: key %s (%s) was revoked, and a revocation stands; make a new key with `starling key new FILE` and "
	        "grant that one",
	        id, name ? name : g.name);
}

/* A setting that placement would pass over is not written either. */
static int check_setting(const struct trust *t, const struct record *rec, struct err *err)
{
	struct key32 voters[VOTERS_MAX];
	struct arena arena;
	struct kv *labels;
	bool drain;
	id64 peer;
	size_t n;
	int rc;

	if (trust_may_write(t, rec, err) < 0)
		return -1;
	arena_init(&arena);
	if (setting_peer(rec->name, SETTING_DRAIN, &peer))
		rc = drain_decode(&drain, rec->body, rec->body_len, err);
	else if (setting_peer(rec->name, SETTING_LABELS, &peer))
		rc = labels_decode(&labels, &n, &arena, rec->body, rec->body_len, err);
	else if (strcmp(rec->name, SETTING_VOTERS) == 0)
		rc = voters_decode(voters, &n, rec->body, rec->body_len, err);
	else if (strcmp(rec->name, SETTING_REBALANCE) == 0)
		rc = rebalance_decode(rec->body, rec->body_len, err);
	else
		rc = err_set(err, ERR_USAGE, "no such setting is known here; is this peer of an older version?");
	arena_free(&arena);
	return rc < 0 ? err_wrap(err, "setting %s", rec->name) : 0;
}

int submit_check(const struct trust *t, const struct record *rec, struct err *err)
{
	struct arena arena;
	struct spec spec;
	int ret;

	if (rec->kind == REC_GRANT)
		return check_grant(t, rec, err);
	if (rec->kind == REC_SETTING)
		return check_setting(t, rec, err);
	if (rec->kind != REC_REVISION || (rec->flags & RECORD_FLAG_REMOVAL))
		return 0;
	/* Whether it may write there at all comes first: it is what a key without a grant has to hear. */
	if (trust_may_write(t, rec, err) < 0)
		return -1;
	if (!rec->body)
		return err_set(err, ERR_USAGE, "stack %s: the revision came without its spec", rec->name);
	arena_init(&arena);
	ret = spec_decode(&spec, &arena, rec->body, rec->body_len, err);
	if (ret < 0) {
		err_wrap(err, "stack %s", rec->name);
		err->code = ERR_USAGE;
	} else if (strcmp(spec.name, rec->name) != 0) {
		ret = err_set(err, ERR_USAGE, "stack %s: its spec says that it is stack %s; sign one name",
		        rec->name, spec.name);
	} else {
		ret = check_powers(t, rec, &spec, err);
	}
	arena_free(&arena);
	return ret;
}

int clock_check(const struct gossip_clock *clock, const char *peer_name, bool force, struct err *err)
{
	int64_t s = llabs(clock->offset_ms) / 1000;

	if (!clock->doubted || force)
		return 0;
	return err_set(err, ERR_FAILED,
	        "peer %s: its clock is %lld min %lld s %s the median of its peers' (%u clocks seen), so what is signed "
	        "with its time may lose against older changes, or win over newer ones; set its clock right (does "
	        "time synchronisation run there?), ask another peer (--peer ADDR), or insist with --force-clock",
	        peer_name, (long long)(s / 60), (long long)(s % 60), clock->offset_ms > 0 ? "ahead of" : "behind",
	        clock->others);
}
