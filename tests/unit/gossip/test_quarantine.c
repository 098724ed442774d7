/* What one peer may bring that does not count, and that eight bad signatures end its session. */
#include "gossip/core.h"
#include "tests/unit/gossip/flock.h"

#include "base/log.h"

#define STREAM (UINT64_C(1) << 63 | 1)

struct world {
	struct flock flock;
	struct actor self, other;
	struct gossip *g;
	struct now now;
	bool closed;
	unsigned kept; /* records that went to the disk */
};

static unsigned said;

static void count_warnings(enum log_level level, const char *area, const char *text)
{
	(void)area;
	(void)text;
	said += level == LOG_WARN;
}

static void carry_out(struct world *w)
{
	struct gossip_action a;

	while (gossip_next(w->g, &a)) {
		if (a.kind == GOSSIP_CLOSE && a.stream == STREAM)
			w->closed = true;
		if (a.kind == GOSSIP_PERSIST) {
			struct key32 id = a.id;

			w->kept++;
			gossip_on_disk(w->g, &id, true, w->now);
		}
	}
}

static void open_stream(struct world *w)
{
	w->closed = false;
	gossip_on_stream(w->g, STREAM, &w->other.key, true, w->now);
	carry_out(w);
}

static struct world world(void)
{
	struct world w = {.flock = flock_new(), .self = actor(PEER_A), .other = actor(PEER_A + 1)};
	struct gossip_config cfg = {.boot = 5, .plain = true, .flock = w.flock.id, .key = w.self.key};
	const struct actor *peers[] = {&w.self, &w.other};

	w.now = (struct now){.mono = 1000, .wall = 1700000000000};
	cfg.advertise = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, 1}};
	memcpy(cfg.secret, w.self.secret, sizeof(cfg.secret));
	w.g = gossip_new(&cfg);
	gossip_load(w.g, w.flock.genesis.w.p, w.flock.genesis.w.len, NULL);
	gossip_load(w.g, w.flock.grant.w.p, w.flock.grant.w.len, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct wr r = record_wr();
		struct admission a;

		trust_vouch_first(&a, &w.flock.id, &peers[i]->key, w.flock.admin.secret);
		trust_make_admission(&r, &w.flock.id, &a, 1 + i, peers[i]->secret);
		assert_int_equal(gossip_load(w.g, r.p, r.len, NULL), 0);
		wr_free(&r);
	}
	gossip_start(w.g, w.now);
	open_stream(&w);
	return w;
}

static void end(struct world *w)
{
	gossip_free(w->g);
	flock_free(&w->flock);
}

/* The peer sends a record, in as many frames as it takes. */
static void bring(struct world *w, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = MIN(len - at, (size_t)60000);
		struct wr f;

		wr_init(&f, 65536);
		wr_u8(&f, FRAME_RECORD);
		wr_u8(&f, 0);
		wr_u32(&f, (uint32_t)len);
		wr_u32(&f, (uint32_t)at);
		wr_bytes(&f, bytes + at, n);
		gossip_on_frame(w->g, STREAM, f.p, f.len, w->now);
		wr_free(&f);
		at += n;
	}
	carry_out(w);
}

static struct packed revision(const struct world *w, const struct actor *by, unsigned number, size_t size)
{
	struct record r = {.kind = REC_REVISION, .stamp = 100 + number};
	uint8_t *body = xcalloc(1, size);
	struct packed p;
	char stack[32];

	memcpy(body, &number, sizeof(number));
	snprintf(stack, sizeof(stack), "stack-%u", number);
	p = pack(r, stack, body, size, &w->flock.id, by);
	free(body);
	return p;
}

/* A hostile peer passes on as much as it likes of keys that it made up: an eighth of the store is theirs at most, what
 * counts is taken all the same, and so is what a grant makes count later. */
static void what_does_not_count_leaves_room_for_what_does(void **state)
{
	struct world w = world();
	struct actor stranger = actor(STRANGER);
	struct grant grant = {.operator_key = stranger.key, .role = ROLE_DEPLOY, .name = "late"};
	size_t size = 200000, fits = STORE_BYTES_MAX / 8 / size;
	struct packed p, last;
	unsigned kept;

	(void)state;
	said = 0;
	log_set(count_warnings, LOG_WARN);
	for (unsigned i = 0; i < fits + 20; i++) {
		p = revision(&w, &stranger, i, size);
		bring(&w, p.w.p, p.w.len);
		packed_free(&p);
	}
	assert_in_range(w.kept, fits - 2, fits);
	assert_in_range(gossip_counters(w.g)->records_over, 20, 22);
	assert_int_equal(gossip_counters(w.g)->records_bad, 0);
	assert_int_equal(said, 1);
	assert_false(w.closed);
	kept = w.kept;
	p = revision(&w, &w.flock.admin, 1, size);
	bring(&w, p.w.p, p.w.len);
	packed_free(&p);
	assert_int_equal(w.kept, kept + 1);
	last = revision(&w, &stranger, 5000, size);
	bring(&w, last.w.p, last.w.len);
	assert_null(store_get(gossip_store(w.g), &last.id));
	/* What counts of a sudden makes room, too. */
	p = make_grant(&w.flock.id, &grant, &w.flock.admin, 60);
	bring(&w, p.w.p, p.w.len);
	packed_free(&p);
	w.now.mono += 100; /* trust that changes twice in a moment is judged once */
	gossip_tick(w.g, w.now);
	bring(&w, last.w.p, last.w.len);
	assert_non_null(store_get(gossip_store(w.g), &last.id));
	packed_free(&last);
	log_set(NULL, LOG_WARN);
	end(&w);
}

/* As parts of a record and as messages alike. */
static void eight_bad_signatures_close_the_session(void **state)
{
	struct world w = world();

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct packed p = revision(&w, &w.flock.admin, i, 20);
		struct record r;

		assert_false(w.closed);
		assert_int_equal(record_decode(&r, p.w.p, p.w.len, NULL), 0);
		p.w.p[p.w.len - r.body_len - 5] ^= 1; /* in its signature */
		if (i % 2) {
			struct wr f;

			wr_init(&f, 4096);
			wr_u8(&f, FRAME_MSGS);
			wire_put_record(&f, p.w.p, p.w.len);
			gossip_on_frame(w.g, STREAM, f.p, f.len, w.now);
			carry_out(&w);
			wr_free(&f);
		} else {
			bring(&w, p.w.p, p.w.len);
		}
		packed_free(&p);
	}
	assert_true(w.closed);
	assert_int_equal(w.kept, 0);
	assert_int_equal(gossip_counters(w.g)->records_bad, 8);
	/* A new session begins anew. */
	open_stream(&w);
	assert_false(w.closed);
	end(&w);
}

/* A newer version's records, whose form this one does not know, are no sign of ill will. */
static void records_of_an_unknown_form_close_nothing(void **state)
{
	struct world w = world();

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct record r = {.kind = REC_SETTING, .stamp = i};
		uint8_t body[5000] = {(uint8_t)i}; /* longer than a setting may be */
		struct packed p = pack(r, "drain/1", body, sizeof(body), &w.flock.id, &w.flock.admin);

		bring(&w, p.w.p, p.w.len);
		packed_free(&p);
	}
	assert_int_equal(gossip_counters(w.g)->records_bad, 20);
	assert_false(w.closed);
	end(&w);
}

/* At the door everything is said: what, how much, what to do. */
static void a_limit_at_the_door_names_itself(void **state)
{
	struct world w = world();
	struct record r = {.kind = 60, .stamp = 1};
	uint8_t body[60000] = {0};
	struct packed p = pack(r, "x", body, sizeof(body), &w.flock.id, &w.flock.admin);
	struct err err = {0};

	(void)state;
	assert_int_equal(gossip_submit(w.g, p.w.p, p.w.len, 1, w.now, &err), -1);
	assert_non_null(strstr(err.text, "kind 60"));
	/* From the network the first is kept and passed on, a second is over what one author may have. */
	bring(&w, p.w.p, p.w.len);
	assert_int_equal(w.kept, 1);
	packed_free(&p);
	r.stamp = 2;
	p = pack(r, "x", body, sizeof(body), &w.flock.id, &w.flock.admin);
	assert_int_equal(
	        store_put((struct store *)gossip_store(w.g), p.w.p, p.w.len, false, NULL, &err), STORE_FULL);
	assert_non_null(strstr(err.text, "65536"));
	bring(&w, p.w.p, p.w.len);
	assert_int_equal(w.kept, 1);
	assert_int_equal(gossip_counters(w.g)->records_over, 1);
	packed_free(&p);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_does_not_count_leaves_room_for_what_does),
	        cmocka_unit_test(eight_bad_signatures_close_the_session),
	        cmocka_unit_test(records_of_an_unknown_form_close_nothing),
	        cmocka_unit_test(a_limit_at_the_door_names_itself),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
