/* starling events: what happened in the flock, told by every peer through the one that the CLI speaks to, merged by time. */
#include "cli/list.h"
#include "cli/since.h"
#include "cli/streams.h"

#include "base/hash.h"
#include "base/text.h"

const struct cli_option cmd_events_options[] = {
        {"follow", 'f', OPT_FLAG, NULL, "go on with what happens from now on"},
        {"since", 0, OPT_TEXT, "TIME", "of the last TIME (10m), or from then on (2026-11-22T16:50:31Z)"},
        {0},
};

struct seen {
	struct cli *cli;
	struct streams streams;
	struct client *watch; /* following: the peers, said again after each change */
	json_t *rows;         /* of `members` */
	wall_ms since;
	char here[17]; /* the peer that the CLI speaks to: it tells of the flock */
};

static int read_item(const uint8_t *bytes, size_t len, wall_ms *at, bool *live)
{
	json_t *item = value_json(bytes, len);
	const char *time = json_string_value(json_object_get(item, "time"));
	int ret = 0;

	*live = json_is_true(json_object_get(item, "live"));
	if (!*live && (!time || !text_time_parse(time, at)))
		ret = -1;
	json_decref(item);
	return ret;
}

static int ask(struct streams *s, struct stream *one, struct err *err)
{
	const struct seen *x = s->ctx;
	wall_ms since = one->heard ? one->at + 1 : x->since;
	bool follow = cli_flag(x->cli, "follow");
	struct wr args;
	int ret;

	wr_init(&args, 256);
	pk_map(&args, 2 + follow);
	pk_kv_u64(&args, "since", (uint64_t)since);
	pk_kv_bool(&args, "own", strcmp(one->id, x->here) != 0);
	if (follow)
		pk_kv_bool(&args, "watch", true);
	ret = client_request(one->c, "events", &args, false, err);
	wr_free(&args);
	return ret;
}

/* All that have not left. One that broke off is asked again when it is alive. */
static void ask_peers(struct seen *x, bool first)
{
	const json_t *row;
	size_t i;

	json_array_foreach (x->rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "id"));
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *state = json_string_value(json_object_get(row, "state"));

		if (id && name && state && strcmp(state, "left") != 0 && (first || strcmp(state, "alive") == 0))
			streams_add(&x->streams, id, name);
	}
}

static const char *text_of(const json_t *item, const char *key)
{
	const char *s = json_string_value(json_object_get(item, key));

	return s ? s : "";
}

static void print_event(struct seen *x, const uint8_t *bytes, size_t len)
{
	FILE *out = x->cli->out;
	json_t *item = value_json(bytes, len);
	const char *stack = text_of(item, "stack"), *service = text_of(item, "service");
	const char *peer = text_of(item, "peer"), *text = text_of(item, "text");
	char subject[2 * NAME_MAX_BYTES + 32];
	bool own = json_is_string(json_object_get(item, "task"));

	if (x->cli->format == FORMAT_JSON) {
		json_dumpf(item, out, JSON_COMPACT);
		fputc('\n', out);
		json_decref(item);
		return;
	}
	if (service[0])
		snprintf(subject, sizeof(subject), "%s/%s/%lld", stack, service,
		        (long long)json_integer_value(json_object_get(item, "slot")));
	else
		snprintf(subject, sizeof(subject), "%s%s",
		        stack[0] ? "stack "
		        : own    ? "task "
		                 : "peer ",
		        stack[0] ? stack
		        : own    ? text_of(item, "task")
		                 : peer);
	fprintf(out, "%s  %-10s  %s", text_of(item, "time"), text_of(item, "event"), subject);
	if (own)
		fprintf(out, " on %s", text_of(item, "told_by"));
	if (own && peer[0])
		fprintf(out, " to %s", peer);
	if (text[0]) {
		fputs(": ", out);
		out_safe(out, text, strlen(text), x->cli->out_tty);
	}
	fputc('\n', out);
	json_decref(item);
}

static void show(struct seen *x)
{
	int64_t limit = x->cli->timeout_ms ? x->cli->timeout_ms : CLIENT_TIMEOUT_MS;
	mono_ms heard = clock_mono();
	struct err err = {0};
	bool over;

	for (;;) {
		struct stream *s = streams_next(&x->streams, &over);
		int got = 0;

		if (s) {
			heard = clock_mono();
			print_event(x, s->item.value, s->item.value_len);
			streams_take(s);
			if (ferror(x->cli->out))
				return;
			continue;
		}
		fflush(x->cli->out);
		if (!x->watch && over)
			return;
		streams_wait(&x->streams, x->watch ? client_fd(x->watch) : -1, 1000);
		if (x->watch && (got = list_next(x->watch, &x->rows, 0, &err)) > 0)
			ask_peers(x, false);
		if (got < 0) {
			cli_warn(x->cli, "%s", err.text);
			x->streams.unreachable++;
			return;
		}
		if (clock_mono() - heard > limit && streams_give_up(&x->streams))
			heard = clock_mono();
	}
}

static int open_all(struct seen *x, struct err *err)
{
	bool follow = cli_flag(x->cli, "follow");
	struct client *c = client_open(x->cli, err);
	struct wr args;
	int ret;

	if (!c)
		return -1;
	id64_text(x->here, key32_id(&client_hello(c)->peer));
	list_args(&args, NULL, follow);
	if (follow) {
		x->watch = c;
		ret = client_request(c, "members", &args, false, err);
		if (ret == 0 && list_next(c, &x->rows, CLIENT_TIMEOUT_MS, err) <= 0)
			ret = err->code ? -1
			                : err_set(err, ERR_TIMEOUT, "the agent did not list its peers in time");
	} else {
		x->rows = client_list(c, "members", &args, false, err);
		ret = x->rows ? 0 : -1;
		client_close(c);
	}
	wr_free(&args);
	if (ret == 0)
		ask_peers(x, true);
	return ret;
}

int cmd_events(struct cli *cli)
{
	struct seen x = {.cli = cli};
	struct err err = {0};
	int code;

	x.streams = (struct streams){.cli = cli, .read = read_item, .ask = ask, .ctx = &x};
	if (since_read(cli, &x.since, &err) < 0 || open_all(&x, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		show(&x);
		code = streams_code(&x.streams);
	}
	streams_close(&x.streams);
	client_close(x.watch);
	json_decref(x.rows);
	return code;
}
