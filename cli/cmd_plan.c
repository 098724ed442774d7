/* starling plan FILE: what deploying it would change, and where each slot would go. Writes nothing. */
#include "cli/output.h"
#include "cli/revision.h"
#include "cli/spec_file.h"

#include "base/hash.h"
#include "base/text.h"
#include "placement/spec/diff.h"

#include <sodium.h>

const struct cli_option cmd_plan_options[] = {SPEC_FILE_OPTIONS, {0}};

struct planned {
	struct stack_head head;
	struct spec_diff diff;
	bool changes;
	json_t *slots;
	size_t kept, nowhere;
};

static const char *text_of(const json_t *row, const char *field)
{
	return json_string_value(json_object_get(row, field));
}

static bool action_is(const json_t *row, const char *action)
{
	const char *has = text_of(row, "action");

	return has && strcmp(has, action) == 0;
}

/* Stays as it is, and runs: one that waits for a peer that is away has a reason, which is shown. */
static bool is_kept(const json_t *row)
{
	const char *why = text_of(row, "why");

	return action_is(row, "keep") && !(why && *why);
}

static int ask(struct client *c, struct spec *spec, struct arena *arena, struct planned *p, struct err *err)
{
	struct wr args, body;
	size_t i;
	const json_t *row;

	if (stack_head_get(c, spec->name, NULL, arena, &p->head, err) < 0)
		return -1;
	if (p->head.exists && !p->head.removed && !p->head.have_spec)
		return err_set(err, ERR_UNAUTHORISED,
		        "stack %s: this key may not read what is deployed there, or it has not arrived here yet; ask an "
		        "admin for `starling key grant`, or try again",
		        spec->name);
	revision_set_born(spec, &p->head);
	spec_diff(p->head.have_spec && !p->head.removed ? &p->head.spec : NULL, spec, arena, &p->diff);
	p->changes = p->diff.added || p->diff.removed || p->diff.changed || p->head.n_heads > 1;
	wr_init(&body, BODY_BYTES_MAX);
	spec_encode(&body, spec);
	wr_init(&args, CONTROL_MESSAGE_MAX);
	pk_map(&args, 1);
	pk_kv_bin(&args, "spec", body.p, body.len);
	p->slots = client_list(c, "plan", &args, true, err);
	wr_free(&args);
	wr_free(&body);
	json_array_foreach (p->slots, i, row) {
		p->kept += is_kept(row);
		p->nowhere += action_is(row, "nowhere");
	}
	return p->slots ? 0 : -1;
}

/* --- people --- */

static void print_services(const struct cli *cli, const struct planned *p)
{
	for (size_t i = 0; i < p->diff.n_services; i++) {
		const struct service_diff *d = &p->diff.services[i];

		if (d->kind == DIFF_SAME)
			continue;
		fprintf(cli->out, "  %s: %s", d->name, diff_kind_name(d->kind));
		for (size_t k = 0; k < d->n_keys; k++)
			fprintf(cli->out, "%s%s", k ? ", " : ": ", d->keys[k]);
		fprintf(cli->out, "%s\n",
		        d->kind != DIFF_CHANGED ? ""
		        : d->replaces_tasks     ? "; its tasks are replaced, one after the other"
		                                : "; no task restarts");
	}
}

static void slot_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, "%s/%s/%lld", text_of(row, "stack"), text_of(row, "service"),
	        (long long)json_integer_value(json_object_get(row, "slot")));
}

static const struct column cols[] = {
        {"SLOT", NULL, false, slot_cell},
        {"ACTION", "action", false, NULL},
        {"FROM", "from", false, NULL},
        {"TO", "to", false, NULL},
        {"WHY", "why", false, NULL},
};

static void print_plan(const struct cli *cli, const struct spec *spec, const struct planned *p)
{
	json_t *steps = json_array();
	const json_t *row;
	size_t i;

	json_array_foreach (p->slots, i, row)
		if (!is_kept(row))
			json_array_append(steps, (json_t *)row);
	if (!p->changes) {
		fprintf(cli->out, "stack %s: nothing would change\n", spec->name);
	} else {
		fprintf(cli->out, "stack %s: %zu added, %zu changed, %zu removed, %zu as they are%s\n",
		        spec->name, p->diff.added, p->diff.changed, p->diff.removed, p->diff.same,
		        p->head.n_heads > 1 ? "; ends a conflict of concurrent revisions" : "");
		print_services(cli, p);
	}
	if (json_array_size(steps)) {
		fputc('\n', cli->out);
		out_rows(cli, steps, cols, ARRAY_LEN(cols), "action");
	}
	if (p->kept && (p->changes || json_array_size(steps)))
		fprintf(cli->out, "\n%zu slot%s kept as %s\n", p->kept, p->kept == 1 ? " is" : "s are",
		        p->kept == 1 ? "it is" : "they are");
	if (p->nowhere)
		fprintf(cli->out, "%zu slot%s fit%s on no peer\n", p->nowhere, p->nowhere == 1 ? "" : "s",
		        p->nowhere == 1 ? "s" : "");
	json_decref(steps);
}

/* --- scripts --- */

static void print_json(const struct cli *cli, const struct spec *spec, const struct planned *p)
{
	json_t *services = json_array(), *value;

	for (size_t i = 0; i < p->diff.n_services; i++) {
		const struct service_diff *d = &p->diff.services[i];
		json_t *keys = json_array();

		for (size_t k = 0; k < d->n_keys; k++)
			json_array_append_new(keys, json_string(d->keys[k]));
		json_array_append_new(services,
		        json_pack("{s:s, s:s, s:b, s:o}", "service", d->name, "change", diff_kind_name(d->kind),
		                "replaces_tasks", d->kind == DIFF_CHANGED && d->replaces_tasks, "keys", keys));
	}
	value = json_pack("{s:s, s:b, s:o, s:O, s:I}", "stack", spec->name, "changes", p->changes, "services",
	        services, "slots", p->slots, "nowhere", (json_int_t)p->nowhere);
	out_json(cli->out, value);
	json_decref(value);
}

int cmd_plan(struct cli *cli)
{
	struct planned p = {0};
	struct client *c = NULL;
	struct err err = {0};
	struct arena arena;
	struct spec spec;
	int code;

	arena_init(&arena);
	code = spec_file_load(cli, &arena, &spec);
	if (code == 0) {
		c = client_open(cli, &err);
		if (!c || ask(c, &spec, &arena, &p, &err) < 0)
			code = cli_fail(cli, &err);
		client_close(c);
	}
	if (code == 0) {
		if (cli->format == FORMAT_JSON)
			print_json(cli, &spec, &p);
		else if (!cli->quiet)
			print_plan(cli, &spec, &p);
		code = !p.changes ? 0 : p.nowhere ? ERR_UNPLACEABLE : ERR_CHANGES;
	}
	json_decref(p.slots);
	arena_free(&arena);
	return code;
}
