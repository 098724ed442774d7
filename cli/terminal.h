/* The terminal that a command elsewhere is shown on: raw while it is, and put back however the CLI ends. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "base/err.h"

#include <stdint.h>

/* Keys go through as they are typed, Ctrl-C as well, until terminal_restore(). */
int terminal_raw(struct err *err);
/* Does nothing when it was not made raw. */
void terminal_restore(void);
/* Of standard output's terminal; 24 by 80 where it does not say. */
void terminal_size(uint16_t *rows, uint16_t *cols);
/* A descriptor that can be read when a signal came: SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, which do nothing else from
 * now on. -1 with err. */
int terminal_signals(struct err *err);
/* The next one; 0: none. */
int terminal_signal(int fd);

#endif
