#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came;

static void on_interrupt(int signo)
{
	(void)signo;
	came = 1;
}

/* No SA_RESTART: a poll that waits must notice. */
void interrupt_catch(void)
{
	struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
}

bool interrupted(void)
{
	return came;
}
