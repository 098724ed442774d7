/* What the files of the agent share among themselves; nobody else includes it. */
#ifndef NODE_AGENT_PARTS_H
#define NODE_AGENT_PARTS_H

#include "node/addrwatch.h"
#include "node/agent.h"

/* agent_net.c */
extern const struct peer_net_events agent_net_events;
int agent_net_open(struct agent *a, struct err *err);
void agent_net_free(struct agent *a);

/* agent_gossip.c: persist_done, and the walk over stored admissions that finds where peers were last. */
void agent_on_persisted(void *ctx, const struct key32 *id, bool ok, bool fatal, const char *why);
bool agent_load_addr(const struct stored *admission, void *ctx);

/* agent_restarts.c. Once all is open: was it restarted again and again? Then it takes no new work for a while. */
void agent_count_start(struct agent *a);
/* It ends as asked. */
void agent_ended_well(struct agent *a);
/* Until when it takes no new work; MONO_NEVER: it does. */
mono_ms agent_held_back(struct agent *a);

/* agent_work.c: one pass from the store to starts, stops, claims and the zone. */
void agent_work(struct agent *a);

/* agent_address.c: notices when this host's address changes, from now on. */
void agent_watch_address(struct agent *a);
void agent_look_at_address(struct agent *a);

/* Closes every session that a peer has here, say one that is no longer admitted; NULL: that any peer has. */
void agent_net_drop(struct agent *a, const struct key32 *peer);

/* agent_leave.c: instead of reconcile, in the pass of a peer that is no member any more, or that leaves. */
bool agent_check_out(struct agent *a);
/* Returns when it wants to be called again, or MONO_NEVER. */
mono_ms agent_out_pass(struct agent *a);
void agent_leave_pass(struct agent *a);
/* After each pass of a peer that leaves: is it time to be gone? */
void agent_leave_look(struct agent *a, const struct work_input *in);

/* agent_http.c */
extern const struct http_callbacks agent_http_callbacks;

/* Stops the loop: tasks go on under their shims. why goes to the log. */
void agent_stop(struct agent *a, int exit_code, const char *why);

/* agent_volumes.c. Which volumes live here now, for the facts. */
void agent_look_at_volumes(struct agent *a);

/* agent_images.c. Opens the store of images, if this agent may run containers. */
void agent_open_images(struct agent *a);
void agent_close_images(struct agent *a);
/* References of images that a stack of the flock or a task of this host names; texts are the view's and the tasks'. */
size_t agent_needed_images(struct agent *a, struct arena *arena, const char ***out);
/* Removes images that nothing here needs. */
void agent_collect_images(struct agent *a);

#endif
