/*
 * Which address this peer tells others. With --advertise it is that one, with --bind ADDR that one; otherwise the
 * agent found it on this host, and looks again whenever the host's network changes:
 *
 *	an interface that is up has the told address   keep it: nothing moves without need
 *	else the default route, or an interface, has one   tell that
 *	else                                           keep it: none is better, and the network may come back
 *
 * Peers that hear of another address close no task and no claim: the key is who this peer is.
 */
#include "base/log.h"
#include "node/agent_parts.h"

static void told(struct agent *a, const struct addr *to)
{
	char was[ADDR_TEXT_MAX], is[ADDR_TEXT_MAX];

	addr_text(was, &a->advertise);
	addr_text(is, to);
	log_info("agent", "this host's address is %s now, not %s: others are told", is, was);
	a->advertise = *to;
	runtime_set_address(a->runtime, to);
	/* Sessions from the old address hang until the kernel gives them up: begin anew. */
	agent_net_drop(a, NULL);
	gossip_set_advertise(a->gossip, to, agent_now(a));
	agent_pump(a);
	agent_kick(a);
}

/* The agent listens on one address only, and it is gone: no other will do. */
static void watch_bound(struct agent *a)
{
	char text[ADDR_TEXT_MAX];
	bool gone = !config_host_has(&a->cfg.bind);

	if (gone == a->bound_gone)
		return;
	a->bound_gone = gone;
	addr_text(text, &a->cfg.bind);
	if (gone)
		log_error("agent",
		        "no interface of this host has %s any more, and --bind says to listen there alone: nobody "
		        "reaches this peer; bring the address back, or start the agent with another --bind (tasks "
		        "go on meanwhile)",
		        text);
	else
		log_info("agent", "this host has %s again", text);
}

void agent_look_at_address(struct agent *a)
{
	struct addr found;

	if (a->stopping)
		return;
	if (!addr_is_any(&a->cfg.bind)) {
		watch_bound(a);
		return;
	}
	if (!a->cfg.advertise_found || (!addr_is_loopback(&a->advertise) && config_host_has(&a->advertise)))
		return;
	if (!config_own_addr(&found, &a->cfg.bind))
		return;
	found.port = a->advertise.port;
	if (!addr_eq(&found, &a->advertise))
		told(a, &found);
}

static void on_change(void *ctx)
{
	agent_look_at_address(ctx);
}

void agent_watch_address(struct agent *a)
{
	struct err err;

	a->addrwatch = addrwatch_open(&a->loop, on_change, a, &err);
	if (!a->addrwatch)
		log_warn("agent",
		        "%s: a change of this host's address will not be noticed; restart the agent after one",
		        err.text);
}
