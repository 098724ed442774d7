#include "cli/wait.h"

#include "base/hash.h"
#include "base/text.h"
#include "cli/interrupt.h"
#include "cli/list.h"
#include "cli/slots.h"
#include "cli/why.h"

/* Milliseconds without progress after which slots that fit nowhere, or tasks that gave up, end the waiting: long
 * enough for a new peer's facts to arrive and for a slot's next candidate to act. */
#define STALL_MS SECONDS(5)
/* Milliseconds without progress after which slots that fit nowhere whatever happens end it: a first look at facts
 * that the agent has anyway. */
#define FINAL_MS SECONDS(1)
/* The same where the author lacks a power, which is true at once: only a deployment on its way is left alone. */
#define POWER_MS 300
/* How often progress is looked at when nothing is told; bounds how late Ctrl-C is noticed. */
#define STEP_MS 200
/* A task without a check counts as healthy once it runs; one that fails at once (no such module, no such file) would
 * slip through if nobody looked again so many milliseconds later. */
#define SECOND_LOOK_MS 100
struct wait {
	struct cli *cli;
	struct client *c;
	const char *stack;
	const struct spec *spec;
	char revision[17];
	json_t *rows;
	struct arena arena; /* of one look at the rows */
	struct slots slots;
	mono_ms started, until, progressed;
	mono_ms fit_at;  /* when to ask next whether slots fit anywhere */
	mono_ms done_at; /* since when everything is settled; 0: it is not */
	uint64_t fingerprint;
	uint32_t settled; /* most slots that were settled at once: more is progress, to and fro is not */
	bool told;        /* what holds it up was shown once */
	bool drawn;       /* at least once */
	bool in_place;    /* on a terminal: the lines above are ours to draw over */
	struct drawn {
		uint32_t desired, running, settled;
	} * shown; /* of each service, as last drawn */
};

static int wait_begin(struct wait *w, struct cli *cli, const char *stack, struct err *err)
{
	struct wr args;
	int ret;

	*w = (struct wait){.cli = cli, .stack = stack, .started = cli->started};
	w->until = w->started + (cli->timeout_ms ? cli->timeout_ms : WAIT_TIMEOUT_MS);
	w->progressed = clock_mono();
	w->fit_at = w->progressed + POWER_MS;
	w->rows = json_array();
	arena_init(&w->arena);
	interrupt_catch();
	w->c = client_open(cli, err);
	if (!w->c)
		return -1;
	list_args(&args, stack, true);
	ret = client_request(w->c, "ps", &args, false, err);
	wr_free(&args);
	return ret;
}

static void wait_end(struct wait *w)
{
	client_close(w->c);
	json_decref(w->rows);
	arena_free(&w->arena);
	free(w->shown);
}

/* --- progress --- */

/* On a terminal all lines again, in place; else a line for each service that changed. */
static void draw(struct wait *w)
{
	FILE *out = w->cli->errors;
	bool tty = w->cli->errors_tty;

	if (w->cli->quiet)
		return;
	if (tty && w->in_place)
		fprintf(out, "\033[%zuA", w->slots.n);
	for (size_t i = 0; i < w->slots.n; i++) {
		const struct slots_service *s = &w->slots.services[i];
		struct drawn now = {s->desired, s->running, s->settled};

		if (!tty && w->drawn && memcmp(&now, &w->shown[i], sizeof(now)) == 0)
			continue;
		w->shown[i] = now;
		fprintf(out, "%s%s/%s: %u/%u running, %u/%u healthy, %.1f s\n", tty ? "\033[2K" : "", w->stack,
		        s->service->name, s->running, s->desired, s->settled, s->desired,
		        (double)(clock_mono() - w->started) / 1000);
	}
	w->drawn = true;
	w->in_place = tty;
	fflush(out);
}

/* --- the verdict --- */

static void explain(struct wait *w)
{
	w->in_place = false; /* the next progress stands below what follows */
	why_lagging(w->cli, w->stack, w->revision, w->rows);
}

/* A newer revision makes waiting for this one pointless. */
static bool superseded(struct wait *w, char other[17])
{
	struct err err = {0};
	struct client *c = client_open(w->cli, &err);
	json_t *rows = c ? client_list(c, "stacks", NULL, false, &err) : NULL;
	const char *revision = NULL;
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "stack"));

		if (name && strcmp(name, w->stack) == 0)
			revision = json_string_value(json_object_get(row, "revision"));
	}
	text_copy(other, 17, revision ? revision : "removal");
	client_close(c);
	json_decref(rows);
	return rows && strcmp(other, w->revision) != 0;
}

static int say_unplaceable(struct wait *w)
{
	uint32_t n = w->slots.unplaced;

	fprintf(w->cli->errors, "starling %s: %u slot%s of stack %s %s no peer:\n", w->cli->verb->name, n,
	        n == 1 ? "" : "s", w->stack, n == 1 ? "has" : "have");
	explain(w);
	return ERR_UNPLACEABLE;
}

/* Is there a slot that no peer will ever take? 0 no, else the exit code. */
static int misfit(struct wait *w, mono_ms now)
{
	enum slots_fit fit;

	if (!w->slots.unplaced || now < w->fit_at)
		return 0;
	w->fit_at = now + FINAL_MS;
	fit = why_fit(w->cli, w->stack, w->revision, w->rows);
	if (fit == FIT_WITHOUT_POWER || (fit == FIT_NOWHERE && now - w->progressed >= FINAL_MS))
		return say_unplaceable(w);
	return 0;
}

/* Nothing moved for STALL_MS: is there a cause that waiting will not cure? 0 no, else the exit code. */
static int stalled(struct wait *w)
{
	char other[17];

	if (superseded(w, other)) {
		fprintf(w->cli->errors, "starling %s: revision %s of stack %s was superseded by %s\n",
		        w->cli->verb->name, w->revision, w->stack, other);
		return ERR_FAILED;
	}
	for (size_t i = 0; i < w->slots.n; i++) {
		const struct slots_service *s = &w->slots.services[i];

		if (s->service->mode == MODE_GLOBAL && !s->desired) {
			fprintf(w->cli->errors, "starling %s: %s/%s: no peer may run it; see its constraints\n",
			        w->cli->verb->name, w->stack, s->service->name);
			return ERR_UNPLACEABLE;
		}
	}
	if (w->slots.unplaced && why_fit(w->cli, w->stack, w->revision, w->rows) != FIT_SOMEWHERE)
		return say_unplaceable(w);
	if (!w->slots.failed) {
		/* Perhaps it waits for another service, or for a peer to start it: say so once, and go on. */
		if (w->slots.seen && !w->told && !w->cli->quiet) {
			fprintf(w->cli->errors, "still trying:\n");
			explain(w);
		}
		w->told = true;
		return 0;
	}
	fprintf(w->cli->errors, "starling %s: %u task%s of stack %s gave up:\n", w->cli->verb->name,
	        w->slots.failed, w->slots.failed == 1 ? "" : "s", w->stack);
	explain(w);
	return ERR_FAILED;
}

static int give_up(struct wait *w)
{
	fprintf(w->cli->errors, "starling %s: stack %s is not there after %lld s; the flock goes on trying:\n",
	        w->cli->verb->name, w->stack, (long long)(clock_mono() - w->started) / 1000);
	explain(w);
	return ERR_TIMEOUT;
}

static int say_interrupted(struct wait *w)
{
	fprintf(w->cli->errors, "\nno longer waiting; the flock goes on. See starling ps %s\n", w->stack);
	return EXIT_INTERRUPTED;
}

/* Takes a new list into account. */
static void look(struct wait *w, mono_ms now)
{
	uint32_t settled = 0;

	arena_free(&w->arena);
	slots_count(&w->slots, w->spec, w->revision, w->rows, &w->arena);
	for (size_t i = 0; i < w->slots.n; i++)
		settled += w->slots.services[i].settled;
	if (settled > w->settled) {
		w->settled = settled;
		w->progressed = now;
	}
	if (w->slots.fingerprint != w->fingerprint || !w->drawn) {
		w->fingerprint = w->slots.fingerprint;
		draw(w);
	}
	if (!w->slots.done)
		w->done_at = 0;
	else if (!w->done_at)
		w->done_at = now;
}

/* Milliseconds for which everything must stay settled. */
static int64_t second_look(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_services; i++)
		if (spec->services[i].check.kind == CHECK_NONE)
			return SECOND_LOOK_MS;
	return 0;
}

static int wait_loop(struct wait *w)
{
	int64_t look_again = second_look(w->spec);

	for (;;) {
		struct err err = {0};
		int got = list_next(w->c, &w->rows, w->done_at ? look_again : STEP_MS, &err);
		mono_ms now = clock_mono();
		int code;

		if (interrupted())
			return say_interrupted(w);
		if (got < 0) {
			err_wrap(&err, "no longer waiting; the flock goes on");
			return cli_fail(w->cli, &err);
		}
		if (got > 0)
			look(w, now);
		if (w->done_at && now - w->done_at >= look_again)
			return 0;
		if (now >= w->until)
			return give_up(w);
		code = misfit(w, now);
		if (code)
			return code;
		if (now - w->progressed >= STALL_MS && !w->done_at) {
			w->progressed = now;
			code = stalled(w);
			if (code)
				return code;
		}
	}
}

int wait_deployed(struct cli *cli, const char *stack, const struct spec *spec, const struct key32 *revision)
{
	struct err err = {0};
	struct wait w;
	int code;

	if (wait_begin(&w, cli, stack, &err) < 0) {
		wait_end(&w);
		return cli_fail(cli, &err);
	}
	w.spec = spec;
	w.shown = xcalloc(spec->n_services, sizeof(*w.shown));
	id64_text(w.revision, key32_id(revision));
	code = wait_loop(&w);
	if (code == 0)
		cli_say(cli, "stack %s runs revision %s after %.2f s", stack, w.revision,
		        (double)(w.done_at - w.started) / 1000);
	wait_end(&w);
	return code;
}

/* Rows of a peer go when it has stopped its tasks, and when it is lost: then they may run on. Names of those of seen
 * (id -> name) that are lost, as "p1, p2"; empty: none. */
static void lost_peers(struct wait *w, const json_t *seen, char *out, size_t cap)
{
	struct err err = {0};
	struct client *c = client_open(w->cli, &err);
	json_t *rows = c ? client_list(c, "members", NULL, false, &err) : NULL;
	size_t len = 0;
	size_t i;
	const json_t *row;

	out[0] = '\0';
	json_array_foreach (rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "id"));
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *state = json_string_value(json_object_get(row, "state"));

		if (id && name && state && json_object_get(seen, id) && len < cap &&
		        (strcmp(state, "suspect") == 0 || strcmp(state, "dead") == 0))
			len += (size_t)snprintf(out + len, cap - len, "%s%s", len ? ", " : "", name);
	}
	json_decref(rows);
	client_close(c);
}

static void note_peers(json_t *seen, const json_t *rows)
{
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "peer"));

		if (id)
			json_object_set_new(seen, id, json_true());
	}
}

/* No rows are left: 0, or ERR_PARTIAL when that is because peers were lost, before or meanwhile. Who was lost before
 * has no rows, so nobody is named twice. */
static int say_removed(struct wait *w, const json_t *seen, const char *before)
{
	char lost[1024];
	size_t len = (size_t)snprintf(lost, sizeof(lost), "%.500s%s", before, *before ? ", " : "");

	lost_peers(w, seen, lost + len, sizeof(lost) - len);
	if (*before && !lost[len])
		lost[len - 2] = '\0';
	if (!*lost) {
		cli_say(w->cli, "stack %s is gone after %.2f s", w->stack,
		        (double)(clock_mono() - w->started) / 1000);
		return 0;
	}
	fprintf(w->cli->errors,
	        "starling %s: stack %s is removed; %s could not be reached and stops its tasks when it is back\n",
	        w->cli->verb->name, w->stack, lost);
	return ERR_PARTIAL;
}

static int removed_loop(struct wait *w, json_t *seen, const char *lost)
{
	size_t left = SIZE_MAX;

	for (;;) {
		struct err err = {0};
		int got = list_next(w->c, &w->rows, STEP_MS, &err);

		if (interrupted())
			return say_interrupted(w);
		if (got < 0) {
			err_wrap(&err, "no longer waiting; the flock goes on");
			return cli_fail(w->cli, &err);
		}
		if (got > 0)
			note_peers(seen, w->rows);
		if (got > 0 && json_array_size(w->rows) != left) {
			left = json_array_size(w->rows);
			if (!left)
				return say_removed(w, seen, lost);
			cli_say(w->cli, "stack %s: %zu task%s left, %.1f s", w->stack, left, left == 1 ? "" : "s",
			        (double)(clock_mono() - w->started) / 1000);
		}
		if (clock_mono() >= w->until) {
			fprintf(w->cli->errors,
			        "starling %s: %zu task%s of stack %s still run; see starling ps %s\n",
			        w->cli->verb->name, left, left == 1 ? "" : "s", w->stack, w->stack);
			return ERR_TIMEOUT;
		}
	}
}

int wait_removed(struct cli *cli, const char *stack, const char *lost)
{
	struct err err = {0};
	struct wait w;
	json_t *seen;
	int code;

	if (wait_begin(&w, cli, stack, &err) < 0) {
		wait_end(&w);
		return cli_fail(cli, &err);
	}
	seen = json_object();
	code = removed_loop(&w, seen, lost);
	json_decref(seen);
	wait_end(&w);
	return code;
}
