/* Who may ask what of this agent (DESIGN section 4): by where the request came from, and by whose key signed it. */
#include "node/control/call.h"

static const char *role_text(enum role r)
{
	static const char *const names[] = {"no", "a read", "a deploy", "an admin", "the root"};

	return names[r];
}

int call_authorise(struct call *call, const struct hello *hello, const struct key32 *session_key, struct err *err)
{
	const struct trust *t = gossip_trust(call->agent->gossip);
	const struct verb *v = call->verb;
	const struct grant *g = NULL;

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
