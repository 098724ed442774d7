/* Joining a flock: what is refused and why, what is verified, and that nothing is half done. */
#include "tests/unit/node/birds.h"

static void a_token_admits_a_host(void **state)
{
	struct scratch *s = *state;
	struct member self = {0};
	struct new_peer n;
	struct adding adding = {0};
	struct err err = {0};
	struct keypair inv;
	uint8_t bytes[32];
	char name[80] = "addr/", dir[256];
	struct birds f;
	struct key32 flock;
	uint64_t next = 9;
	struct wr end;
	bool known;
	size_t len;

	found(&f, s, "birds");
	inv = invite(&f, 50, 1, NOW + HOUR);
	snprintf(dir, sizeof(dir), "%s", scratch_path(s, "second"));
	assert_int_equal(new_peer_open(&n, dir, &err), 0);
	assert_int_equal(join(&f, &inv, &n.keys, NOW + 1, &err), 0);
	assert_true(trust_peer(f.trust, &n.keys.public_key));

	adding.to = founding_new(&f.made.flock);
	join_each_record(f.store, add_record, &adding);
	assert_int_equal(adding.rc, 0);
	assert_int_equal(adding.count, 5);
	self.key = f.peer.public_key;
	assert_int_equal(addr_parse(&self.addr, "192.0.2.1:7827", 0, NULL), 0);
	wr_init(&end, 4096);
	join_pack_members(&end, &self, 1, 0);
	assert_int_equal(founding_add_members(adding.to, end.p, end.len, &next, &err), 0);
	assert_int_equal(next, 0);
	wr_free(&end);
	assert_int_equal(founding_check(adding.to, &n.keys.public_key, &f.peer.public_key, &err), 0);
	assert_string_equal(founding_name(adding.to), "birds");
	assert_int_equal(founding_peers(adding.to), 2);
	assert_int_equal(founding_store(adding.to, n.persist, &err), 0);
	founding_free(adding.to);
	new_peer_close(&n, true);

	n.persist = persist_open(dir, NULL, NULL, NULL, &err);
	assert_int_equal(join_flock_of(n.persist, &known, &flock, &err), 0);
	assert_true(known);
	hex_encode(name + 5, f.peer.public_key.b, 32);
	assert_int_equal(persist_get_hint(n.persist, name, bytes, sizeof(bytes), &len, &err), 0);
	assert_int_equal(len, 7); /* where the agent will find its first peer */
	persist_close(n.persist);
	assert_int_equal(new_peer_open(&n, dir, &err), -1);
	assert_non_null(strstr(err.text, "holds a peer"));
	lose(&f);
}

static void a_token_is_good_for_its_uses_and_its_time(void **state)
{
	struct keypair once, twice, none = keys_of(99), late;
	struct keypair a = keys_of(1), b = keys_of(2), c = keys_of(3), d = keys_of(4);
	struct err err;
	struct birds f;

	found(&f, *state, "birds");
	once = invite(&f, 50, 1, NOW + HOUR);
	twice = invite(&f, 51, 2, NOW + HOUR);
	late = invite(&f, 52, 1, NOW + 1000);
	assert_int_equal(join(&f, &once, &a, NOW, &err), 0);
	expect_refusal(join(&f, &once, &b, NOW, &err), &err, "for 1 use, and it was used");
	assert_int_equal(join(&f, &twice, &b, NOW, &err), 0);
	assert_int_equal(join(&f, &twice, &c, NOW, &err), 0);
	expect_refusal(join(&f, &twice, &d, NOW, &err), &err, "for 2 uses, and all were used");
	expect_refusal(join(&f, &late, &d, NOW + 1000, &err), &err, "expired at 2027-01-15T08:00:01.000Z");
	expect_refusal(join(&f, &none, &d, NOW, &err), &err, "not known here");
	assert_int_equal(join(&f, &late, &d, NOW + 999, &err), 0);
	assert_int_equal(trust_peers(f.trust, NULL, 0), 5);
	lose(&f);
}

/* Through two peers, of which neither knows what the other offered: both are offered use 0, both get a
 * countersignature; the second one's record comes late and tries again. */
static void of_two_hosts_at_the_same_moment_one_tries_again(void **state)
{
	struct keypair inv, a = keys_of(1), b = keys_of(2);
	struct join_reply ra, rb;
	struct wr wa, wb;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 2, NOW + HOUR);
	wr_init(&wa, RECORD_BYTES_MAX);
	wr_init(&wb, RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &a, NOW, &ra, &wa, &err), 0);
	f.offers = (struct join_offers){0};
	assert_int_equal(claim(&f, &inv, &b, NOW, &rb, &wb, &err), 0);
	assert_int_equal(ra.use, rb.use);
	assert_int_equal(admit(&f, &inv, &wa, NOW, &err), 0);
	expect_refusal(admit(&f, &inv, &wb, NOW, &err), &err, "taken");
	wr_free(&wb);
	assert_int_equal(join(&f, &inv, &b, NOW, &err), 0);
	assert_int_equal(trust_peers(f.trust, NULL, 0), 3);
	lose(&f);
}

static void a_host_whose_answer_was_lost_asks_again(void **state)
{
	struct keypair inv, a = keys_of(1);
	struct join_reply reply;
	struct wr record;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 1, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &a, NOW, &err), 0);
	wr_init(&record, RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &a, NOW + 2 * HOUR, &reply, &record, &err), 0); /* after its expiry */
	assert_true(reply.member);
	assert_int_equal(join_check_read(&inv.public_key, f.trust, &err), 0);
	inv = keys_of(77);
	expect_refusal(join_check_read(&inv.public_key, f.trust, &err), &err, "not known here");
	wr_free(&record);
	lose(&f);
}

static void an_evicted_peer_stays_out(void **state)
{
	struct keypair inv, a = keys_of(1);
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 5, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &a, NOW, &err), 0);
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_eviction(&w, &f.made.flock, &a.public_key, NULL, 0, f.stamp++, NULL, 0, f.admin.secret);
	take(&f, &w);
	expect_refusal(join(&f, &inv, &a, NOW, &err), &err, "evicted");
	lose(&f);
}

static void claims_and_records_of_others_are_refused(void **state)
{
	struct keypair inv, other, a = keys_of(1);
	struct admission adm;
	struct join_reply reply;
	struct wr args, record;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 2, NOW + HOUR);
	other = invite(&f, 51, 2, NOW + HOUR);
	wr_init(&args, 4096);
	wr_init(&record, RECORD_BYTES_MAX);
	/* A claim that another key signed; a use that the invite does not have. */
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, other.secret, 0);
	join_pack_claim(&args, &adm);
	expect_refusal(step(&f, &inv, &args, NOW, &reply, &err), &err, "not signed by the token's key");
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, inv.secret, 2);
	wr_reset(&args);
	join_pack_claim(&args, &adm);
	expect_refusal(step(&f, &inv, &args, NOW, &reply, &err), &err, "beyond the 2");
	/* A record of another invite than the session's; a countersignature that this peer never gave. */
	assert_int_equal(claim(&f, &other, &a, NOW, &reply, &record, &err), 0);
	expect_refusal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        &err, "another invite");
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, inv.secret, 0);
	adm.voucher = f.peer.public_key;
	memset(adm.voucher_sig, 7, sizeof(adm.voucher_sig));
	wr_reset(&record);
	trust_make_admission(&record, &f.made.flock, &adm, f.stamp++, a.secret);
	expect_refusal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        &err, "has not vouched");
	/* No admission at all. */
	wr_reset(&record);
	trust_make_invite(&record, &f.made.flock, &(struct invite){.id = a.public_key, .uses = 1, .expires = NOW},
	        f.stamp++, NULL, 0, f.admin.secret);
	assert_int_equal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        -1);
	assert_non_null(strstr(err.text, "no admission"));
	wr_free(&args);
	wr_free(&record);
	lose(&f);
}

static void the_joiner_believes_only_what_leads_to_its_tokens_flock(void **state)
{
	static const struct {
		uint8_t skip;
		const char *says;
	} table[] = {
	        {REC_GENESIS, "no genesis record of the token's flock"},
	        {REC_GRANT, "not admitted"},
	        {REC_ADMISSION, "not admitted"},
	        {REC_INVITE, "do not admit this host"},
	};
	struct keypair inv, joiner = keys_of(1), stranger = keys_of(2);
	struct adding adding;
	struct birds f, other;
	struct err err = {0};

	found(&f, *state, "birds");
	found(&other, f.scratch, "fish");
	inv = invite(&f, 50, 1, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &joiner, NOW, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		adding = (struct adding){.to = founding_new(&f.made.flock), .skip = table[i].skip};
		join_each_record(f.store, add_record, &adding);
		expect_refusal(founding_check(adding.to, &joiner.public_key, &f.peer.public_key, &err), &err,
		        table[i].says);
		founding_free(adding.to);
	}
	/* All of it, but given by somebody who is not in it; and for somebody who is not in it. */
	adding = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_record(f.store, add_record, &adding);
	expect_refusal(founding_check(adding.to, &joiner.public_key, &stranger.public_key, &err), &err,
	        "do not trust its address");
	expect_refusal(founding_check(adding.to, &stranger.public_key, &f.peer.public_key, &err), &err,
	        "do not admit this host");
	founding_free(adding.to);
	/* Another flock's records do not even verify. */
	adding = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_record(other.store, add_record, &adding);
	expect_refusal(founding_check(adding.to, &joiner.public_key, NULL, &err), &err, "no genesis record");
	founding_free(adding.to);
	/* Bits that changed on the way. */
	adding = (struct adding){.to = founding_new(&f.made.flock), .flip = true};
	join_each_record(f.store, add_record, &adding);
	assert_int_equal(adding.rc, -1);
	founding_free(adding.to);
	lose(&f);
	lose(&other);
}

static void records_that_decide_nothing_are_not_taken(void **state)
{
	struct record r = {.kind = REC_VERDICT, .name_len = 1, .name = "x", .stamp = 1};
	struct founding *to;
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, *state, "birds");
	wr_init(&w, RECORD_BYTES_MAX);
	record_sign(&r, &f.made.flock, f.admin.secret);
	record_encode(&w, &r);
	to = founding_new(&f.made.flock);
	assert_int_equal(founding_add(to, w.p, w.len, &err), -1);
	assert_non_null(strstr(err.text, "not asked for"));
	founding_free(to);
	wr_free(&w);
	lose(&f);
}

struct paging {
	unsigned n;
	struct key32 seen[12000];
};

static void note_page(const struct stored *s, void *ctx)
{
	struct paging *p = ctx;

	assert_true(p->n < ARRAY_LEN(p->seen));
	p->seen[p->n++] = s->rec.id;
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

static void a_large_flock_comes_in_pages(void **state)
{
	struct paging *p = calloc(1, sizeof(*p));
	uint64_t from = 0, pages = 0;
	struct birds f;

	found(&f, *state, "birds");
	for (unsigned i = 0; i < 6000; i++) {
		struct invite inv = {.uses = 1, .expires = NOW};
		struct key32 id;
		struct wr w;

		hash32(&inv.id, &i, sizeof(i));
		wr_init(&w, RECORD_BYTES_MAX);
		trust_make_invite(&w, &f.made.flock, &inv, f.stamp++, NULL, 0, f.admin.secret);
		assert_int_equal(store_put(f.store, w.p, w.len, true, &id, NULL), STORE_NEW);
		wr_free(&w);
	}
	do {
		uint64_t next = join_page(f.store, from, note_page, p);

		assert_true(next == 0 || next > from);
		from = next;
		pages++;
	} while (from);
	assert_int_equal(p->n, 6003);
	assert_true(pages > 1);
	qsort(p->seen, p->n, sizeof(p->seen[0]), by_key);
	for (unsigned i = 1; i < p->n; i++)
		assert_true(key32_cmp(&p->seen[i - 1], &p->seen[i]) < 0); /* none twice */
	assert_int_equal(join_page(f.store, 1000000, note_page, p), 0);
	assert_int_equal(p->n, 6003);
	free(p);
	lose(&f);
}

static void the_living_are_named_first(void **state UNUSED)
{
	struct founding *to;
	struct member m[JOIN_MEMBERS_MAX + 8] = {0};
	struct key32 flock = {{1}};
	struct err err = {0};
	uint64_t next;
	struct wr w;
	struct rd r;

	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		m[i].key.b[0] = (uint8_t)i;
		m[i].state = i % 2 ? MEMBER_ALIVE : MEMBER_DEAD;
		m[i].addr =
		        (struct addr){.family = i == 1 ? 0 : 4, .port = (uint16_t)(i + 1), .ip = {127, 0, 0, 1}};
	}
	wr_init(&w, 65536);
	join_pack_members(&w, m, ARRAY_LEN(m), 7);
	to = founding_new(&flock);
	assert_int_equal(founding_add_members(to, w.p, w.len, &next, &err), 0);
	assert_int_equal(next, 7);
	founding_free(to);
	rd_init(&r, w.p, w.len);
	assert_int_equal(up_map(&r), 2);
	up_skip(&r);
	up_skip(&r);
	up_skip(&r);
	assert_int_equal(up_array(&r), JOIN_MEMBERS_MAX);
	assert_int_equal(up_array(&r), 2);
	up_bin_copy(&r, flock.b, 32);
	assert_int_equal(flock.b[0], 3); /* alive, and with an address */
	wr_free(&w);
}

/* Every decoder on changed, cut and lengthened input: an error or a value, never a crash. */
/* Claims first, admissions later: what many hosts do that are given one token at once. */
static void hosts_that_join_at_once_get_a_use_each(void **state)
{
	struct keypair inv, joiner[4] = {keys_of(31), keys_of(32), keys_of(33), keys_of(34)};
	struct join_reply reply[4];
	struct wr record[4];
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 30, 3, NOW + HOUR);
	for (uint32_t i = 0; i < 3; i++) {
		wr_init(&record[i], RECORD_BYTES_MAX);
		assert_int_equal(claim(&f, &inv, &joiner[i], NOW, &reply[i], &record[i], &err), 0);
		assert_int_equal(reply[i].use, i);
	}
	/* Asked again, it is the same one. */
	wr_init(&record[3], RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &joiner[1], NOW, &reply[3], &record[3], &err), 0);
	assert_int_equal(reply[3].use, 1);
	wr_free(&record[3]);
	assert_int_equal(admit(&f, &inv, &record[0], NOW, &err), 0);
	assert_int_equal(admit(&f, &inv, &record[2], NOW, &err), 0);
	assert_true(trust_peer(f.trust, &joiner[0].public_key));
	assert_true(trust_peer(f.trust, &joiner[2].public_key));
	/* One broke off; a fourth host gets what it left. Whoever is admitted second is told so. */
	wr_init(&record[3], RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &joiner[3], NOW, &reply[3], &record[3], &err), 0);
	assert_int_equal(reply[3].use, 1);
	assert_int_equal(admit(&f, &inv, &record[3], NOW, &err), 0);
	expect_refusal(admit(&f, &inv, &record[1], NOW, &err), &err, "use 1 of the token is taken");
	wr_free(&record[1]);
	lose(&f);
}

/* A host that broke off before others came holds its use for a moment only. */
static void an_offer_ends(void **state)
{
	struct keypair inv, joiner[2] = {keys_of(36), keys_of(37)};
	struct join_reply reply;
	struct err err = {0};
	struct wr record;
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 35, 2, NOW + HOUR);
	for (unsigned i = 0; i < 2; i++) {
		wr_init(&record, RECORD_BYTES_MAX);
		assert_int_equal(
		        claim(&f, &inv, &joiner[i], NOW + (i ? JOIN_OFFER_MS : 0), &reply, &record, &err), 0);
		assert_int_equal(reply.use, 0);
		wr_free(&record);
	}
	lose(&f);
}

static void hostile_bytes_are_errors(void **state UNUSED)
{
	static const uint8_t huge[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 0xdd, 0xff, 0xff, 0xff, 0xff};
	struct admission a = {.use = 3};
	struct founding *to;
	struct key32 flock = {{1}};
	struct join_ask ask;
	struct join_admit admit_args;
	struct join_reply reply;
	struct drbg rng;
	struct wr w[3];
	uint64_t next;
	struct err err;

	assert_int_equal(join_read_ask(&ask, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_admit(&admit_args, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_reply(&reply, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_ask(&ask, NULL, 0, &err), -1);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_init(&w[i], 65536);
	join_pack_claim(&w[0], &a);
	join_pack_admit(&w[1], &w[0], 5);
	join_pack_members(&w[2], &(struct member){.addr = {.family = 6, .port = 1}, .state = MEMBER_ALIVE}, 1, 0);
	assert_int_equal(join_read_ask(&ask, w[0].p, w[0].len, &err), 0);
	assert_int_equal(ask.use, 3);
	assert_int_equal(join_read_admit(&admit_args, w[1].p, w[1].len, &err), 0);
	assert_int_equal(admit_args.record_len, w[0].len);
	assert_int_equal(admit_args.from, 5);
	drbg_init_u64(&rng, 7, 7);
	to = founding_new(&flock);
	for (int i = 0; i < 20000; i++) {
		struct wr *from = &w[drbg_below(&rng, ARRAY_LEN(w))];
		size_t len = drbg_below(&rng, from->len + 1);
		uint8_t *copy = xmemdup(from->p, len);

		for (uint64_t flips = drbg_below(&rng, 4); len && flips; flips--)
			copy[drbg_below(&rng, len)] = (uint8_t)drbg_u64(&rng);
		join_read_ask(&ask, copy, len, &err);
		join_read_admit(&admit_args, copy, len, &err);
		join_read_reply(&reply, copy, len, &err);
		founding_add_members(to, copy, len, &next, &err);
		founding_add(to, copy, len, &err);
		free(copy);
	}
	founding_free(to);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_free(&w[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(a_token_admits_a_host),
	        SCRATCH_TEST(a_token_is_good_for_its_uses_and_its_time),
	        SCRATCH_TEST(of_two_hosts_at_the_same_moment_one_tries_again),
	        SCRATCH_TEST(a_host_whose_answer_was_lost_asks_again),
	        SCRATCH_TEST(an_evicted_peer_stays_out),
	        SCRATCH_TEST(claims_and_records_of_others_are_refused),
	        SCRATCH_TEST(the_joiner_believes_only_what_leads_to_its_tokens_flock),
	        SCRATCH_TEST(records_that_decide_nothing_are_not_taken),
	        SCRATCH_TEST(a_large_flock_comes_in_pages),
	        cmocka_unit_test(the_living_are_named_first),
	        SCRATCH_TEST(hosts_that_join_at_once_get_a_use_each),
	        SCRATCH_TEST(an_offer_ends),
	        cmocka_unit_test(hostile_bytes_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
