/* Help, made from the verb table and the option tables. */
#include "cli/cli.h"

/* Column at which explanations begin. */
#define HELP_COLUMN 28

static void print_option(FILE *out, const struct cli_option *o)
{
	char left[80];

	snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
	        o->letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
	if (strlen(left) < HELP_COLUMN)
		fprintf(out, "%-*s %s\n", HELP_COLUMN, left, o->help);
	else
		fprintf(out, "%s\n%*s %s\n", left, HELP_COLUMN, "", o->help);
}

static void print_options(FILE *out, const char *title, const struct cli_option *table)
{
	if (!table || !table->name)
		return;
	fprintf(out, "\n%s:\n", title);
	for (; table->name; table++)
		print_option(out, table);
}

static void help_all(FILE *out)
{
	fputs("starling: runs stacks of services on a flock of equal peers\n\nusage: starling VERB [ARGUMENT...] "
	      "[OPTION...]\n\nverbs:\n",
	        out);
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		char left[80];

		snprintf(left, sizeof(left), "  %s%s%s", v->name, v->alias ? ", " : "", v->alias ? v->alias : "");
		fprintf(out, "%-*s %s\n", HELP_COLUMN, left, v->brief);
	}
	print_options(out, "options of all verbs", cli_globals);
	fputs("\nexit codes: 0 done, 1 error, 2 usage or invalid spec, 3 there are changes, 4 unplaceable, 5 rolled back,\n"
	      "6 timeout, 7 partial (some peers unreachable; named), 8 not authorised\n"
	      "\n`starling VERB --help` tells more.\n",
	        out);
}

void cli_help(FILE *out, const struct cli_verb *verb)
{
	if (!verb) {
		help_all(out);
		return;
	}
	fprintf(out, "%s\n\nusage: starling %s%s%s%s\n", verb->brief, verb->name, *verb->args ? " " : "",
	        verb->args, verb->options && verb->options->name ? " [OPTION...]" : "");
	if (verb->alias)
		fprintf(out, "also:  starling %s\n", verb->alias);
	if (verb->detail)
		fprintf(out, "\n%s\n", verb->detail);
	print_options(out, "options", verb->options);
	print_options(out, "options of all verbs", cli_globals);
}
