#include "cli/revision.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/store/record.h"
#include "gossip/trust/trust.h"

/* --- what the agent says of a stack --- */

static void read_key(struct rd *r, struct key32 *out)
{
	if (up_peek(r) == UP_NIL)
		up_nil(r);
	else
		up_bin_copy(r, out->b, sizeof(out->b));
}

static size_t read_keys(struct rd *r, struct key32 out[RECORD_REFS_MAX])
{
	uint32_t n = up_array(r);

	if (n > RECORD_REFS_MAX)
		rd_fail(r, "too many heads");
	for (uint32_t i = 0; i < n && rd_ok(r); i++)
		up_bin_copy(r, out[i].b, sizeof(out[i].b));
	return rd_ok(r) ? n : 0;
}

static void read_names(struct rd *r, char *out, size_t cap)
{
	uint32_t n = up_array(r);
	size_t len = 0;

	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		char name[NAME_MAX_BYTES + 16];

		up_str_copy(r, name, sizeof(name));
		if (len < cap)
			len += (size_t)snprintf(out + len, cap - len, "%s%s", len ? ", " : "", name);
	}
}

int stack_head_take(struct stack_head *head, const char *stack, const struct key32 *flock, const uint8_t *bytes,
        size_t len, struct arena *arena, struct err *err)
{
	struct record rec;

	if (!bytes)
		return 0;
	bytes = arena_memdup(arena, bytes, len);
	if (record_decode(&rec, bytes, len, err) < 0)
		return err_wrap(err, "the agent's answer on stack %s", stack);
	if (rec.kind != REC_REVISION || strcmp(rec.name, stack) != 0 || !key32_eq(&rec.id, &head->asked) ||
	        !record_verify(&rec, flock))
		return err_set(err, ERR_UNAUTHORISED,
		        "the agent gave as stack %s what no key signed as that; do not trust it, and ask another peer",
		        stack);
	head->author = rec.author;
	if (!rec.body)
		return 0;
	if (spec_decode(&head->spec, arena, rec.body, rec.body_len, err) < 0)
		return err_wrap(err, "stack %s", stack);
	head->have_spec = true;
	return 0;
}

static int read_head(const struct wr *bytes, const char *stack, const struct key32 *flock, struct arena *arena,
        struct stack_head *h, struct err *err)
{
	const uint8_t *record = NULL;
	size_t record_len = 0;
	struct rd r;
	uint32_t n;

	rd_init(&r, bytes->p, bytes->len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t len;
		const char *key = up_str(&r, &len);

		if (up_is(key, len, "exists"))
			h->exists = up_bool(&r);
		else if (up_is(key, len, "removed"))
			h->removed = up_bool(&r);
		else if (up_is(key, len, "revision"))
			read_key(&r, &h->revision);
		else if (up_is(key, len, "author"))
			read_key(&r, &h->author);
		else if (up_is(key, len, "author_name"))
			up_str_copy(&r, h->author_name, sizeof(h->author_name));
		else if (up_is(key, len, "author_powers"))
			h->author_powers = (uint32_t)up_u64(&r);
		else if (up_is(key, len, "stamp"))
			h->stamp = up_u64(&r);
		else if (up_is(key, len, "heads"))
			h->n_heads = read_keys(&r, h->heads);
		else if (up_is(key, len, "author_heads"))
			h->n_author_heads = read_keys(&r, h->author_heads);
		else if (up_is(key, len, "spec_hash"))
			read_key(&r, &h->spec_hash);
		else if (up_is(key, len, "asked"))
			read_key(&r, &h->asked);
		else if (up_is(key, len, "lost"))
			read_names(&r, h->lost, sizeof(h->lost));
		else if (up_is(key, len, "counts"))
			h->counts = up_bool(&r);
		else if (up_is(key, len, "record") && up_peek(&r) == UP_BIN)
			record = up_bin(&r, &record_len);
		else
			up_skip(&r);
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "the agent's answer on stack %s", stack);
	return stack_head_take(h, stack, flock, record, record_len, arena, err);
}

/* Over --peer the agent's word on somebody's powers need not be taken: the flock's grants came with its chain. */
static void check_powers(const struct client *c, const char *stack, struct stack_head *h)
{
	const struct trust *t = client_trust(c);
	struct record rec = {.kind = REC_REVISION, .author = h->author, .id = h->asked};

	if (!t)
		return;
	text_copy(rec.name, sizeof(rec.name), stack);
	h->author_powers &= trust_powers_for(t, &rec);
}

static int ask(struct client *c, const char *stack, const char *revision, const struct key32 *author, bool sign,
        struct arena *arena, struct stack_head *out, struct err *err)
{
	struct wr args;
	struct wr end;
	int ret;

	memset(out, 0, sizeof(*out));
	wr_init(&args, 4096);
	pk_map(&args, 1 + 2 * !!author + !!revision);
	pk_kv_str(&args, "stack", stack);
	if (revision)
		pk_kv_str(&args, "revision", revision);
	if (author) {
		pk_kv_bin(&args, "author", author->b, sizeof(author->b));
		pk_kv_bool(&args, "force_clock", client_forces_clock(c));
	}
	wr_init(&end, CONTROL_MESSAGE_MAX);
	ret = client_call(c, "stack", &args, sign, NULL, NULL, &end, 0, err);
	if (ret == 0)
		ret = read_head(&end, stack, &client_hello(c)->flock, arena, out, err);
	if (ret == 0)
		check_powers(c, stack, out);
	wr_free(&end);
	wr_free(&args);
	return ret;
}

int stack_head_get(struct client *c, const char *stack, const struct key32 *author, struct arena *arena,
        struct stack_head *out, struct err *err)
{
	return ask(c, stack, NULL, author, true, arena, out, err);
}

int stack_revision_get(struct client *c, const char *stack, const char *revision, const struct key32 *author,
        struct arena *arena, struct stack_head *out, struct err *err)
{
	return ask(c, stack, revision, author, true, arena, out, err);
}

int author_heads_get(struct client *c, const struct key32 *author, struct arena *arena, struct stack_head *out,
        struct err *err)
{
	/* The answer on any stack has them; no stack is called "-". */
	return ask(c, "-", NULL, author, false, arena, out, err);
}

int stack_head_may_resign(
        const struct stack_head *head, const char *stack, const struct key32 *author, struct err *err)
{
	if (!head->have_spec || key32_eq(author, &head->author))
		return 0;
	for (size_t i = 0; i < head->spec.n_services; i++) {
		const struct service *s = &head->spec.services[i];
		uint32_t lacks = service_powers(s) & ~head->author_powers;
		char id[17];

		if (!lacks)
			continue;
		id64_text(id, key32_id(&head->author));
		return err_set(err, ERR_UNAUTHORISED,
		        "stack %s: service %s asks for the power %s, which its author %s (key %s) does not have; "
		        "signing it again would lend it yours. Read it with `starling inspect %s`, and deploy its file "
		        "if that is what you want",
		        stack, s->name, trust_power_name(lacks & -lacks),
		        *head->author_name ? head->author_name : "without a grant", id, stack);
	}
	return 0;
}

/* --- the next revision --- */

void revision_set_born(struct spec *spec, const struct stack_head *head)
{
	for (size_t i = 0; i < spec->n_services; i++) {
		const struct service *old = head->have_spec && !head->removed
		                                    ? spec_service(&head->spec, spec->services[i].name)
		                                    : NULL;

		spec->services[i].born = old && old->born ? old->born : head->stamp;
	}
}

/* Equal bytes, and equal in what they may: powers are those of the author, so a service that needs one may run only
 * once another key signs it. */
static bool says_the_same(
        const struct stack_head *head, const struct spec *spec, const struct wr *body, const struct key32 *author)
{
	struct key32 hash;

	hash32(&hash, body->p, body->len);
	for (size_t i = 0; i < spec->n_services; i++)
		if (service_powers(&spec->services[i]) && !key32_eq(author, &head->author))
			return false;
	return head->exists && !head->removed && head->n_heads == 1 && key32_eq(&hash, &head->spec_hash);
}

/* Encodes and hands over; says how durable it is. */
static int submit(struct cli *cli, struct client *c, const char *stack, const struct record *rec,
        struct submitted *out, struct err *err)
{
	char id[17], what[RECORD_NAME_MAX + 64];
	struct wr bytes;
	int ret;

	id64_text(id, key32_id(&rec->id));
	snprintf(what, sizeof(what), "stack %s: revision %s, ", stack, id);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, rec);
	ret = submit_record(cli, c, &bytes, what, out, err);
	wr_free(&bytes);
	return ret;
}

/* Nothing to write; but --durable may still ask on how many disks it is. */
static int leave_unchanged(struct cli *cli, struct client *c, const char *stack, const struct stack_head *head,
        struct submitted *out, struct err *err)
{
	char id[17], what[RECORD_NAME_MAX + 64];
	int ret = 0;

	id64_text(id, key32_id(&head->revision));
	snprintf(what, sizeof(what), "stack %s: nothing changed since revision %s, ", stack, id);
	if (cli->durable)
		ret = submit_again(cli, c, &head->revision, what, out, err);
	else
		cli_say(cli, "stack %s: nothing changed since revision %s", stack, id);
	out->id = head->revision;
	out->unchanged = true;
	return ret;
}

int revision_submit(struct cli *cli, struct client *c, const struct keypair *key, const char *stack,
        struct spec *spec, const struct stack_head *head, struct submitted *out, struct err *err)
{
	struct record rec = {
	        .kind = REC_REVISION,
	        .flags = spec ? 0 : RECORD_FLAG_REMOVAL,
	        .stamp = head->stamp,
	        .n_parents = (uint8_t)head->n_heads,
	        .parents = head->heads,
	        .n_prev = (uint8_t)head->n_author_heads,
	        .prev = head->author_heads,
	};
	struct wr body;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	text_copy(rec.name, sizeof(rec.name), stack);
	wr_init(&body, BODY_BYTES_MAX);
	if (spec) {
		revision_set_born(spec, head);
		spec_encode(&body, spec);
		rec.body = body.p;
		rec.body_len = (uint32_t)body.len;
	}
	if (!wr_ok(&body)) {
		ret = err_set(err, ERR_USAGE, "stack %s: larger than %d bytes when packed; make two stacks of it",
		        stack, BODY_BYTES_MAX);
	} else if (spec && says_the_same(head, spec, &body, &key->public_key)) {
		ret = leave_unchanged(cli, c, stack, head, out, err);
	} else {
		if (head->n_heads - head->n_adopted > 1)
			cli_warn(cli, "stack %s had %zu concurrent revisions; this one replaces them all", stack,
			        head->n_heads - head->n_adopted);
		record_sign(&rec, &client_hello(c)->flock, key->secret);
		ret = submit(cli, c, stack, &rec, out, err);
	}
	wr_free(&body);
	return ret;
}
