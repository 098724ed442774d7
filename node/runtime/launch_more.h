/* The end of a launch: what builds after the first put there. Internal to launch.c and launch_more.c. */
#ifndef NODE_RUNTIME_LAUNCH_MORE_H
#define NODE_RUNTIME_LAUNCH_MORE_H

#include "node/runtime/launch.h"

/* Whether l has anything beyond what the first build's launches had. */
bool launch_has_more(const struct launch *l);
/* The defaults of all of it. */
void launch_no_more(struct launch *l, struct arena *arena);
/* One map; defaults are left out, so that a launch that needs nothing new is the same bytes for ever. */
void launch_put_more(struct wr *w, const struct launch *l);
/* Steps over keys that it does not know. */
void launch_get_more(struct rd *r, struct launch *l, struct arena *arena);

void launch_put_texts(struct wr *w, char *const *texts);
char *launch_get_text(struct rd *r, struct arena *arena);
char **launch_get_texts(struct rd *r, struct arena *arena, uint32_t max);

#endif
