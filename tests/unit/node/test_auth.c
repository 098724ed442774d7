/* Who may ask what of an agent: every verb, from everywhere, with every role; and that a request is good once, here. */
#include "node/control/call.h"
/* fcntl.h has a struct flock of its own. */
#define flock known_flock
#include "tests/unit/gossip/flock.h"
#undef flock

enum { EYE = 41, DEPLOYER };

struct scene {
	struct known_flock f;
	struct agent agent;
	struct hello hello;
	struct actor self;
};

static void load(struct scene *s, struct packed p)
{
	assert_int_equal(gossip_load(s->agent.gossip, p.w.p, p.w.len, NULL), 0);
	packed_free(&p);
}

static struct packed grant_of(const struct scene *s, unsigned to, enum role role)
{
	struct grant g = {.operator_key = actor(to).key, .role = role, .name = "somebody"};

	return make_grant(&s->f.id, &g, &s->f.admin, 10 + to);
}

static struct scene *scene_new(void)
{
	struct scene *s = xcalloc(1, sizeof(*s));
	struct gossip_config cfg = {.boot = 3};
	struct admission a;
	struct wr w = record_wr();

	s->f = flock_new();
	s->self = actor(PEER_A);
	cfg.key = s->self.key;
	cfg.flock = s->f.id;
	memcpy(cfg.secret, s->self.secret, sizeof(cfg.secret));
	s->agent.gossip = gossip_new(&cfg);
	gossip_load(s->agent.gossip, s->f.genesis.w.p, s->f.genesis.w.len, NULL);
	gossip_load(s->agent.gossip, s->f.grant.w.p, s->f.grant.w.len, NULL);
	load(s, grant_of(s, EYE, ROLE_READ));
	load(s, grant_of(s, DEPLOYER, ROLE_DEPLOY));
	trust_vouch_first(&a, &s->f.id, &s->self.key, s->f.admin.secret);
	trust_make_admission(&w, &s->f.id, &a, 5, s->self.secret);
	load(s, packed_of(w));
	gossip_start(s->agent.gossip, (struct now){.mono = 1000, .wall = 1700000000000});
	s->hello = (struct hello){.flock = s->f.id, .peer = s->self.key, .boot = 3, .nonce = {7}};
	return s;
}

static void scene_free(struct scene *s)
{
	gossip_free(s->agent.gossip);
	flock_free(&s->f);
	free(s);
}

/* The request as it comes off the wire; signed for `to` by secret, or by nobody. */
static struct call ask(struct scene *s, const struct verb *v, enum control_origin origin, const struct hello *to,
        const uint8_t secret[64], struct wr *bytes)
{
	struct call c = {.agent = &s->agent, .verb = v, .origin = origin};
	struct wr args;

	wr_init(&args, 64);
	pk_map(&args, 0);
	wr_init(bytes, 4096);
	proto_request(bytes, v->name, 4, &args, to, secret);
	wr_free(&args);
	assert_int_equal(proto_read_request(&c.req, bytes->p + 4, bytes->len - 4, NULL), 0);
	return c;
}

static bool may(struct scene *s, const struct verb *v, enum control_origin origin, unsigned who, bool sign)
{
	static const struct key32 nobody;
	struct actor by = actor(who);
	struct wr bytes;
	struct call c = ask(s, v, origin, &s->hello, sign ? by.secret : NULL, &bytes);
	struct err err = {0};
	bool ok = call_authorise(&c, &s->hello, origin == ORIGIN_SOCKET ? &nobody : &by.key, &err) == 0;

	assert_int_equal(ok, !err.code);
	if (!ok)
		assert_int_equal(err.code, ERR_UNAUTHORISED);
	wr_free(&bytes);
	return ok;
}

static const struct verb *verb_of(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	fail_msg("no verb %s", name);
	return NULL;
}

/* The table of docs/threat-model.md. A verb that is not in it fails: somebody has to think about who may ask it. */
static const struct {
	const char *verb;
	bool list;         /* the socket's permissions are enough, or any operator's session */
	enum role signed_; /* else this role has to sign */
	bool peers, invite, out;
} matrix[] = {
        {"status", true, 0, false, false, true},
        {"members", true, 0, false, false, false},
        {"stacks", true, 0, false, false, false},
        {"ps", true, 0, false, false, false},
        {"tasks", true, 0, true, false, true},
        {"stack", true, 0, false, false, false},
        {"history", true, 0, false, false, false},
        {"signed", true, 0, false, false, false},
        {"keys", true, 0, false, false, false},
        {"peer", true, 0, false, false, false},
        {"tokens", true, 0, false, false, false},
        {"revocable", true, 0, false, false, false},
        {"explain", true, 0, false, false, false},
        {"setting", true, 0, false, false, false},
        {"drain", true, 0, false, false, false},
        {"submit", true, 0, false, false, false}, /* the record is signed, and judged by that */
        {"chain", true, 0, false, false, true},
        {"plan", false, ROLE_READ, false, false, false},
        {"rebalance", true, 0, false, false, false},
        {"inspect", false, ROLE_READ, false, false, false},
        {"logs", false, ROLE_READ, false, false, true},
        {"events", true, 0, true, false, false},
        {"usage", true, 0, true, false, false},
        {"volumes", true, 0, false, false, false},
        {"volume_rm", false, ROLE_DEPLOY, false, false, false},
        {"exec", false, ROLE_DEPLOY, false, false, false},
        {"images", true, 0, false, false, false},
        {"image_pull", false, ROLE_DEPLOY, false, false, false},
        {"image_put", false, ROLE_ADMIN, false, false, false},
        {"image_load", false, ROLE_ADMIN, false, false, false},
        {"image_rm", false, ROLE_ADMIN, false, false, false},
        {"relay", true, 0, false, false, false}, /* the peer that is meant judges what comes through */
        {"leave", false, ROLE_ADMIN, false, false, false},
        {"join", false, 0, false, true, false},
        {"admit", false, 0, false, true, false},
};

static void everybody_may_ask_what_the_table_says(void **state)
{
	static const struct {
		unsigned key;
		enum role role;
	} who[] = {{STRANGER, ROLE_NONE}, {EYE, ROLE_READ}, {DEPLOYER, ROLE_DEPLOY}, {ADMIN, ROLE_ADMIN},
	        {ROOT, ROLE_ROOT}};
	struct scene *s = scene_new();

	(void)state;
	assert_int_equal(ARRAY_LEN(matrix), n_verbs);
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		const struct verb *v = verb_of(matrix[i].verb);

		assert_int_equal(may(s, v, ORIGIN_SOCKET, STRANGER, false), matrix[i].list);
		assert_int_equal(may(s, v, ORIGIN_PEER, PEER_A, false), matrix[i].peers);
		assert_int_equal(may(s, v, ORIGIN_PEER, PEER_A, true), matrix[i].peers);
		assert_int_equal(may(s, v, ORIGIN_INVITE, INVITE, false), matrix[i].invite);
		assert_int_equal(may(s, v, ORIGIN_INVITE, ADMIN, true), matrix[i].invite);
		for (size_t k = 0; k < ARRAY_LEN(who); k++) {
			bool signs = matrix[i].signed_ && who[k].role >= matrix[i].signed_;

			assert_int_equal(may(s, v, ORIGIN_SOCKET, who[k].key, true), signs || matrix[i].list);
			assert_int_equal(may(s, v, ORIGIN_OPERATOR, who[k].key, true),
			        signs || (matrix[i].list && who[k].role));
			assert_int_equal(
			        may(s, v, ORIGIN_OPERATOR, who[k].key, false), matrix[i].list && who[k].role);
		}
	}
	scene_free(s);
}

static void a_peer_that_is_out_answers_only_of_itself(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	s->agent.out = OUT_EVICTED;
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		const struct verb *v = verb_of(matrix[i].verb);
		bool was = matrix[i].list || matrix[i].signed_;

		assert_int_equal(may(s, v, ORIGIN_SOCKET, ADMIN, true), was && matrix[i].out);
		assert_false(may(s, v, ORIGIN_INVITE, INVITE, false));
	}
	scene_free(s);
}

/* A signature holds for one peer, one boot of it, one connection and one request: no relay can use it again. */
static void a_signed_request_is_good_for_one_hello_only(void **state)
{
	static const struct key32 nobody;
	struct scene *s = scene_new();
	const struct verb *v = verb_of("leave");
	struct actor admin = actor(ADMIN);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct hello to = s->hello;
		struct call c;
		struct wr bytes;

		if (i == 1)
			to.nonce[15] ^= 1;
		if (i == 2)
			to.boot++;
		if (i == 3)
			to.peer.b[0] ^= 1;
		if (i == 4)
			to.flock.b[0] ^= 1;
		c = ask(s, v, ORIGIN_SOCKET, &to, admin.secret, &bytes);
		if (i == 5)
			c.req.seq++;
		assert_int_equal(call_authorise(&c, &s->hello, &nobody, NULL), i ? -1 : 0);
		wr_free(&bytes);
	}
	/* Nor for another verb, nor by another key than it names. */
	for (unsigned i = 0; i < 2; i++) {
		struct wr bytes;
		struct call c = ask(s, v, ORIGIN_SOCKET, &s->hello, admin.secret, &bytes);

		if (i)
			c.req.key = s->f.root.key;
		else
			text_copy(c.req.verb, sizeof(c.req.verb), "logs");
		assert_int_equal(call_authorise(&c, &s->hello, &nobody, NULL), -1);
		wr_free(&bytes);
	}
	scene_free(s);
}

/* Who watches, or follows logs, is asked again at each change. */
static void a_revoked_key_is_cut_off(void **state)
{
	struct scene *s = scene_new();
	struct actor eye = actor(EYE);
	struct call c = {.agent = &s->agent, .verb = verb_of("logs"), .origin = ORIGIN_SOCKET, .key = eye.key};
	struct err err = {0};
	struct packed p;
	struct wr w = record_wr();

	(void)state;
	assert_int_equal(call_authorise_still(&c, &err), 0);
	trust_make_revocation(&w, &s->f.id, &eye.key, NULL, 0, 90, NULL, 0, s->f.admin.secret);
	p = packed_of(w);
	assert_int_equal(gossip_submit(s->agent.gossip, p.w.p, p.w.len, 1, (struct now){.mono = 2000}, &err), 0);
	gossip_on_disk(s->agent.gossip, &p.id, true, (struct now){.mono = 2001});
	packed_free(&p);
	assert_int_equal(call_authorise_still(&c, &err), -1);
	assert_non_null(strstr(err.text, "revoked"));
	c.verb = verb_of("members");
	assert_int_equal(call_authorise_still(&c, &err), -1);
	c.key = (struct key32){{0}}; /* the bare socket */
	assert_int_equal(call_authorise_still(&c, &err), 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everybody_may_ask_what_the_table_says),
	        cmocka_unit_test(a_peer_that_is_out_answers_only_of_itself),
	        cmocka_unit_test(a_signed_request_is_good_for_one_hello_only),
	        cmocka_unit_test(a_revoked_key_is_cut_off),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
