/* Signal names as Compose's stop_signal has them. */
#ifndef NODE_RUNTIME_SIGNALS_H
#define NODE_RUNTIME_SIGNALS_H

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3": the number; 0 for none. */
int signal_number(const char *text);
/* "SIGKILL"; "signal 40" for one without a name of its own. Static text, or a static buffer for the latter. */
const char *signal_name(int number);

#endif
