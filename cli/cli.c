/* Dispatch, and the few ways in which a verb speaks. */
#include "cli/cli.h"
#include "cli/passphrase.h"

#include "node/runtime/attach.h"
#include "node/runtime/runtime.h"

#include <sodium.h>
#include <stdarg.h>

int cli_fail(const struct cli *cli, const struct err *err)
{
	fprintf(cli->errors, "starling%s%s: %s\n", cli->verb ? " " : "", cli->verb ? cli->verb->name : "",
	        err->text);
	return err->code ? (int)err->code : ERR_FAILED;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	fprintf(cli->errors, "starling %s: ", cli->verb->name);
	va_start(ap, fmt);
	vfprintf(cli->errors, fmt, ap);
	va_end(ap);
	fprintf(cli->errors, "\nsee starling %s --help\n", cli->verb->name);
	return ERR_USAGE;
}

void cli_warn(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	fputs("warning: ", cli->errors);
	va_start(ap, fmt);
	vfprintf(cli->errors, fmt, ap);
	va_end(ap);
	fputc('\n', cli->errors);
}

void cli_say(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(cli->errors, fmt, ap);
	va_end(ap);
	fputc('\n', cli->errors);
}

int cli_run(int argc, char **argv)
{
	struct err err = {0};
	struct cli cli;
	bool help;
	int code;

	/* A shim lives as long as its task and must stay small: nothing before it. */
	if (argc > 1 && strcmp(argv[1], "shim") == 0)
		return shim_main(argc, argv);
	if (argc == 2 && strcmp(argv[1], "enter") == 0)
		return enter_main();
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		argv[1] = "version";
	if (cli_parse(&cli, argc, argv, &help, &err) < 0) {
		code = cli_fail(&cli, &err);
	} else if (help || !cli.verb) {
		cli_help(help ? stdout : stderr, cli.verb);
		code = help ? 0 : ERR_USAGE;
	} else if (sodium_init() < 0) {
		err_set(&err, ERR_FAILED, "libsodium found no source of randomness: is /dev/urandom there?");
		code = cli_fail(&cli, &err);
	} else {
		passphrase_begin(&cli);
		code = cli.verb->run(&cli);
		passphrase_end();
	}
	cli_free(&cli);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("starling: write to standard output");
		return code ? code : ERR_FAILED;
	}
	return code;
}
