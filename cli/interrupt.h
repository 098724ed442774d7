/* Ctrl-C while a verb waits: it ends the waiting, not what is waited for. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* Exit code after SIGINT, as shells have it. */
#define EXIT_INTERRUPTED 130

/* From now on the first SIGINT is noted; a second one ends the program. */
void interrupt_catch(void);
bool interrupted(void);

#endif
