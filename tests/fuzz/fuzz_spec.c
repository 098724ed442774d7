/*
 * Bytes that placement decodes: the body of a revision, of facts, of a status page. The first byte says which. What is
 * accepted must come out of the encoder as it went in (a spec), and must be fit to be placed.
 */
#include "base/hash.h"
#include "placement/place.h"
#include "placement/spec/diff.h"
#include "placement/spec/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void place_it(const struct spec *spec, struct arena *arena)
{
	struct facts facts = {.name = "kite",
	        .version = "",
	        .arch = "amd64",
	        .os = "linux",
	        .cpu_milli = 4000,
	        .memory = 1ULL << 33,
	        .drivers = 1 << DRIVER_EXEC,
	        .ready = true,
	        .adopted = true};
	struct view_member member = {.facts = &facts, .boot = 1, .facts_boot = 1};
	struct view_stack stack = {.name = spec->name, .spec = spec, .have_body = true, .powers = ~0U};
	struct view view = {.n_members = 1, .members = &member, .n_stacks = 1, .stacks = &stack};
	struct placement p;
	size_t replicas = 0;

	for (size_t i = 0; i < spec->n_services; i++)
		replicas += spec->services[i].replicas;
	if (replicas > 1000) /* slow, and no other code */
		return;
	place(&view, arena, &p);
	for (size_t i = 0; i < p.n_slots; i++)
		require(p.slots[i].n_candidates == 1 || p.slots[i].reason != REASON_OK);
}

/* What a spec holds of templates can be filled in. */
static void expand(const struct spec *spec, struct arena *arena)
{
	static const struct template_values values = {{"a", "b", "c", "d", "e", "f", "1"}};

	for (size_t i = 0; i < spec->n_services; i++) {
		const struct service *s = &spec->services[i];

		for (size_t k = 0; k < s->n_env; k++)
			require(template_expand(arena, s->env[k].value, &values) != NULL);
		for (size_t k = 0; k < s->n_mounts; k++)
			require(!s->mounts[k].source || template_expand(arena, s->mounts[k].source, &values)[0]);
		require(!s->hostname || template_expand(arena, s->hostname, &values)[0]);
		(void)service_powers(s);
	}
}

static void try_spec(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct spec_diff diff;
	struct spec spec;
	struct err err;
	struct wr w;

	arena_init(&arena);
	if (spec_decode(&spec, &arena, data, size, &err) == 0) {
		wr_init(&w, BODY_BYTES_MAX);
		spec_encode(&w, &spec);
		/* A spec with features may hold keys that are not known here; those do not come out again. */
		require(wr_ok(&w) && (spec.n_features || (w.len == size && !memcmp(w.p, data, size))));
		wr_free(&w);
		spec_diff(&spec, &spec, &arena, &diff);
		require(diff.same == spec.n_services);
		place_it(&spec, &arena);
		expand(&spec, &arena);
	} else {
		require(err.code == ERR_USAGE && strlen(err.text) > 0);
	}
	arena_free(&arena);
}

static void try_facts(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct facts facts, again;
	struct wr w;

	arena_init(&arena);
	if (facts_decode(&facts, &arena, data, size, NULL) == 0) {
		wr_init(&w, BODY_BYTES_MAX);
		facts_encode(&w, &facts);
		require(wr_ok(&w) && facts_decode(&again, &arena, w.p, w.len, NULL) == 0);
		require(!strcmp(facts.name, again.name) && facts.n_labels == again.n_labels &&
		        facts.n_generic == again.n_generic && facts.n_volumes == again.n_volumes &&
		        facts.leaving == again.leaving);
		wr_free(&w);
	}
	arena_free(&arena);
}

static void try_claims(const uint8_t *data, size_t size)
{
	struct claim claims[PAGE_CLAIMS_MAX], back;
	uint8_t bytes[CLAIM_BYTES_MAX];
	size_t n;

	if (claims_decode(data, size, claims, PAGE_CLAIMS_MAX, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct wr w;
		struct rd r;

		(void)claim_serves(&claims[i]);
		wr_fixed(&w, bytes, sizeof(bytes));
		claim_put(&w, &claims[i]);
		require(wr_ok(&w) && task_state_name(claims[i].state) && task_health_name(claims[i].health));
		rd_init(&r, bytes, w.len);
		claim_get(&r, &back);
		require(rd_end(&r, NULL) == 0 && back.slot == claims[i].slot &&
		        back.n_ports == claims[i].n_ports);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 3) {
	case 0:
		try_spec(data + 1, size - 1);
		break;
	case 1:
		try_facts(data + 1, size - 1);
		break;
	default:
		try_claims(data + 1, size - 1);
	}
	return 0;
}
