#include "cli/submit.h"

#include "base/text.h"

/* Beyond the wait for copies, the agent's answer takes this long at most, ms. */
#define ANSWER_MS 5000

static int64_t wait_ms(const struct cli *cli)
{
	return cli->timeout_ms ? cli->timeout_ms : CLIENT_TIMEOUT_MS;
}

/* "NAME WHY", after a comma if something stands there; what does not fit is left out. */
static void add_missing(struct submitted *out, const char *name, const char *why)
{
	size_t at = strlen(out->missing);

	snprintf(out->missing + at, sizeof(out->missing) - at, "%s%s %s", at ? ", " : "", name, why);
}

static void read_missing(struct rd *r, struct submitted *out)
{
	char name[NAME_MAX_BYTES + 20], why[64];
	uint32_t n = up_map(r);

	*name = *why = '\0';
	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t len;
		const char *key = up_str(r, &len);

		if (up_is(key, len, "name"))
			up_str_copy(r, name, sizeof(name));
		else if (up_is(key, len, "why"))
			up_str_copy(r, why, sizeof(why));
		else
			up_skip(r);
	}
	if (rd_ok(r))
		add_missing(out, name, why);
}

static int read_answer(const struct wr *bytes, struct submitted *out, struct err *err)
{
	uint64_t more = 0;
	struct rd r;
	uint32_t n, rows;

	rd_init(&r, bytes->p, bytes->len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t len;
		const char *key = up_str(&r, &len);

		if (up_is(key, len, "id")) {
			up_bin_copy(&r, out->id.b, sizeof(out->id.b));
		} else if (up_is(key, len, "copies")) {
			out->copies = (unsigned)up_u64(&r);
		} else if (up_is(key, len, "wanted")) {
			out->wanted = (unsigned)up_u64(&r);
		} else if (up_is(key, len, "missing")) {
			rows = up_array(&r);
			for (uint32_t k = 0; k < rows && rd_ok(&r); k++)
				read_missing(&r, out);
		} else if (up_is(key, len, "more")) {
			more = up_u64(&r);
		} else {
			up_skip(&r);
		}
	}
	if (rd_end(&r, err) < 0)
		return -1;
	if (more) {
		char text[32];

		snprintf(text, sizeof(text), "%llu more", (unsigned long long)more);
		add_missing(out, "and", text);
	}
	return 0;
}

static int say(const struct cli *cli, const char *what, const struct submitted *s, struct err *err)
{
	const char *names = *s->missing ? s->missing : "no other peer is known";

	if (cli->durable && s->copies < s->wanted) {
		return err_set(err, ERR_TIMEOUT,
		        "%saccepted, but durable on %u/%u peers only after %g s: %s; the others get it when they can",
		        what, s->copies, s->wanted, (double)wait_ms(cli) / 1000, names);
	}
	cli_say(cli, "%sdurable on %u/%u peers", what, s->copies, s->wanted);
	if (s->copies < s->wanted)
		cli_warn(cli,
		        "durable on %u/%u peers only: %s; it is lost if %s, the others get it when they can",
		        s->copies, s->wanted, names, s->copies == 1 ? "that one's disk is" : "those disks are");
	return 0;
}

static int call(const struct cli *cli, struct client *c, const char *name, const void *bytes, size_t bytes_len,
        const char *what, struct submitted *out, struct err *err)
{
	struct wr args, end;
	int rc;

	memset(out, 0, sizeof(*out));
	wr_init(&args, RECORD_BYTES_MAX + 128);
	wr_init(&end, CONTROL_MESSAGE_MAX);
	pk_map(&args, cli->durable ? 4 : 2);
	pk_kv_bin(&args, name, bytes, bytes_len);
	pk_kv_bool(&args, "force_clock", cli->force_clock);
	if (cli->durable) {
		pk_kv_u64(&args, "copies", cli->durable);
		pk_kv_u64(&args, "wait", (uint64_t)wait_ms(cli));
	}
	rc = client_call(
	        c, "submit", &args, false, NULL, NULL, &end, cli->durable ? wait_ms(cli) + ANSWER_MS : 0, err);
	if (rc == 0 && read_answer(&end, out, err) < 0)
		rc = err_wrap(err, "the agent's answer");
	if (rc == 0)
		rc = say(cli, what, out, err);
	wr_free(&args);
	wr_free(&end);
	return rc;
}

int submit_record(const struct cli *cli, struct client *c, const struct wr *record, const char *what,
        struct submitted *out, struct err *err)
{
	return call(cli, c, "record", record->p, record->len, what, out, err);
}

int submit_again(const struct cli *cli, struct client *c, const struct key32 *id, const char *what,
        struct submitted *out, struct err *err)
{
	return call(cli, c, "again", id->b, sizeof(id->b), what, out, err);
}
