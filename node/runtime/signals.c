#include "node/runtime/signals.h"

#include "base/text.h"

#include <signal.h>
#include <stdio.h>

static const struct {
	const char *name;
	int number;
} names[] = {
        {"SIGHUP", SIGHUP},
        {"SIGINT", SIGINT},
        {"SIGQUIT", SIGQUIT},
        {"SIGILL", SIGILL},
        {"SIGTRAP", SIGTRAP},
        {"SIGABRT", SIGABRT},
        {"SIGBUS", SIGBUS},
        {"SIGFPE", SIGFPE},
        {"SIGKILL", SIGKILL},
        {"SIGUSR1", SIGUSR1},
        {"SIGSEGV", SIGSEGV},
        {"SIGUSR2", SIGUSR2},
        {"SIGPIPE", SIGPIPE},
        {"SIGALRM", SIGALRM},
        {"SIGTERM", SIGTERM},
        {"SIGCHLD", SIGCHLD},
        {"SIGCONT", SIGCONT},
        {"SIGSTOP", SIGSTOP},
        {"SIGTSTP", SIGTSTP},
        {"SIGTTIN", SIGTTIN},
        {"SIGTTOU", SIGTTOU},
        {"SIGURG", SIGURG},
        {"SIGXCPU", SIGXCPU},
        {"SIGXFSZ", SIGXFSZ},
        {"SIGVTALRM", SIGVTALRM},
        {"SIGPROF", SIGPROF},
        {"SIGWINCH", SIGWINCH},
        {"SIGIO", SIGIO},
        {"SIGPWR", SIGPWR},
        {"SIGSYS", SIGSYS},
};

int signal_number(const char *text)
{
	uint64_t n;

	if (text_u64(text, 1, NSIG - 1, &n))
		return (int)n;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i].name + 3, text) == 0)
			return names[i].number;
	if (strcmp(text, "RTMIN") == 0)
		return SIGRTMIN;
	if (strncmp(text, "RTMIN+", 6) == 0 && text_u64(text + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &n))
		return SIGRTMIN + (int)n;
	return 0;
}

const char *signal_name(int number)
{
	static char other[24];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(other, sizeof(other), "signal %d", number);
	return other;
}
