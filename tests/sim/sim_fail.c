/* Failures: what is wrong, and how to see it again. */
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_work.h"

/* Of larger flocks a table of who says what of whom is no help. */
#define PRINTED_MAX 20

static sim_fail_fn *handler;

void sim_on_fail(sim_fail_fn *fn)
{
	handler = fn;
}

_Noreturn void sim_fail(struct sim *s, const char *file, int line, const char *what)
{
	char text[1024];

	snprintf(text, sizeof(text),
	        "FAIL %s seed %llu at %lld.%03lld s: %s:%d: %s\n     replay: make sim SEED=%llu STORY=%s\n",
	        s->name, (unsigned long long)s->seed, (long long)(s->now / 1000), (long long)(s->now % 1000),
	        file, line, what, (unsigned long long)s->seed, s->name);
	fputs(text, stderr);
	if (s->n <= PRINTED_MAX && s->peer)
		sim_print(s, stderr);
	if (s->n <= PRINTED_MAX)
		sim_print_work(s, stderr);
	if (handler)
		handler(s, text);
	exit(1);
}
