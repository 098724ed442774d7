/* The agent's side of a shim: starts one, or finds one again, and speaks launch.h's messages with it. */
#ifndef NODE_RUNTIME_LINK_H
#define NODE_RUNTIME_LINK_H

#include "node/runtime/driver.h"

/* As the functions of struct driver of the same names; `launch` must have been written to the folder. */
struct driver_run *link_launch(
        uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx, struct err *err);
struct driver_run *link_adopt(uv_loop_t *loop, const struct driver_task *t, mono_ms deadline, driver_event_fn *fn,
        void *ctx, struct driver_event *ended);
void link_stop(struct driver_run *r, int signal, int64_t grace_ms);
void link_check(struct driver_run *r, uint32_t seq, int64_t timeout_ms);
void link_release(struct driver_run *r);

#endif
