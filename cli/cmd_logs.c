/*
 * starling logs STACK[/SERVICE[/SLOT]]: every task's lines from the peer that runs it, through the one peer that the CLI
 * speaks to, merged by time. Once the past is told, what arrives is shown as it arrives: clocks of peers differ, and waiting
 * for order would only delay. Following, peers that get a task of it later are asked as well.
 */
#include "cli/address.h"
#include "cli/list.h"
#include "cli/since.h"
#include "cli/streams.h"
#include "cli/tail.h"

#include "base/text.h"

const struct cli_option cmd_logs_options[] = {
        {"follow", 'f', OPT_FLAG, NULL, "go on with what is written from now on"},
        {"tail", 'n', OPT_NUMBER, "N", "the last N lines of each task (default: all that are kept)"},
        {"since", 0, OPT_TEXT, "TIME", "lines of the last TIME (10m), or from then on (2026-11-22T16:50:31Z)"},
        {"timestamps", 't', OPT_FLAG, NULL, "put the time before each line"},
        {0},
};

/* A follower looks this often, in ms, whether all that it follows is gone. */
#define LOOK_MS 500
/* Looks after which the last lines of what is gone have come. */
#define LAST_ROUNDS 2

struct logs {
	struct cli *cli;
	struct address of;
	struct streams streams;
	struct tail_request request;
	struct client *watch; /* following: the list of tasks, said again after each change */
	json_t *rows;         /* of `ps` */
	size_t tasks;
	bool named; /* each line has its task before it */
	int width;  /* of the longest name */
};

static bool wanted(const struct logs *l, const json_t *row)
{
	const char *service = json_string_value(json_object_get(row, "service"));

	return service && json_is_string(json_object_get(row, "task")) &&
	       (l->of.depth < ADDRESS_SERVICE || strcmp(service, l->of.service) == 0) &&
	       (l->of.depth != ADDRESS_SLOT || json_integer_value(json_object_get(row, "slot")) == l->of.slot);
}

/* Asks the peers of these rows that are not asked yet. */
static void ask_peers(struct logs *l)
{
	const json_t *row;
	size_t i;

	l->tasks = 0;
	json_array_foreach (l->rows, i, row) {
		const char *peer = json_string_value(json_object_get(row, "peer"));
		const char *name = json_string_value(json_object_get(row, "peer_name"));
		int width = snprintf(NULL, 0, "%s/%lld", json_string_value(json_object_get(row, "service")),
		        (long long)json_integer_value(json_object_get(row, "slot")));

		if (!wanted(l, row))
			continue;
		l->tasks++;
		l->width = MAX(l->width, width);
		if (peer)
			streams_add(&l->streams, peer, name ? name : peer);
	}
	l->named |= l->tasks > 1;
}

static int read_item(const uint8_t *bytes, size_t len, wall_ms *at, bool *live)
{
	struct tail_line line;

	if (!tail_read(bytes, len, &line))
		return -1;
	*at = line.at;
	*live = line.live;
	return 0;
}

static int ask(struct streams *s, struct stream *one, struct err *err)
{
	const struct logs *l = s->ctx;
	struct tail_request request = l->request;

	/* Its connection broke and is made anew: nothing twice. */
	if (one->heard)
		request.since = one->at + 1;
	return tail_ask(one->c, &request, err);
}

/* Tasks in colours of their own, as far as these go. */
static int colour_of(const struct tail_line *line)
{
	static const int colours[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};
	uint32_t h = line->slot;

	for (const char *c = line->service; *c; c++)
		h = h * 31 + (unsigned char)*c;
	return colours[h % ARRAY_LEN(colours)];
}

static void print_line(struct logs *l, const struct tail_line *line)
{
	struct cli *cli = l->cli;
	char label[2 * NAME_MAX_BYTES];

	if (l->named && !cli->quiet) {
		snprintf(label, sizeof(label), "%s/%u", line->service, line->slot);
		if (cli->out_tty)
			fprintf(cli->out, "\033[%dm%-*s |\033[0m ", colour_of(line), l->width, label);
		else
			fprintf(cli->out, "%-*s | ", l->width, label);
	}
	if (cli_flag(cli, "timestamps")) {
		char time[25];

		text_time(time, line->at);
		fprintf(cli->out, "%s ", time);
	}
	out_safe(cli->out, line->text, line->len, cli->out_tty);
	if (!line->len || line->text[line->len - 1] != '\n')
		fputc('\n', cli->out);
}

/* Is there anything left that may say more? */
static bool may_go_on(const struct logs *l)
{
	const json_t *row;
	size_t i;

	json_array_foreach (l->rows, i, row) {
		const char *state = json_string_value(json_object_get(row, "state"));
		const char *service = json_string_value(json_object_get(row, "service"));

		if (state && service && strcmp(state, "done") != 0 && strcmp(state, "failed") != 0 &&
		        (l->of.depth < ADDRESS_SERVICE || strcmp(service, l->of.service) == 0))
			return true;
	}
	return false;
}

/* The list of tasks changed? Then other peers may have some. False: the agent that tells is gone. */
static bool look_at_list(struct logs *l)
{
	struct err err = {0};
	int got = list_next(l->watch, &l->rows, 0, &err);

	if (got > 0)
		ask_peers(l);
	if (got < 0) {
		cli_warn(l->cli, "%s", err.text);
		l->streams.unreachable++;
	}
	return got >= 0;
}

/* Until every peer has told all, or Ctrl-C. */
static void show(struct logs *l)
{
	int64_t limit = l->cli->timeout_ms ? l->cli->timeout_ms : CLIENT_TIMEOUT_MS;
	mono_ms heard = clock_mono();
	unsigned idle = 0; /* rounds in which nothing came and nothing was left that could write */
	bool over;

	for (;;) {
		struct stream *s = streams_next(&l->streams, &over);
		struct tail_line line;

		if (s) {
			heard = clock_mono();
			idle = 0;
			if (tail_read(s->item.value, s->item.value_len, &line))
				print_line(l, &line);
			streams_take(s);
			if (ferror(l->cli->out))
				return;
			continue;
		}
		fflush(l->cli->out);
		if (l->watch ? !may_go_on(l) && ++idle > LAST_ROUNDS : over)
			return;
		streams_wait(&l->streams, l->watch ? client_fd(l->watch) : -1, LOOK_MS);
		if (l->watch && !look_at_list(l))
			return;
		if (clock_mono() - heard > limit && streams_give_up(&l->streams))
			heard = clock_mono();
	}
}

static int open_all(struct logs *l, struct err *err)
{
	struct client *c = client_open(l->cli, err);
	struct wr args;
	int ret = -1;

	if (!c)
		return -1;
	list_args(&args, l->of.stack, l->request.follow);
	if (!l->request.follow) {
		l->rows = client_list(c, "ps", &args, false, err);
		ret = l->rows ? 0 : -1;
		client_close(c);
	} else {
		l->watch = c;
		ret = client_request(c, "ps", &args, false, err);
		if (ret == 0 && list_next(c, &l->rows, CLIENT_TIMEOUT_MS, err) <= 0)
			ret = err->code ? -1
			                : err_set(err, ERR_TIMEOUT, "the agent did not list its tasks in time");
	}
	wr_free(&args);
	if (ret < 0)
		return -1;
	ask_peers(l);
	return l->tasks ? 0
	                : err_set(err, ERR_FAILED, "%s has no task; see starling ps %s", l->cli->args[0],
	                          l->of.stack);
}

int cmd_logs(struct cli *cli)
{
	struct logs *l = xcalloc(1, sizeof(*l));
	struct err err = {0};
	int code;

	l->cli = cli;
	l->streams = (struct streams){.cli = cli, .read = read_item, .ask = ask, .own = true, .ctx = l};
	l->request = (struct tail_request){
	        .of = &l->of, .tail = cli_number(cli, "tail", UINT64_MAX), .follow = cli_flag(cli, "follow")};
	if (address_parse(&l->of, cli->args[0], ADDRESS_STACK, &err) < 0 ||
	        since_read(cli, &l->request.since, &err) < 0 || open_all(l, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		show(l);
		code = streams_code(&l->streams);
	}
	streams_close(&l->streams);
	client_close(l->watch);
	json_decref(l->rows);
	free(l);
	return code;
}
