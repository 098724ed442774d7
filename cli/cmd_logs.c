/*
 * starling logs STACK/SERVICE[/SLOT]: every task's lines from the peer that runs it, merged by time. Following merges
 * what arrives as it arrives: clocks of peers differ, and waiting for order would only delay.
 */
#include "cli/address.h"
#include "cli/list.h"
#include "cli/tail.h"

#include "base/text.h"

#include <poll.h>

const struct cli_option cmd_logs_options[] = {
        {"follow", 'f', OPT_FLAG, NULL, "go on with what is written from now on"},
        {"tail", 'n', OPT_NUMBER, "N", "the last N lines of each task (default: all that are kept)"},
        {"since", 0, OPT_TEXT, "TIME", "lines of the last TIME (10m), or from then on (2026-11-22T16:50:31Z)"},
        {"timestamps", 't', OPT_FLAG, NULL, "put the time before each line"},
        {0},
};

/* Tasks read at once. */
#define SOURCES_MAX 256
/* Bytes of lines held for merging: rotation keeps less per task. */
#define MERGE_BYTES_MAX (256 * 1024 * 1024)

struct line {
	wall_ms at;
	size_t source;
	size_t seq; /* lines of one task keep their order even if its clock stepped */
	size_t offset, len;
};

struct source {
	char label[2 * NAME_MAX_BYTES];
	struct client *c;
	bool ended;
};

struct logs {
	struct cli *cli;
	size_t n;
	struct source sources[SOURCES_MAX];
	size_t n_lines, cap;
	struct line *lines;
	struct wr text;
	unsigned unreachable;
	unsigned unauthorised;
	wall_ms since; /* 0: all */
};

static void print_line(struct logs *l, const struct source *s, wall_ms at, const char *text, size_t len)
{
	if (cli_flag(l->cli, "timestamps")) {
		char time[25];

		text_time(time, at);
		fprintf(l->cli->out, "%s ", time);
	}
	if (!l->cli->quiet && l->n > 1)
		fprintf(l->cli->out, "%s | ", s->label);
	out_safe(l->cli->out, text, len, l->cli->out_tty);
	if (!len || text[len - 1] != '\n')
		fputc('\n', l->cli->out);
}

static void hold_line(struct logs *l, size_t source, const struct tail_line *line)
{
	if (l->n_lines == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 1024;
		l->lines = xrealloc(l->lines, l->cap * sizeof(*l->lines));
	}
	l->lines[l->n_lines] = (struct line){line->at, source, l->n_lines, l->text.len, line->len};
	wr_bytes(&l->text, line->text, line->len);
	l->n_lines += wr_ok(&l->text);
}

static int by_time(const void *pa, const void *pb)
{
	const struct line *a = pa;
	const struct line *b = pb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

static void print_held(struct logs *l)
{
	if (!l->n_lines)
		return;
	qsort(l->lines, l->n_lines, sizeof(*l->lines), by_time);
	for (size_t i = 0; i < l->n_lines; i++) {
		const struct line *x = &l->lines[i];

		print_line(l, &l->sources[x->source], x->at, (const char *)l->text.p + x->offset, x->len);
	}
	l->n_lines = 0;
	wr_reset(&l->text);
	fflush(l->cli->out);
}

static void lost(struct logs *l, const char *label, const json_t *row, const struct err *err)
{
	const char *peer = json_string_value(json_object_get(row, "peer_name"));

	/* Every peer says the same of a key: once is enough. */
	if (err->code == ERR_UNAUTHORISED && l->unauthorised++)
		return;
	if (err->code != ERR_UNAUTHORISED)
		l->unreachable++;
	cli_warn(l->cli, "%s%s%s: %s", label, peer ? " on peer " : "", peer ? peer : "", err->text);
}

static bool wanted(const json_t *row, const struct address *a)
{
	const char *service = json_string_value(json_object_get(row, "service"));

	return service && strcmp(service, a->service) == 0 && json_is_string(json_object_get(row, "task")) &&
	       (a->depth != ADDRESS_SLOT || json_integer_value(json_object_get(row, "slot")) == a->slot);
}

static void open_source(struct logs *l, const struct peers *peers, const struct client *c, const json_t *row)
{
	struct source *s = &l->sources[l->n];
	const char *task = json_string_value(json_object_get(row, "task"));
	const char *peer = json_string_value(json_object_get(row, "peer"));
	struct err err = {0};

	snprintf(s->label, sizeof(s->label), "%s/%lld", json_string_value(json_object_get(row, "service")),
	        (long long)json_integer_value(json_object_get(row, "slot")));
	s->c = peers_open(peers, l->cli, c, peer ? peer : "", &err);
	if (s->c && tail_request(s->c, task, cli_number(l->cli, "tail", UINT64_MAX), l->since,
	                    cli_flag(l->cli, "follow"), &err) == 0) {
		l->n++;
		return;
	}
	lost(l, s->label, row, &err);
	client_close(s->c);
	s->c = NULL;
}

/* Takes what source i has; what to do with a line is the caller's. */
static void drain(struct logs *l, size_t i, int64_t wait_ms, bool hold)
{
	struct source *s = &l->sources[i];
	struct err err = {0};
	struct tail_line line;
	struct reply r;
	int got;

	while (!s->ended && (got = client_next(s->c, wait_ms, &r, &err)) != 0) {
		if (got > 0 && r.kind == REPLY_ITEM && tail_read(r.value, r.value_len, &line)) {
			if (hold)
				hold_line(l, i, &line);
			else
				print_line(l, s, line.at, line.text, line.len);
			continue;
		}
		if (got > 0 && r.kind == REPLY_ERROR)
			err = r.error;
		s->ended = got < 0 || r.kind == REPLY_END || r.kind == REPLY_ERROR;
		if (err.code)
			lost(l, s->label, NULL, &err);
		err.code = 0;
	}
}

/* Everything that is there now, in order. A follower that is quiet for so long has shown its past. */
#define PAST_MS 100

static void show_past(struct logs *l, bool follow)
{
	mono_ms until = clock_mono() + (l->cli->timeout_ms ? l->cli->timeout_ms : CLIENT_TIMEOUT_MS);

	for (size_t i = 0; i < l->n; i++) {
		drain(l, i, follow ? PAST_MS : MAX(until - clock_mono(), (int64_t)0), true);
		if (!follow && !l->sources[i].ended) {
			struct err err = {.code = ERR_TIMEOUT, .text = "did not answer in time"};

			lost(l, l->sources[i].label, NULL, &err);
		}
	}
	print_held(l);
}

/* Until every source has ended, or Ctrl-C. */
static void follow_all(struct logs *l)
{
	struct pollfd fds[SOURCES_MAX];

	for (;;) {
		nfds_t n = 0;

		for (size_t i = 0; i < l->n; i++)
			if (!l->sources[i].ended)
				fds[n++] = (struct pollfd){.fd = client_fd(l->sources[i].c), .events = POLLIN};
		if (!n || (poll(fds, n, -1) < 0 && n == 0))
			return;
		for (size_t i = 0; i < l->n; i++)
			drain(l, i, 0, true);
		print_held(l);
		if (ferror(l->cli->out))
			return;
	}
}

static int open_all(struct logs *l, const struct address *a, struct err *err)
{
	struct client *c = client_open(l->cli, err);
	struct peers *peers = c ? peers_get(c, err) : NULL;
	json_t *rows = NULL;
	size_t tasks = 0;
	struct wr args;
	size_t i;
	const json_t *row;

	if (peers) {
		list_args(&args, a->stack, false);
		rows = client_list(c, "ps", &args, false, err);
		wr_free(&args);
	}
	json_array_foreach (rows, i, row) {
		if (!wanted(row, a))
			continue;
		tasks++;
		if (l->n < SOURCES_MAX)
			open_source(l, peers, c, row);
	}
	if (tasks > SOURCES_MAX)
		cli_warn(l->cli, "%zu tasks; showing %d of them, name a slot for others", tasks, SOURCES_MAX);
	peers_free(peers);
	client_close(c);
	json_decref(rows);
	if (!rows)
		return -1;
	return tasks ? 0
	             : err_set(err, ERR_FAILED, "%s/%s has no task; see starling ps %s", a->stack, a->service,
	                       a->stack);
}

/* "10m": so long ago; or a time in UTC, with milliseconds or without. */
static int read_since(const struct cli *cli, wall_ms *out, struct err *err)
{
	const char *text = cli_text(cli, "since");
	size_t len = text ? strlen(text) : 0;
	char full[25];
	int64_t ms;

	*out = 0;
	if (!text)
		return 0;
	if (text_duration(text, &ms) && ms > 0) {
		*out = MAX(clock_wall() - ms, (wall_ms)1);
		return 0;
	}
	if (len == strlen("2026-11-22T16:50:31Z") && text[len - 1] == 'Z') {
		snprintf(full, sizeof(full), "%.19s.000Z", text);
		text = full;
	}
	if (text_time_parse(text, out))
		return 0;
	return err_set(err, ERR_USAGE, "--since %.80s: a duration such as 10m or 1h30m, or a time such as %s",
	        cli_text(cli, "since"), "2026-11-22T16:50:31Z");
}

int cmd_logs(struct cli *cli)
{
	struct logs *l = xcalloc(1, sizeof(*l));
	struct err err = {0};
	struct address a;
	int code = 0;

	l->cli = cli;
	wr_init(&l->text, MERGE_BYTES_MAX);
	if (address_parse(&a, cli->args[0], ADDRESS_SERVICE, &err) < 0 || read_since(cli, &l->since, &err) < 0 ||
	        open_all(l, &a, &err) < 0) {
		code = cli_fail(cli, &err);
	} else {
		show_past(l, cli_flag(cli, "follow"));
		if (cli_flag(cli, "follow"))
			follow_all(l);
		code = l->unauthorised ? ERR_UNAUTHORISED : l->unreachable ? ERR_PARTIAL : 0;
	}
	for (size_t i = 0; i < l->n; i++)
		client_close(l->sources[i].c);
	wr_free(&l->text);
	free(l->lines);
	free(l);
	return code;
}
