/* The local control socket; internal to node/control. */
#ifndef NODE_CONTROL_SOCKET_H
#define NODE_CONTROL_SOCKET_H

#include "base/err.h"

#include <uv.h>

struct control;
struct control_socket;

/* Binds DATA/control.sock and accepts clients for c. */
struct control_socket *control_socket_open(
        struct control *c, uv_loop_t *loop, const char *data_dir, struct err *err);
/* Removes the socket; frees itself when the loop has closed the handle. Clients are closed by control. */
void control_socket_close(struct control_socket *s);

#endif
