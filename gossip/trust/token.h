/* The one string that a new host needs: flock id, invite secret, where to find peers. */
#ifndef GOSSIP_TRUST_TOKEN_H
#define GOSSIP_TRUST_TOKEN_H

#include "base/addr.h"

#define TOKEN_ADDRS_MAX 8
/* Bytes of a token's text: 128 of keys and 8 IPv6 addresses in base64url, and the prefix. */
#define TOKEN_TEXT_MAX 512

struct token {
	struct key32 flock;
	uint8_t invite_seed[32]; /* Ed25519 seed of the invite's key pair */
	size_t n_addrs;
	struct addr addrs[TOKEN_ADDRS_MAX];
};

/* "STARLING1-" and base64url (RFC 4648 section 5, unpadded) of version, fields and a 4-byte checksum. */
int token_format(char out[TOKEN_TEXT_MAX], const struct token *t, struct err *err);
int token_parse(struct token *out, const char *text, struct err *err);

#endif
