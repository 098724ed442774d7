/* Tells systemd (sd_notify(3), Type=notify) how the agent fares: one datagram to $NOTIFY_SOCKET, no libsystemd. */
#ifndef NODE_NOTIFY_H
#define NODE_NOTIFY_H

/* Without NOTIFY_SOCKET both do nothing; a failure to tell is not the agent's problem. */
void notify_ready(void);
void notify_stopping(void);

#endif
