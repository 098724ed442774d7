/*
 * The command line: one verb table (verbs.c), one cmd_<verb>.c per verb. A verb is
 *
 *	const struct cli_option cmd_rm_options[] = {
 *		{"yes", 'y', OPT_FLAG, NULL, "do not ask"},
 *		{0},
 *	};
 *
 *	int cmd_rm(struct cli *cli)
 *	{
 *		struct err err = {0};
 *
 *		if (remove_stack(cli->args[0], cli_flag(cli, "yes"), &err) < 0)
 *			return cli_fail(cli, &err);
 *		return 0;
 *	}
 *
 * and a row in verbs.c. Options are parsed, and the help text is made, from those tables. What a verb returns is
 * the exit code (base/err.h).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/err.h"
#include "base/types.h"

#include <stdio.h>

enum opt_kind {
	OPT_FLAG,     /* no value */
	OPT_TEXT,     /* the last one given counts */
	OPT_LIST,     /* may repeat, see cli_list() */
	OPT_NUMBER,   /* whole, not negative; checked while parsing */
	OPT_DURATION, /* "1m30s", as Compose writes it; checked while parsing */
};

struct cli_option {
	const char *name; /* "follow" for --follow; NULL ends a table */
	char letter;      /* 'f' for -f; 0 none */
	enum opt_kind kind;
	const char *value; /* what the value is called in the help: "FILE"; NULL for flags */
	const char *help;  /* half a sentence, lower case */
};

struct cli;

/* max_args of a verb whose second argument begins a command: whatever stands there is that command's. */
#define CLI_ARGS_REST 4096

struct cli_verb {
	const char *name;  /* "deploy", or two words: "node ls" */
	const char *alias; /* or NULL */
	const char *args;  /* positional arguments as the usage line shows them: "STACK/SERVICE=N..." */
	const char *brief; /* one line for the list of verbs */
	unsigned min_args, max_args;
	const struct cli_option *options;
	int (*run)(struct cli *cli);
	const char *detail; /* more lines for --help, or NULL */
};

enum cli_format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON };

/* Values given to options, in order. */
struct cli_value {
	const struct cli_option *option;
	const char *text; /* NULL for flags */
};
#define CLI_VALUES_MAX 64 /* options on one command line; more is refused */
#define CLI_PATH_MAX   1024

struct cli {
	const struct cli_verb *verb;
	unsigned n_args;
	char **args; /* positional arguments, after the verb; the array is freed by cli_free(), argv's texts are not */
	/* Global options, resolved. Paths live as long as the process. */
	const char *data_dir;        /* --data, else STARLING_DATA, else the default: see data_dir_default() */
	const char *peer;            /* --peer, or NULL: the agent at data_dir */
	const char *passphrase_file; /* --passphrase-file, or NULL */
	const char *key_path;        /* --key, else STARLING_KEY, else the default: see keyfile_operator_path() */
	enum cli_format format;
	bool quiet;         /* -q: ids or names only, no progress */
	bool watch;         /* --watch */
	bool detach;        /* --detach */
	bool force_clock;   /* --force-clock */
	int64_t timeout_ms; /* --timeout; 0: the verb's default */
	unsigned durable;   /* --durable; 0: not given */
	mono_ms started;    /* when the command line was read: what people wait from */
	FILE *out;          /* stdout */
	FILE *errors;       /* stderr: progress, warnings, errors */
	bool out_tty;
	bool errors_tty;
	size_t n_values;
	struct cli_value values[CLI_VALUES_MAX];
	char data_path[CLI_PATH_MAX]; /* what data_dir and key_path point to */
	char key_file[CLI_PATH_MAX];
};

/* The verb's own options. name must be in its table: asking for another is a bug and asserts. */
bool cli_flag(const struct cli *cli, const char *name);
/* Text, or NULL when not given. */
const char *cli_text(const struct cli *cli, const char *name);
/* Calls for the i-th value of an OPT_LIST; NULL after the last. */
const char *cli_list(const struct cli *cli, const char *name, size_t i);
uint64_t cli_number(const struct cli *cli, const char *name, uint64_t otherwise);
/* Milliseconds. */
int64_t cli_duration(const struct cli *cli, const char *name, int64_t otherwise_ms);

/* Prints "starling VERB: TEXT" to stderr and gives the exit code. */
int cli_fail(const struct cli *cli, const struct err *err);
/* The same for a wrong use of the verb; adds where help is. Gives 2. */
int cli_usage(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Warnings and progress on stderr; -q silences cli_say, not cli_warn. */
void cli_warn(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);
void cli_say(const struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Parses argv[1..] by the verb table: global options before or after the verb. 0, or -1 with err (ERR_USAGE) and
 * a "did you mean" for near misses. cli->verb is NULL when no verb was given; *help when --help was. */
int cli_parse(struct cli *cli, int argc, char **argv, bool *help, struct err *err);
void cli_free(struct cli *cli);
/* Usage of one verb, or of all (verb NULL). */
void cli_help(FILE *out, const struct cli_verb *verb);

extern const struct cli_verb cli_verbs[]; /* ends with name NULL */
extern const struct cli_option cli_globals[];

/* The whole program but main(): parse, dispatch, exit code. */
int cli_run(int argc, char **argv);

#define CLI_VERB(id)                                                                                             \
	int cmd_##id(struct cli *cli);                                                                           \
	extern const struct cli_option cmd_##id##_options[]

CLI_VERB(agent);
CLI_VERB(volume_ls);
CLI_VERB(volume_inspect);
CLI_VERB(volume_rm);
CLI_VERB(init);
CLI_VERB(join);
CLI_VERB(token_create);
CLI_VERB(token_ls);
CLI_VERB(token_revoke);
CLI_VERB(key_new);
CLI_VERB(key_ls);
CLI_VERB(key_grant);
CLI_VERB(key_revoke);
CLI_VERB(key_history);
CLI_VERB(key_succeed);
CLI_VERB(key_seal);
CLI_VERB(key_unseal);
CLI_VERB(node_evict);
CLI_VERB(node_drain);
CLI_VERB(node_resume);
CLI_VERB(node_label);
CLI_VERB(voters_set);
CLI_VERB(voters_ls);
CLI_VERB(leave);
CLI_VERB(dns_query);
CLI_VERB(deploy);
CLI_VERB(plan);
CLI_VERB(rebalance);
CLI_VERB(validate);
CLI_VERB(ls);
CLI_VERB(ps);
CLI_VERB(inspect);
CLI_VERB(logs);
CLI_VERB(exec);
CLI_VERB(top);
CLI_VERB(events);
CLI_VERB(scale);
CLI_VERB(rm);
CLI_VERB(history);
CLI_VERB(status);
CLI_VERB(node_ls);
CLI_VERB(explain);
CLI_VERB(image_pull);
CLI_VERB(image_load);
CLI_VERB(image_ls);
CLI_VERB(image_rm);
CLI_VERB(version);
CLI_VERB(completion);

#endif
