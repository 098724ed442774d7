#include "node/keyseal.h"

#include "base/text.h"

#include <sodium.h>
#include <stdio.h>

static const char lead[] = "starling-", tail[] = "-sealed-1";

bool keyseal_is(const char *line)
{
	const char *end = line + strcspn(line, " ");
	size_t len = (size_t)(end - line), t = strlen(tail);

	return strncmp(line, lead, strlen(lead)) == 0 && len > strlen(lead) + t && memcmp(end - t, tail, t) == 0;
}

/* Cuts off the field that rest begins with; NULL when it is longer than max or there is none. */
static const char *field(char **rest, size_t max)
{
	char *at = *rest;
	size_t len = strcspn(at, " ");

	if (!len || len > max)
		return NULL;
	*rest = at + len + (at[len] == ' ');
	at[len] = '\0';
	return at;
}

static bool hex_field(char **rest, uint8_t *out, size_t len)
{
	const char *text = field(rest, 2 * len);

	return text && strlen(text) == 2 * len && hex_decode(out, len, text);
}

static bool number_field(char **rest, uint32_t *out)
{
	const char *text = field(rest, 10);
	uint64_t n;

	if (!text || !text_u64(text, 0, UINT32_MAX, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

int keyseal_parse(struct sealed_key *out, const char *line, const char *path, struct err *err)
{
	char buf[1024];
	char *rest = buf;
	const char *magic;

	*out = (struct sealed_key){0};
	text_copy(buf, sizeof(buf), line);
	magic = field(&rest, strlen(lead) + KEY_KIND_MAX - 1 + strlen(tail));
	if (!magic || strlen(line) >= sizeof(buf) || !keyseal_is(magic))
		return err_set(err, ERR_FAILED, "key file %s: not a sealed Starling key", path);
	text_copy(out->kind, strlen(magic) - strlen(lead) - strlen(tail) + 1, magic + strlen(lead));
	if (!hex_field(&rest, out->public_key.b, 32) || !number_field(&rest, &out->passes) ||
	        !number_field(&rest, &out->kib) || !hex_field(&rest, out->salt, sizeof(out->salt)) ||
	        !hex_field(&rest, out->nonce, sizeof(out->nonce)) ||
	        !hex_field(&rest, out->box, sizeof(out->box)))
		return err_set(err, ERR_FAILED,
		        "key file %s: the sealed key is cut or damaged; restore it from a copy", path);
	if (out->passes < 1 || out->passes > SEAL_PASSES_MAX || out->kib < SEAL_KIB_MIN ||
	        out->kib > SEAL_KIB_MAX)
		return err_set(err, ERR_FAILED,
		        "key file %s: opening it would take %u passes over %u KiB, and %d passes over %d KiB are the most "
		        "that is spent on a file; it is damaged, or nobody's of yours",
		        path, out->passes, out->kib, SEAL_PASSES_MAX, SEAL_KIB_MAX);
	text_copy(out->name, sizeof(out->name), rest);
	return 0;
}

/* Room for all fields before BOX. */
#define HEAD_MAX 320

static size_t put_head(char out[HEAD_MAX], const struct sealed_key *k)
{
	char public_key[65], salt[33], nonce[49];

	hex_encode(public_key, k->public_key.b, sizeof(k->public_key.b));
	hex_encode(salt, k->salt, sizeof(k->salt));
	hex_encode(nonce, k->nonce, sizeof(k->nonce));
	return (size_t)snprintf(out, HEAD_MAX, "%s%s%s %s %u %u %s %s", lead, k->kind, tail, public_key,
	        k->passes, k->kib, salt, nonce);
}

void keyseal_format(char *line, size_t cap, const struct sealed_key *k)
{
	char head[HEAD_MAX], box[2 * sizeof(k->box) + 1];

	put_head(head, k);
	hex_encode(box, k->box, sizeof(k->box));
	snprintf(line, cap, "%s %s %.200s\n", head, box, k->name);
}

static int stretch(const struct sealed_key *k, const char *pass, size_t len, uint8_t key[32], struct err *err)
{
	if (crypto_pwhash(key, 32, pass, len, k->salt, k->passes, (size_t)k->kib * 1024,
	            crypto_pwhash_ALG_ARGON2ID13) == 0)
		return 0;
	return err_set(err, ERR_FAILED,
	        "a passphrase takes %u MiB of memory to check, which this host does not give", k->kib / 1024);
}

int keyseal_close(struct sealed_key *k, const uint8_t seed[32], const char *pass, size_t len, struct err *err)
{
	uint8_t key[32];
	char head[HEAD_MAX];
	size_t head_len;

	randombytes_buf(k->salt, sizeof(k->salt));
	randombytes_buf(k->nonce, sizeof(k->nonce));
	if (stretch(k, pass, len, key, err) < 0)
		return -1;
	head_len = put_head(head, k);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
	        k->box, NULL, seed, 32, (const uint8_t *)head, head_len, NULL, k->nonce, key);
	sodium_memzero(key, sizeof(key));
	return 0;
}

int keyseal_open(const struct sealed_key *k, const char *pass, size_t len, const char *path, uint8_t seed[32],
        struct err *err)
{
	uint8_t key[32];
	char head[HEAD_MAX];
	size_t head_len;
	int rc;

	if (stretch(k, pass, len, key, err) < 0)
		return err_wrap(err, "key file %s", path);
	head_len = put_head(head, k);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
	        seed, NULL, NULL, k->box, sizeof(k->box), (const uint8_t *)head, head_len, k->nonce, key);
	sodium_memzero(key, sizeof(key));
	if (rc == 0)
		return 0;
	return err_set(err, ERR_UNAUTHORISED,
	        "key file %s: another passphrase sealed it (or the file was changed)", path);
}
