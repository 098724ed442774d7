/*
 *	STARLING1- base64url of
 *	+---------+------------+-----------------+-------+--------------------+--------------+
 *	| 1 (u8)  | flock (32) | invite seed (32)| n (u8)| n addresses        | checksum (4) |
 *	+---------+------------+-----------------+-------+--------------------+--------------+
 *	                                                  family, port, ip      BLAKE2b of all before it
 */
#include "gossip/trust/token.h"

#include "base/hash.h"

#include <sodium.h>
#include <stdio.h>

#define TOKEN_PREFIX   "STARLING"
#define TOKEN_VERSION  1
#define CHECKSUM_BYTES 4
/* Bytes before encoding, at most: version, two keys, count, eight IPv6 addresses, checksum. */
#define TOKEN_BYTES_MAX (1 + 32 + 32 + 1 + TOKEN_ADDRS_MAX * 19 + CHECKSUM_BYTES)

static void checksum(struct key32 *out, const uint8_t *bytes, size_t len)
{
	struct hash_piece piece = {bytes, len};

	hash_pieces(out, "starling token 1", &piece, 1);
}

int token_format(char out[TOKEN_TEXT_MAX], const struct token *t, struct err *err)
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	struct key32 sum;
	struct wr w;
	int prefix;

	if (t->n_addrs > TOKEN_ADDRS_MAX)
		return err_set(
		        err, ERR_USAGE, "token: %zu addresses, at most %d fit", t->n_addrs, TOKEN_ADDRS_MAX);
	wr_fixed(&w, bytes, sizeof(bytes));
	wr_u8(&w, TOKEN_VERSION);
	wr_key32(&w, &t->flock);
	wr_bytes(&w, t->invite_seed, sizeof(t->invite_seed));
	wr_u8(&w, (uint8_t)t->n_addrs);
	for (size_t i = 0; i < t->n_addrs; i++)
		addr_put(&w, &t->addrs[i]);
	checksum(&sum, bytes, w.len);
	wr_bytes(&w, sum.b, CHECKSUM_BYTES);
	prefix = snprintf(out, TOKEN_TEXT_MAX, "%s%d-", TOKEN_PREFIX, TOKEN_VERSION);
	sodium_bin2base64(out + prefix, TOKEN_TEXT_MAX - (size_t)prefix, bytes, w.len,
	        sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof(bytes));
	return 0;
}

static int bad(struct err *err, const char *why)
{
	return err_set(
	        err, ERR_USAGE, "token: %s; run `starling token create` on a peer and copy the whole line", why);
}

static int read_fields(struct token *t, const uint8_t *bytes, size_t len, struct err *err)
{
	struct key32 sum;
	struct rd r;

	rd_init(&r, bytes, len);
	rd_u8(&r);
	rd_key32(&r, &t->flock);
	rd_copy(&r, t->invite_seed, sizeof(t->invite_seed));
	t->n_addrs = rd_u8(&r);
	if (t->n_addrs > TOKEN_ADDRS_MAX)
		return bad(err, "it is damaged (too many addresses)");
	for (size_t i = 0; i < t->n_addrs; i++) {
		addr_get(&r, &t->addrs[i]);
		if (!t->addrs[i].family || !t->addrs[i].port)
			rd_fail(&r, "no address");
	}
	if (rd_left(&r) < CHECKSUM_BYTES)
		return bad(err, "its end is missing");
	checksum(&sum, bytes, (size_t)(r.p - bytes));
	if (sodium_memcmp(rd_bytes(&r, CHECKSUM_BYTES), sum.b, CHECKSUM_BYTES) != 0)
		return bad(err, "it is damaged (its checksum is wrong)");
	return rd_left(&r) ? bad(err, "something follows its end") : 0;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

int token_parse(struct token *out, const char *text, struct err *err)
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	const char *end;
	size_t len;
	int rc;

	*out = (struct token){0};
	text = skip_blanks(text);
	if (strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
		return bad(err, "this is no Starling token (one starts with " TOKEN_PREFIX "1-)");
	text += strlen(TOKEN_PREFIX);
	if (text[0] == '\0' || (text[0] == '1' && text[1] == '\0'))
		return bad(err, "its end is missing");
	if (text[0] != '1' || text[1] != '-')
		return err_set(err, ERR_USAGE,
		        "token: it is of version %.8s, this program knows version 1; install the flock's version",
		        text);
	if (sodium_base642bin(bytes, sizeof(bytes), text + 2, strlen(text + 2), NULL, &len, &end,
	            sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return bad(err, "its end is missing, or it is damaged");
	if (*skip_blanks(end))
		return bad(err, "it is damaged (a character that no token has)");
	if (!len || bytes[0] != TOKEN_VERSION)
		return bad(err, len ? "it is damaged (unknown version inside)" : "its end is missing");
	rc = read_fields(out, bytes, len, err);
	sodium_memzero(bytes, sizeof(bytes));
	if (rc < 0)
		sodium_memzero(out, sizeof(*out));
	return rc;
}
