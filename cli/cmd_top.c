/*
 * starling top [STACK]: what tasks and peers use of cpu and memory, from every peer through the one that the CLI speaks to.
 * Cpu is the difference of two answers; 100% is one core.
 */
#include "cli/interrupt.h"
#include "cli/list.h"

#include "base/text.h"

#include <poll.h>

const struct cli_option cmd_top_options[] = {
        {"once", 0, OPT_FLAG, NULL, "print once and end; so does anything but a terminal without -n"},
        {"count", 'n', OPT_NUMBER, "N", "print N times and end"},
        {"interval", 0, OPT_DURATION, "TIME", "between two times (2s)"},
        {0},
};

/* Peers asked, each over a connection that stays. */
#define PEERS_MAX 120
/* Milliseconds between the two answers of which the first table is made, and between two tables. */
#define FIRST_MS    500
#define INTERVAL_MS 2000
/* Milliseconds for one peer's answer: a list is not held up by one that hangs. */
#define ANSWER_MS 5000

struct asked {
	char name[2 * NAME_MAX_BYTES];
	struct client *c; /* NULL: it cannot be asked any more */
	json_t *before;   /* its answer, and the one before that */
	json_t *now;
};

struct top {
	struct cli *cli;
	const char *stack;
	size_t n;
	struct asked *peers[PEERS_MAX];
	unsigned unreachable;
};

static void lost(struct top *t, struct asked *p, const struct err *err)
{
	t->unreachable++;
	if (strncmp(err->text, "peer ", 5) == 0)
		cli_warn(t->cli, "%s", err->text);
	else
		cli_warn(t->cli, "peer %s: %s", p->name, err->text);
	client_close(p->c);
	p->c = NULL;
	json_decref(p->now);
	p->now = NULL;
}

static int open_peers(struct top *t, struct err *err)
{
	struct client *c = client_open(t->cli, err);
	json_t *rows = c ? client_list(c, "members", NULL, false, err) : NULL;
	const json_t *row;
	size_t i;

	client_close(c);
	json_array_foreach (rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "id"));
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *state = json_string_value(json_object_get(row, "state"));
		struct err bad = {0};
		struct asked *p;

		if (!id || !name || !state || strcmp(state, "left") == 0)
			continue;
		if (t->n == PEERS_MAX) {
			cli_warn(t->cli, "%zu peers; %d of them are shown", json_array_size(rows), PEERS_MAX);
			t->unreachable++;
			break;
		}
		p = t->peers[t->n++] = xcalloc(1, sizeof(*p));
		text_copy(p->name, sizeof(p->name), name);
		p->c = client_open_through(t->cli, id, name, false, &bad);
		if (!p->c)
			lost(t, p, &bad);
	}
	json_decref(rows);
	return rows ? 0 : -1;
}

/* Asks all, then hears them. */
static void ask(struct top *t)
{
	struct wr args;

	list_args(&args, t->stack, false);
	for (size_t i = 0; i < t->n; i++) {
		struct asked *p = t->peers[i];
		struct err err = {0};

		if (p->c && client_request(p->c, "usage", &args, false, &err) < 0)
			lost(t, p, &err);
	}
	wr_free(&args);
	for (size_t i = 0; i < t->n; i++) {
		struct asked *p = t->peers[i];
		mono_ms until = clock_mono() + ANSWER_MS;
		struct err err = {0};
		struct reply r = {.kind = REPLY_ITEM};
		json_t *rows = json_array();

		while (p->c && r.kind == REPLY_ITEM) {
			int got = client_next(p->c, MAX(until - clock_mono(), (int64_t)0), &r, &err);

			if (got == 0)
				err_set(&err, ERR_TIMEOUT, "did not answer in time");
			else if (got > 0 && r.kind == REPLY_ERROR)
				err = r.error;
			else if (got > 0 && r.kind == REPLY_ITEM)
				json_array_append_new(rows, value_json(r.value, r.value_len));
			if (err.code || got <= 0)
				break;
		}
		if (p->c && err.code)
			lost(t, p, &err);
		json_decref(p->before);
		p->before = p->now;
		p->now = p->c ? rows : NULL;
		if (!p->c)
			json_decref(rows);
	}
}

static int64_t integer(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

/* The same task (NULL: the peer itself) in the answer before. */
static const json_t *before(const struct asked *p, const char *task)
{
	const json_t *row;
	size_t i;

	json_array_foreach (p->before, i, row) {
		const char *other = json_string_value(json_object_get(row, "task"));

		if (task ? other && strcmp(task, other) == 0 : !other)
			return row;
	}
	return NULL;
}

/* Percent of one core between two answers; -1: there is one only. */
static double percent(const struct asked *p, const json_t *row)
{
	const json_t *was = before(p, json_string_value(json_object_get(row, "task")));
	int64_t time = integer(before(p, NULL), "at_us");
	int64_t used = integer(row, "cpu_us") - integer(was, "cpu_us");

	time = time ? integer(json_array_get(p->now, 0), "at_us") - time : 0;
	if (!was || time <= 0)
		return -1;
	return used > 0 ? 100.0 * (double)used / (double)time : 0;
}

static json_t *make_row(const struct asked *p, const json_t *row)
{
	double cpu = percent(p, row);
	json_t *out = json_copy((json_t *)row);

	json_object_set_new(out, "peer_name", json_string(p->name));
	json_object_set_new(
	        out, "cpu_percent", cpu < 0 ? json_null() : json_real((double)(int64_t)(cpu * 10 + 0.5) / 10));
	json_object_del(out, "cpu_us");
	json_object_del(out, "at_us");
	return out;
}

static void cpu_cell(char *out, size_t cap, const json_t *row)
{
	const json_t *cpu = json_object_get(row, "cpu_percent");

	snprintf(out, cap, "-");
	if (json_is_number(cpu))
		snprintf(out, cap, "%.1f%%", json_number_value(cpu));
}

static void memory_cell(char *out, size_t cap, const json_t *row)
{
	out_bytes(out, cap, (uint64_t)integer(row, "memory_bytes"));
}

static void of_cell(char *out, size_t cap, const json_t *row)
{
	uint64_t of = (uint64_t)integer(row, "memory_bytes_of");

	snprintf(out, cap, "-");
	if (of)
		out_bytes(out, cap, of);
}

static void slot_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, "%s/%s/%lld", json_string_value(json_object_get(row, "stack")),
	        json_string_value(json_object_get(row, "service")), (long long)integer(row, "slot"));
}

static void cores_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, "%.4g", (double)integer(row, "cpu_milli_of") / 1000);
}

static const struct column task_cols[] = {
        {"SLOT", NULL, false, slot_cell},
        {"TASK", "task", true, NULL},
        {"PEER", "peer_name", false, NULL},
        {"CPU", NULL, false, cpu_cell},
        {"MEMORY", NULL, false, memory_cell},
        {"LIMIT", NULL, false, of_cell},
        {"PROCESSES", "processes", false, NULL},
};

static const struct column peer_cols[] = {
        {"PEER", "peer_name", false, NULL},
        {"CPU", NULL, false, cpu_cell},
        {"CORES", NULL, false, cores_cell},
        {"MEMORY", NULL, false, memory_cell},
        {"OF", NULL, false, of_cell},
        {"PROCESSES", "processes", false, NULL},
};

/* {tasks: [...], peers: [...]} */
static json_t *gather(const struct top *t)
{
	json_t *tasks = json_array(), *peers = json_array();

	for (size_t i = 0; i < t->n; i++) {
		const json_t *row;
		size_t k;

		json_array_foreach (t->peers[i]->now, k, row)
			json_array_append_new(
			        json_object_get(row, "task") ? tasks : peers, make_row(t->peers[i], row));
	}
	return json_pack("{s:o, s:o}", "tasks", tasks, "peers", peers);
}

static void print(const struct top *t, bool again)
{
	struct cli *cli = t->cli;
	json_t *all = gather(t);

	if (cli->format == FORMAT_JSON) {
		json_dumpf(all, cli->out, JSON_COMPACT);
		fputc('\n', cli->out);
	} else {
		if (again)
			out_clear(cli);
		out_rows(cli, json_object_get(all, "peers"), peer_cols, ARRAY_LEN(peer_cols), "peer_name");
		fputc('\n', cli->out);
		out_rows(cli, json_object_get(all, "tasks"), task_cols, ARRAY_LEN(task_cols), "task");
	}
	json_decref(all);
	fflush(cli->out);
}

int cmd_top(struct cli *cli)
{
	struct top t = {.cli = cli, .stack = cli->n_args ? cli->args[0] : NULL};
	bool once = cli_flag(cli, "once") || (!cli->out_tty && !cli_text(cli, "count"));
	uint64_t left = once ? 1 : cli_number(cli, "count", UINT64_MAX);
	bool repeats = left > 1;
	struct err err = {0};
	int code;

	if (open_peers(&t, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		interrupt_catch();
		ask(&t);
		poll(NULL, 0, FIRST_MS);
		while (left-- && !interrupted()) {
			ask(&t);
			print(&t, repeats);
			if (left && !ferror(cli->out))
				poll(NULL, 0, (int)cli_duration(cli, "interval", INTERVAL_MS));
			if (ferror(cli->out))
				break;
		}
		code = t.unreachable ? ERR_PARTIAL : 0;
	}
	for (size_t i = 0; i < t.n; i++) {
		client_close(t.peers[i]->c);
		json_decref(t.peers[i]->before);
		json_decref(t.peers[i]->now);
		free(t.peers[i]);
	}
	return code;
}
