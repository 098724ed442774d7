/* Who may ask what of this agent (DESIGN section 4): by where the request came from, and by whose key signed it. */
#include "node/control/call.h"

static const char *role_text(enum role r)
{
	static const char *const names[] = {"no", "a read", "a deploy", "an admin", "the root"};

	return names[r];
}

/* A peer that is out hears nothing new, and nobody hears it. */
static int check_out(const struct agent *a, const struct verb *v, struct err *err)
{
	if (!a->out || v->who & ASK_OUT)
		return 0;
	return err_set(err, ERR_UNAUTHORISED,
	        "%s: peer %s is out of flock %s (%s): what it knows is old, and it takes no more changes. Ask another peer "
	        "(--peer ADDR, or --data DIR on its host); here, `starling status` says how this host comes back",
	        v->name, a->cfg.name, trust_flock_name(gossip_trust(a->gossip)), a->out_why);
}

int call_authorise(struct call *call, const struct hello *hello, const struct key32 *session_key, struct err *err)
{
	const struct trust *t = gossip_trust(call->agent->gossip);
	const struct verb *v = call->verb;
	const struct grant *g = NULL;

	if (check_out(call->agent, v, err) < 0)
		return -1;
	call->key = *session_key; /* of the session; zero for the socket */
	if (call->origin == ORIGIN_INVITE)
		return v->who & ASK_INVITE
		               ? 0
		               : err_set(err, ERR_UNAUTHORISED, "%s: an invite's key may only join", v->name);
	if (call->origin == ORIGIN_PEER)
		return v->who & ASK_PEERS ? 0
		                          : err_set(err, ERR_UNAUTHORISED,
		                                    "%s: peers may not ask each other for it", v->name);
	if (call->req.has_auth) {
		if (!proto_request_signed(&call->req, hello))
			return err_set(err, ERR_UNAUTHORISED,
			        "%s: the request's signature does not hold for this peer and boot; send it again",
			        v->name);
		call->key = call->req.key;
	}
	if (!key32_is_zero(&call->key))
		g = trust_operator(t, &call->key);
	call->role = g ? g->role : ROLE_NONE;
	if (v->who & ASK_SIGNED) {
		if (!call->req.has_auth)
			return err_set(err, ERR_UNAUTHORISED,
			        "%s needs a request signed by an operator's key; give one with --key FILE or STARLING_KEY",
			        v->name);
		if (call->role < v->role)
			return err_set(err, ERR_UNAUTHORISED,
			        "%s needs %s grant in flock %s and this key has %s; ask an admin for `starling key grant`",
			        v->name, role_text(v->role), trust_flock_name(t),
			        call->role ? "a lesser one" : "none");
		return 0;
	}
	if (call->origin == ORIGIN_OPERATOR && call->role < ROLE_READ)
		return err_set(err, ERR_UNAUTHORISED,
		        "%s: this key has no grant in flock %s; ask an admin for `starling key grant`", v->name,
		        trust_flock_name(t));
	if (!(v->who & ASK_SOCKET))
		return err_set(err, ERR_UNAUTHORISED, "%s cannot be asked here", v->name);
	return 0;
}

int call_authorise_still(const struct call *call, struct err *err)
{
	const struct trust *t = gossip_trust(call->agent->gossip);
	const struct grant *g;

	if (check_out(call->agent, call->verb, err) < 0)
		return -1;
	if (call->origin == ORIGIN_PEER)
		return trust_peer(t, &call->key)
		               ? 0
		               : err_set(err, ERR_UNAUTHORISED, "%s: the peer that asks was evicted",
		                         call->verb->name);
	if (call->origin == ORIGIN_INVITE || key32_is_zero(&call->key))
		return 0;
	g = trust_operator(t, &call->key);
	if (g && g->role >= MAX(call->verb->role, ROLE_READ))
		return 0;
	return err_set(err, ERR_UNAUTHORISED, "%s: the key that asks was revoked meanwhile", call->verb->name);
}
