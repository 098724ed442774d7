/* argv -> struct cli, by the tables of the verbs. */
#include "cli/cli.h"

#include "base/text.h"
#include "cli/client.h"
#include "cli/near.h"
#include "gossip/gossip.h"
#include "node/keyfile.h"

#include <assert.h>
#include <unistd.h>

const struct cli_option cli_globals[] = {
        {"data", 0, OPT_TEXT, "DIR",
                "the agent's data folder (default: $STARLING_DATA, else /var/lib/starling for root)"},
        {"peer", 0, OPT_TEXT, "ADDR[:PORT]",
                "ask that peer over an encrypted session, not the agent of this host"},
        {"key", 0, OPT_TEXT, "FILE",
                "operator key (default: $STARLING_KEY, else ~/.config/starling/operator.key)"},
        {"passphrase-file", 0, OPT_TEXT, "FILE",
                "passphrase of a sealed key (default: $STARLING_PASSPHRASE_FILE, $STARLING_PASSPHRASE, or asked for)"},
        {"output", 'o', OPT_TEXT, "FORMAT", "table, wide or json"},
        {"quiet", 'q', OPT_FLAG, NULL, "names and ids only, no progress"},
        {"watch", 0, OPT_FLAG, NULL, "lists: show again after each change"},
        {"timeout", 0, OPT_DURATION, "TIME",
                "give up after this long (deploy, rm: 5m; node drain: 10m; else 30s)"},
        {"detach", 0, OPT_FLAG, NULL, "deploy, scale, rm, node drain: do not wait for the tasks"},
        {"durable", 0, OPT_NUMBER, "K",
                "changes: wait until K peers have it on disk (exit 6 after --timeout, else 30s)"},
        {"force-clock", 0, OPT_FLAG, NULL, "sign changes even with the time of a peer whose clock is far off"},
        {"help", 'h', OPT_FLAG, NULL, "this text"},
        {0},
};

/* A command line being read. */
struct parse {
	struct cli *cli;
	int argc;
	char **argv;
	int i; /* next to read */
	struct err *err;
};

static const struct cli_option *by_name(const struct cli_option *table, const char *name, size_t len)
{
	for (; table && table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct cli_option *by_letter(const struct cli_option *table, char letter)
{
	for (; table && table->name; table++)
		if (table->letter == letter)
			return table;
	return NULL;
}

static size_t add_names(const struct cli_option *table, const char **out, size_t n, size_t max)
{
	for (; table && table->name && n < max; table++)
		out[n++] = table->name;
	return n;
}

static int unknown_option(struct parse *p, const char *shown, const char *name)
{
	const char *names[64];
	const struct cli_verb *verb = p->cli->verb;
	size_t n = add_names(verb ? verb->options : NULL, names, 0, ARRAY_LEN(names));
	const char *near;

	n = add_names(cli_globals, names, n, ARRAY_LEN(names));
	near = near_word(name, names, n);
	if (near)
		return err_set(p->err, ERR_USAGE, "unknown option %s; did you mean --%s?", shown, near);
	if (!verb)
		return err_set(
		        p->err, ERR_USAGE, "unknown option %s; a verb's own options stand after the verb", shown);
	return err_set(p->err, ERR_USAGE, "unknown option %s; see starling %s --help", shown, verb->name);
}

static int add_value(struct parse *p, const struct cli_option *opt, const char *shown, const char *text)
{
	uint64_t number;
	int64_t ms;

	if (p->cli->n_values == CLI_VALUES_MAX)
		return err_set(p->err, ERR_USAGE, "more than %d options", CLI_VALUES_MAX);
	if (opt->kind == OPT_NUMBER && !text_u64(text, 0, INT64_MAX, &number))
		return err_set(p->err, ERR_USAGE, "%s %s: not a whole number", shown, text);
	if (opt->kind == OPT_DURATION && (!text_duration(text, &ms) || ms <= 0))
		return err_set(
		        p->err, ERR_USAGE, "%s %s: not a duration; write it as 500ms, 10s or 1m30s", shown, text);
	p->cli->values[p->cli->n_values++] = (struct cli_value){opt, text};
	return 0;
}

/* The value after an option that needs one. */
static int next_value(struct parse *p, const struct cli_option *opt, const char *shown)
{
	if (p->i == p->argc)
		return err_set(p->err, ERR_USAGE, "%s needs a value: %s %s", shown, shown, opt->value);
	return add_value(p, opt, shown, p->argv[p->i++]);
}

static int long_option(struct parse *p, const char *arg)
{
	const struct cli_verb *verb = p->cli->verb;
	const char *name = arg + 2;
	size_t len = strcspn(name, "=");
	const struct cli_option *opt = verb ? by_name(verb->options, name, len) : NULL;
	char plain[64];

	if (!opt)
		opt = by_name(cli_globals, name, len);
	if (!opt) {
		text_copy(plain, MIN(sizeof(plain), len + 1), name);
		return unknown_option(p, arg, plain);
	}
	if (opt->kind == OPT_FLAG && name[len])
		return err_set(p->err, ERR_USAGE, "--%s takes no value", opt->name);
	if (opt->kind == OPT_FLAG)
		return add_value(p, opt, arg, NULL);
	return name[len] ? add_value(p, opt, arg, name + len + 1) : next_value(p, opt, arg);
}

/* -fq, -n5, -n 5 */
static int short_options(struct parse *p, const char *arg)
{
	for (const char *c = arg + 1; *c; c++) {
		const struct cli_verb *verb = p->cli->verb;
		const struct cli_option *opt = verb ? by_letter(verb->options, *c) : NULL;
		char shown[3] = {'-', *c, '\0'};
		int ret;

		if (!opt)
			opt = by_letter(cli_globals, *c);
		if (!opt)
			return unknown_option(p, shown, shown + 1);
		if (opt->kind != OPT_FLAG)
			return c[1] ? add_value(p, opt, shown, c + 1) : next_value(p, opt, shown);
		ret = add_value(p, opt, shown, NULL);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int unknown_verb(struct parse *p, const char *word)
{
	const char *names[64];
	size_t n = 0;
	const char *near;

	for (const struct cli_verb *v = cli_verbs; v->name && n < ARRAY_LEN(names); v++)
		names[n++] = v->name;
	near = near_word(word, names, n);
	if (near)
		return err_set(p->err, ERR_USAGE, "unknown verb %s; did you mean `starling %s`?", word, near);
	return err_set(p->err, ERR_USAGE, "unknown verb %s; see starling --help", word);
}

/* Verbs of two words: "node" is no verb, "node ls" is. */
static int take_verb(struct parse *p, const char *word)
{
	bool group = false;
	char two[64];

	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		size_t len = strcspn(v->name, " ");

		if (strcmp(v->name, word) == 0 || (v->alias && strcmp(v->alias, word) == 0)) {
			p->cli->verb = v;
			return 0;
		}
		group = group || (v->name[len] && strlen(word) == len && memcmp(v->name, word, len) == 0);
	}
	if (!group)
		return unknown_verb(p, word);
	if (p->i == p->argc || p->argv[p->i][0] == '-')
		return err_set(p->err, ERR_USAGE, "%s what? see starling --help", word);
	snprintf(two, sizeof(two), "%s %s", word, p->argv[p->i++]);
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		if (strcmp(v->name, two) == 0) {
			p->cli->verb = v;
			return 0;
		}
	}
	return unknown_verb(p, two);
}

static int take_arg(struct parse *p, char *arg)
{
	struct cli *cli = p->cli;

	if (!cli->verb)
		return take_verb(p, arg);
	if (cli->n_args == cli->verb->max_args)
		return err_set(p->err, ERR_USAGE, "one argument too many: %s; usage: starling %s %s", arg,
		        cli->verb->name, cli->verb->args);
	cli->args[cli->n_args++] = arg;
	return 0;
}

static const char *last_text(const struct cli *cli, const struct cli_option *table, const char *name)
{
	for (size_t i = cli->n_values; i-- > 0;) {
		const struct cli_option *opt = cli->values[i].option;

		for (const struct cli_option *o = table; o->name; o++)
			if (o == opt && strcmp(o->name, name) == 0)
				return cli->values[i].text ? cli->values[i].text : "";
	}
	return NULL;
}

static int take_globals(struct cli *cli, bool *help, struct err *err)
{
	const char *format = last_text(cli, cli_globals, "output");
	const char *timeout = last_text(cli, cli_globals, "timeout");
	const char *data = last_text(cli, cli_globals, "data");
	const char *key = last_text(cli, cli_globals, "key");
	const char *durable = last_text(cli, cli_globals, "durable");
	uint64_t copies = 0;
	static const char *const formats[] = {"table", "wide", "json"}; /* as enum cli_format */
	size_t i = 0;

	cli->peer = last_text(cli, cli_globals, "peer");
	cli->passphrase_file = last_text(cli, cli_globals, "passphrase-file");
	cli->quiet = last_text(cli, cli_globals, "quiet") != NULL;
	cli->watch = last_text(cli, cli_globals, "watch") != NULL;
	cli->detach = last_text(cli, cli_globals, "detach") != NULL;
	cli->force_clock = last_text(cli, cli_globals, "force-clock") != NULL;
	*help = last_text(cli, cli_globals, "help") != NULL;
	if (timeout)
		text_duration(timeout, &cli->timeout_ms);
	if (durable && !text_u64(durable, 1, GOSSIP_COPIES_MAX, &copies))
		return err_set(
		        err, ERR_USAGE, "--durable %s: a number of peers, 1 to %d", durable, GOSSIP_COPIES_MAX);
	cli->durable = (unsigned)copies;
	if (data)
		text_copy(cli->data_path, sizeof(cli->data_path), data);
	else
		data_dir_default(cli->data_path, sizeof(cli->data_path));
	if (key)
		text_copy(cli->key_file, sizeof(cli->key_file), key);
	else
		keyfile_operator_path(cli->key_file, sizeof(cli->key_file));
	cli->data_dir = cli->data_path;
	cli->key_path = cli->key_file;
	while (format && i < ARRAY_LEN(formats) && strcmp(format, formats[i]) != 0)
		i++;
	if (i == ARRAY_LEN(formats))
		return err_set(err, ERR_USAGE, "-o %s: use table, wide or json", format);
	cli->format = (enum cli_format)i;
	return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, bool *help, struct err *err)
{
	struct parse p = {cli, argc, argv, 1, err};
	bool only_args = false;

	*cli = (struct cli){.out = stdout, .errors = stderr, .started = clock_mono()};
	cli->out_tty = isatty(STDOUT_FILENO);
	cli->errors_tty = isatty(STDERR_FILENO);
	cli->args = xcalloc((size_t)argc + 1, sizeof(*cli->args));
	*help = false;
	while (p.i < argc) {
		char *arg = argv[p.i++];
		int ret;

		/* What follows is a command with options of its own. */
		only_args |= cli->verb && cli->verb->max_args == CLI_ARGS_REST && cli->n_args > 0;
		if (!only_args && strcmp(arg, "--") == 0) {
			only_args = true;
			continue;
		}
		if (only_args || arg[0] != '-' || !arg[1])
			ret = take_arg(&p, arg);
		else if (arg[1] == '-')
			ret = long_option(&p, arg);
		else
			ret = short_options(&p, arg);
		if (ret < 0)
			return -1;
	}
	if (take_globals(cli, help, err) < 0)
		return -1;
	if (cli->verb && !*help && cli->n_args < cli->verb->min_args)
		return err_set(err, ERR_USAGE, "usage: starling %s %s", cli->verb->name, cli->verb->args);
	return 0;
}

void cli_free(struct cli *cli)
{
	free(cli->args);
	cli->args = NULL;
}

static const struct cli_option *own(const struct cli *cli, const char *name)
{
	const struct cli_option *opt = by_name(cli->verb->options, name, strlen(name));

	assert(opt);
	return opt;
}

static const char *last(const struct cli *cli, const char *name)
{
	own(cli, name);
	return last_text(cli, cli->verb->options, name);
}

bool cli_flag(const struct cli *cli, const char *name)
{
	return last(cli, name) != NULL;
}

const char *cli_text(const struct cli *cli, const char *name)
{
	return last(cli, name);
}

const char *cli_list(const struct cli *cli, const char *name, size_t i)
{
	const struct cli_option *opt = own(cli, name);

	for (size_t k = 0; k < cli->n_values; k++)
		if (cli->values[k].option == opt && i-- == 0)
			return cli->values[k].text;
	return NULL;
}

uint64_t cli_number(const struct cli *cli, const char *name, uint64_t otherwise)
{
	const char *text = last(cli, name);

	if (text)
		text_u64(text, 0, INT64_MAX, &otherwise);
	return otherwise;
}

int64_t cli_duration(const struct cli *cli, const char *name, int64_t otherwise_ms)
{
	const char *text = last(cli, name);

	if (text)
		text_duration(text, &otherwise_ms);
	return otherwise_ms;
}
