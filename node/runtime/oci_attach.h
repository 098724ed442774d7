/* `starling exec` into a container of driver oci. */
#ifndef NODE_RUNTIME_OCI_ATTACH_H
#define NODE_RUNTIME_OCI_ATTACH_H

#include "node/runtime/attach.h"
#include "node/runtime/driver.h"

/* As struct driver's attach. */
struct attach *oci_attach(uv_loop_t *loop, const struct driver_task *t, const struct attach_request *q,
        const struct attach_events *ev, void *ctx, struct err *err);

#endif
