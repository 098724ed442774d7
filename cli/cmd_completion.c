/* starling completion bash: a script made from the verb table. */
#include "cli/cli.h"

const struct cli_option cmd_completion_options[] = {{0}};

static void print_options(FILE *out, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		fprintf(out, " --%s", o->name);
		if (o->letter)
			fprintf(out, " -%c", o->letter);
	}
}

/* Words that may follow the first word of a two-word verb. */
static void print_second(FILE *out, const char *first, size_t len)
{
	for (const struct cli_verb *v = cli_verbs; v->name; v++)
		if (strncmp(v->name, first, len) == 0 && v->name[len] == ' ')
			fprintf(out, " %s", v->name + len + 1);
}

static void print_case(FILE *out, const struct cli_verb *v)
{
	fprintf(out, "\t\"%s\"", v->name);
	if (v->alias)
		fprintf(out, "|\"%s\"", v->alias);
	fputs(") words=\"", out);
	print_options(out, v->options);
	fputs("\" ;;\n", out);
}

int cmd_completion(struct cli *cli)
{
	FILE *out = cli->out;
	const struct cli_verb *group = NULL; /* the verb before, when it has two words */

	if (strcmp(cli->args[0], "bash") != 0)
		return cli_usage(cli, "no script for %s; bash is known", cli->args[0]);
	fputs("# bash completion of starling; load it with: source <(starling completion bash)\n"
	      "_starling() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb= word words= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\t[[ $word == -* ]] && continue\n"
	      "\t\tcase \"$verb\" in\n"
	      "\t\t'') verb=$word ;;\n"
	      "\t\tnode|token|key|dns) verb=\"$verb $word\" ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase \"$verb\" in\n"
	      "\t'') words=\"",
	        out);
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		size_t len = strcspn(v->name, " ");

		if (!group || strncmp(v->name, group->name, len + 1) != 0)
			fprintf(out, " %.*s", (int)len, v->name);
		group = v->name[len] ? v : NULL;
	}
	fputs("\" ;;\n", out);
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		size_t len = strcspn(v->name, " ");

		print_case(out, v);
		if (!v->name[len] || (v > cli_verbs && strncmp(v[-1].name, v->name, len + 1) == 0))
			continue;
		fprintf(out, "\t\"%.*s\") words=\"", (int)len, v->name);
		print_second(out, v->name, len);
		fputs("\" ;;\n", out);
	}
	fputs("\tesac\n\twords=\"$words", out);
	print_options(out, cli_globals);
	fputs("\"\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "\t[[ $cur != -* && -n $verb ]] && mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "}\n"
	      "complete -F _starling starling\n",
	        out);
	return 0;
}
