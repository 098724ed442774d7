#include "cli/drain.h"

#include "base/text.h"
#include "cli/interrupt.h"
#include "cli/list.h"
#include "placement/place.h"

/* How long a drain is waited for unless --timeout says otherwise: each task has to start elsewhere, turn healthy, and
 * leave DNS here. */
#define DRAIN_TIMEOUT_MS MINUTES(10)
/* Milliseconds without a change after which tasks that fit nowhere end the waiting, when no other is left: room that
 * another task's move makes is seen long before. */
#define DRAIN_STALL_MS SECONDS(10)
/* A reason that holds for so many milliseconds is told: what passes by itself need not alarm anybody. */
#define DRAIN_TELL_MS SECONDS(2)
/* How often to look when nothing is told; bounds how late Ctrl-C is noticed. */
#define STEP_MS 200

struct drain {
	struct cli *cli;
	const char *id, *name;
	json_t *rows; /* as the agent listed them last: the peer, then its tasks */
	json_t *told; /* task -> the reason that was printed */
	mono_ms until, changed, since;
	unsigned handed;
	bool draining; /* the agent has taken note */
	bool begun;
};

static const char *text_of(const json_t *row, const char *field)
{
	return json_string_value(json_object_get(row, field));
}

static bool phase_is(const json_t *row, const char *phase)
{
	const char *has = text_of(row, "phase");

	return has && strcmp(has, phase) == 0;
}

static void slot_text(char *out, size_t cap, const json_t *row)
{
	if (text_of(row, "stack"))
		snprintf(out, cap, "%s/%s/%lld", text_of(row, "stack"), text_of(row, "service"),
		        (long long)json_integer_value(json_object_get(row, "slot")));
	else
		snprintf(out, cap, "task %s", text_of(row, "task"));
}

static const json_t *row_of_task(const json_t *rows, const char *task)
{
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row)
		if (text_of(row, "task") && strcmp(text_of(row, "task"), task) == 0)
			return row;
	return NULL;
}

static void say_gone(struct drain *d, const json_t *row)
{
	const char *to = text_of(row, "to");
	char slot[256];

	slot_text(slot, sizeof(slot), row);
	if (to && (phase_is(row, "serving") || phase_is(row, "starting"))) {
		d->handed++;
		cli_say(d->cli, "%s: handed over from %s to %s, %.1f s", slot, d->name, to,
		        (double)(clock_mono() - d->since) / 1000);
	} else if (phase_is(row, "stopping")) {
		cli_say(d->cli, "%s: stopped on %s", slot, d->name);
	} else {
		cli_say(d->cli, "%s: no longer on %s", slot, d->name);
	}
}

/* What can be done about a reason, for somebody who sees it for the first time. */
static const char *advice(json_int_t number)
{
	switch (number) {
	case REASON_ROOM:
	case REASON_CAPACITY:
		return "let a host with room join, or lower `deploy.resources.reservations`";
	case REASON_CONSTRAINT:
		return "label another peer (`starling node label`), or change the constraints";
	case REASON_PORT:
		return "free that port on another peer, or publish without a fixed host port";
	case REASON_PER_NODE:
		return "let a host join, or raise max_replicas_per_node";
	case REASON_VOLUME:
		return "its data lives here: move it by hand, or let it stay";
	case REASON_DEVICE:
	case REASON_DEVICE_BUSY:
		return "free or add that device on another peer (`starling agent --resource`)";
	case REASON_DRAINING:
		return "`starling node resume` another peer, or let a host join";
	case REASON_NOT_ALIVE:
	case REASON_NO_FACTS:
	case REASON_NOT_READY:
		return "no other peer is there to take it";
	case REASON_REFUSED:
		return "see `starling explain` for what the other peers lack";
	case REASON_VOTERS:
		return "name the voters with `starling voters set`";
	default:
		return NULL;
	}
}

static void print_kept(const struct drain *d, const json_t *row)
{
	json_int_t number = json_integer_value(json_object_get(row, "number"));
	const char *help = advice(number);
	char slot[256];

	slot_text(slot, sizeof(slot), row);
	fprintf(d->cli->errors, "%s: stays on %s: %s (%lld)%s%s\n", slot, d->name,
	        /* Of all others, since of this one it goes without saying. */
	        number == REASON_DRAINING ? "every other peer drains too, or is gone"
	        : number == REASON_VOLUME ? "it has a volume"
	                                  : text_of(row, "reason"),
	        (long long)number, help ? "; " : "", help ? help : "");
}

static void tell_kept(struct drain *d)
{
	size_t i;
	const json_t *row;

	json_array_foreach (d->rows, i, row) {
		const char *task = text_of(row, "task");
		const char *told = task ? json_string_value(json_object_get(d->told, task)) : NULL;

		if (!task || !phase_is(row, "stays") || (told && strcmp(told, text_of(row, "reason")) == 0))
			continue;
		json_object_set(d->told, task, json_object_get(row, "reason"));
		if (!d->cli->quiet)
			print_kept(d, row);
	}
}

struct left {
	unsigned all, stays;
};

static struct left count_left(const json_t *rows)
{
	struct left n = {0};
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		if (!text_of(row, "task"))
			continue;
		n.all++;
		n.stays += phase_is(row, "stays");
	}
	return n;
}

static void look(struct drain *d, const json_t *before, mono_ms now)
{
	struct left left = count_left(d->rows);
	size_t i;
	const json_t *row;

	d->draining = d->draining || json_is_true(json_object_get(json_array_get(d->rows, 0), "draining"));
	if (!d->draining)
		return;
	/* What went before the drain took effect is none of its business. */
	if (!d->begun) {
		d->begun = true;
		before = NULL;
		cli_say(d->cli, "%s drains: %u task%s to hand over", d->name, left.all, left.all == 1 ? "" : "s");
	}
	json_array_foreach (before, i, row)
		if (text_of(row, "task") && !row_of_task(d->rows, text_of(row, "task")))
			say_gone(d, row);
	d->changed = now;
}

static int say_drained(const struct drain *d)
{
	const char *state = text_of(json_array_get(d->rows, 0), "state");

	if (state && (strcmp(state, "dead") == 0 || strcmp(state, "left") == 0))
		cli_say(d->cli,
		        "%s is %s: others start what it ran by themselves, and it gets nothing more until `starling node "
		        "resume %s`",
		        d->name, state, d->name);
	else
		cli_say(d->cli, "%s is drained: %u task%s handed over", d->name, d->handed,
		        d->handed == 1 ? "" : "s");
	return 0;
}

static int say_left(const struct drain *d, struct left left, int code)
{
	size_t i;
	const json_t *row;

	fprintf(d->cli->errors,
	        code == ERR_UNPLACEABLE
	                ? "starling node drain: %u task%s of %s fit%s on no other peer and keep%s running:\n"
	                : "starling node drain: %u task%s still run%s on %s; the drain goes on:\n",
	        left.all, left.all == 1 ? "" : "s",
	        code == ERR_UNPLACEABLE ? d->name
	        : left.all == 1         ? "s"
	                                : "",
	        code == ERR_UNPLACEABLE ? (left.all == 1 ? "s" : "") : d->name, left.all == 1 ? "s" : "");
	json_array_foreach (d->rows, i, row) {
		char slot[256];

		if (!text_of(row, "task"))
			continue;
		if (phase_is(row, "stays")) {
			fputs("  ", d->cli->errors);
			print_kept(d, row);
			continue;
		}
		slot_text(slot, sizeof(slot), row);
		fprintf(d->cli->errors, "  %s: %s%s%s\n", slot, text_of(row, "phase"),
		        text_of(row, "to") ? ", to " : "", text_of(row, "to") ? text_of(row, "to") : "");
	}
	return code;
}

static int drain_loop(struct drain *d, struct client *c)
{
	for (;;) {
		json_t *before = json_incref(d->rows);
		struct err err = {0};
		int got = list_next(c, &d->rows, STEP_MS, &err);
		mono_ms now = clock_mono();
		struct left left;

		if (got > 0)
			look(d, before, now);
		json_decref(before);
		left = count_left(d->rows);
		if (interrupted()) {
			fprintf(d->cli->errors,
			        "\nno longer waiting; the drain goes on. `starling node ls` shows it, `starling node resume %s` "
			        "ends it\n",
			        d->name);
			return EXIT_INTERRUPTED;
		}
		if (got < 0) {
			err_wrap(&err, "no longer waiting; the drain goes on");
			return cli_fail(d->cli, &err);
		}
		if (d->draining && !left.all)
			return say_drained(d);
		if (now - d->changed >= DRAIN_TELL_MS)
			tell_kept(d);
		if (d->draining && left.stays == left.all && now - d->changed >= DRAIN_STALL_MS)
			return say_left(d, left, ERR_UNPLACEABLE);
		if (now >= d->until)
			return say_left(
			        d, left, left.all && left.stays == left.all ? ERR_UNPLACEABLE : ERR_TIMEOUT);
	}
}

int drain_wait(struct cli *cli, const char *id, const char *name)
{
	struct drain d = {.cli = cli, .id = id, .name = name, .since = clock_mono()};
	struct err err = {0};
	struct client *c;
	struct wr args;
	int rc;

	d.changed = d.since;
	d.until = d.since + (cli->timeout_ms ? cli->timeout_ms : DRAIN_TIMEOUT_MS);
	interrupt_catch();
	c = client_open(cli, &err);
	wr_init(&args, 128);
	pk_map(&args, 2);
	pk_kv_str(&args, "peer", id);
	pk_kv_bool(&args, "watch", true);
	rc = c ? client_request(c, "drain", &args, false, &err) : -1;
	wr_free(&args);
	if (rc < 0) {
		client_close(c);
		return cli_fail(cli, &err);
	}
	d.rows = json_array();
	d.told = json_object();
	rc = drain_loop(&d, c);
	json_decref(d.rows);
	json_decref(d.told);
	client_close(c);
	return rc;
}
