/* Key files sealed by a passphrase: what opens them, what does not, and what a hostile one can ask for. */
#include "tests/unit/node/scratch.h"

#include "base/text.h"
#include "node/keyfile.h"
#include "node/keyseal.h"

#include <sodium.h>

#include <sys/stat.h>

/* What the person at hand would type. */
struct person {
	const char *says;
	unsigned asked;
	bool fresh; /* the last time */
};

static int answer(void *ctx, const char *path, bool fresh, char *out, size_t *len, struct err *err)
{
	struct person *p = ctx;

	(void)path;
	p->asked++;
	p->fresh = fresh;
	if (!p->says)
		return err_set(err, ERR_FAILED, "nobody answers");
	*len = strlen(p->says);
	memcpy(out, p->says, *len);
	return 0;
}

static void read_text(const char *path, char out[1024])
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	out[fread(out, 1, 1023, f)] = '\0';
	fclose(f);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void a_sealed_key_opens_with_its_passphrase_alone(void **state)
{
	struct person p = {.says = "correct horse"};
	const char *path = scratch_path(*state, "op.key");
	struct keypair made, read;
	struct key32 public_key;
	struct err err = {0};
	char text[1024];
	struct stat st;

	keyfile_passphrases(answer, &p);
	assert_int_equal(keyfile_create_sealed(path, "operator", "ada", &made, &err), 0);
	assert_true(p.fresh);
	assert_int_equal(keyfile_load(path, "operator", &read, &err), 0);
	assert_false(p.fresh);
	assert_memory_equal(&made, &read, sizeof(made));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* The seed is nowhere in it; the public half is, and needs nobody. */
	read_text(path, text);
	{
		char seed[65];

		hex_encode(seed, made.secret, 32);
		assert_null(strstr(text, seed));
	}
	p.says = NULL;
	assert_int_equal(keyfile_public(path, NULL, &public_key, &err), 0);
	assert_true(key32_eq(&public_key, &made.public_key));
	assert_int_equal(keyfile_load(path, "operator", &read, &err), -1);
	assert_string_equal(err.text, "nobody answers");
	p.says = "correct horsf";
	assert_int_equal(keyfile_load(path, "operator", &read, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_non_null(strstr(err.text, "another passphrase"));
	keyfile_passphrases(NULL, NULL);
	assert_int_equal(keyfile_load(path, "operator", &read, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
}

/* Another kind is refused before anyone is asked. */
static void nobody_is_asked_for_a_key_of_the_wrong_kind(void **state)
{
	struct person p = {.says = "x"};
	const char *path = scratch_path(*state, "root.key");
	struct keypair key;
	struct err err = {0};

	keyfile_passphrases(answer, &p);
	assert_int_equal(keyfile_create_sealed(path, "root", "prod", &key, &err), 0);
	p.asked = 0;
	assert_int_equal(keyfile_load(path, "operator", &key, &err), -1);
	assert_non_null(strstr(err.text, "holds a root-key-1"));
	assert_int_equal(p.asked, 0);
}

static void a_bare_key_is_sealed_and_bared_again_and_stays_the_same(void **state)
{
	struct person p = {.says = "one"};
	const char *path = scratch_path(*state, "k");
	struct keypair made, read;
	char before[1024], after[1024];
	struct err err = {0};
	bool was;

	keyfile_passphrases(answer, &p);
	assert_int_equal(keyfile_create(path, "operator", "ada", &made, &err), 0);
	read_text(path, before);
	assert_int_equal(keyfile_seal(path, true, &was, &err), 0);
	assert_false(was);
	assert_int_equal(keyfile_load(path, "operator", &read, &err), 0);
	assert_memory_equal(&made, &read, sizeof(made));
	assert_int_equal(keyfile_seal(path, true, &was, &err), 0);
	assert_true(was);
	read_text(path, after);
	p.says = "two";
	assert_int_equal(keyfile_seal(path, false, &was, &err), -1);
	{
		char still[1024];

		read_text(path, still);
		assert_string_equal(still, after);
	}
	p.says = "one";
	assert_int_equal(keyfile_seal(path, false, &was, &err), 0);
	read_text(path, after);
	assert_string_equal(before, after);
}

static void a_peers_key_is_not_sealed(void **state)
{
	const char *path = scratch_path(*state, "peer.key");
	struct keypair key;
	struct err err = {0};
	bool was;

	assert_int_equal(keyfile_create(path, "peer", "x", &key, &err), 0);
	assert_int_equal(keyfile_seal(path, true, &was, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(keyfile_load(path, "peer", &key, &err), 0);
}

/* Whatever digit of the line is changed, it does not open; and no change makes it cost more than the bounds. */
static void a_changed_file_does_not_open(void **state)
{
	struct person p = {.says = "pass"};
	const char *path = scratch_path(*state, "k");
	struct sealed_key k = {.kind = "operator", .passes = 1, .kib = 8, .name = "ada"};
	uint8_t seed[32] = {7}, got[32];
	struct keypair pair;
	struct err err = {0};
	char line[1024];
	size_t head;

	keyfile_passphrases(answer, &p);
	keypair_from_seed(&pair, seed);
	k.public_key = pair.public_key;
	assert_int_equal(keyseal_close(&k, seed, "pass", 4, &err), 0);
	keyseal_format(line, sizeof(line), &k);
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(keyseal_parse(&k, line, "f", &err), 0);
	assert_int_equal(keyseal_open(&k, "pass", 4, "f", got, &err), 0);
	assert_memory_equal(got, seed, 32);
	assert_string_equal(k.name, "ada");
	head = strlen(line) - strlen(" ada");
	for (size_t i = 0; i < head; i++) {
		char changed[1024];
		struct sealed_key c;

		text_copy(changed, sizeof(changed), line);
		changed[i] = changed[i] == '1' ? '2' : '1';
		if (keyseal_parse(&c, changed, "f", &err) < 0)
			continue;
		assert_true(c.passes <= SEAL_PASSES_MAX && c.kib <= SEAL_KIB_MAX);
		if (c.passes == 1 && c.kib <= 128)
			assert_int_equal(keyseal_open(&c, "pass", 4, "f", got, &err), -1);
	}
	for (size_t cut = 0; cut < head; cut++) {
		char shorter[1024];
		struct sealed_key c;

		text_copy(shorter, cut + 1, line);
		assert_int_equal(keyseal_parse(&c, shorter, "f", &err), -1);
	}
	/* A file that names somebody else's public half would have its holder grant that key. */
	k.public_key.b[0] ^= 1;
	keyseal_format(line, sizeof(line), &k);
	write_text(path, line);
	assert_int_equal(keyfile_load(path, "operator", &pair, &err), -1);
}

static void a_hostile_file_costs_no_more_than_the_bounds(void **state)
{
	static const struct {
		const char *passes, *kib;
	} cases[] = {{"0", "64"}, {"17", "64"}, {"4294967295", "64"}, {"4294967296", "64"}, {"-1", "64"},
	        {"1", "7"}, {"1", "262145"}, {"1", "4294967295"}, {"1", ""}, {"", "64"}, {"1 ", "64"}};
	const char *path = scratch_path(*state, "k");
	struct person p = {.says = "x"};
	struct keypair key;
	struct err err = {0};

	keyfile_passphrases(answer, &p);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char line[1024];

		snprintf(line, sizeof(line), "starling-root-sealed-1 %064d %s %s %032d %048d %096d x\n", 1,
		        cases[i].passes, cases[i].kib, 2, 3, 4);
		write_text(path, line);
		assert_int_equal(keyfile_load(path, "root", &key, &err), -1);
		assert_non_null(strstr(err.text, path));
	}
	assert_int_equal(p.asked, 0);
	write_text(path, "starling-averyveryverylongkind-sealed-1 00\n");
	assert_int_equal(keyfile_load(path, "root", &key, &err), -1);
	write_text(path, "starling--sealed-1 00\n");
	assert_int_equal(keyfile_load(path, "root", &key, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(a_sealed_key_opens_with_its_passphrase_alone),
	        SCRATCH_TEST(nobody_is_asked_for_a_key_of_the_wrong_kind),
	        SCRATCH_TEST(a_bare_key_is_sealed_and_bared_again_and_stays_the_same),
	        SCRATCH_TEST(a_peers_key_is_not_sealed),
	        SCRATCH_TEST(a_changed_file_does_not_open),
	        SCRATCH_TEST(a_hostile_file_costs_no_more_than_the_bounds),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
