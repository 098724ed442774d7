/* starling token create: an invite that an admin signs, and the one string that a new host needs. */
#include "cli/authoring.h"
#include "cli/client.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/token.h"
#include "gossip/trust/trust.h"

#include <sodium.h>

/* Milliseconds that a token holds unless --expires says otherwise: long enough to set up a host by hand. */
#define EXPIRES_DEFAULT MINUTES(60)
/* The longest that may be asked for: a token is a key that lies about in histories and chats. */
#define EXPIRES_MAX (MINUTES(60) * 24 * 30)
/* Uses of one token: a rack, not a data centre. */
#define USES_MAX 1024

const struct cli_option cmd_token_create_options[] = {
        {"uses", 0, OPT_NUMBER, "N", "how many hosts may join with it (default: 1)"},
        {"expires", 0, OPT_DURATION, "DURATION", "for how long (default: 1h, at most 30d)"},
        {0},
};

struct addresses {
	struct token *token;
	id64 first; /* the peer that we speak to stands first */
	struct err err;
};

/* One row of `members`: takes the address of a peer that is alive. */
static void take_member(struct addresses *a, const json_t *row)
{
	const char *state = json_string_value(json_object_get(row, "state"));
	const char *text = json_string_value(json_object_get(row, "address"));
	const char *id = json_string_value(json_object_get(row, "id"));
	struct token *t = a->token;
	struct addr addr;
	id64 peer = 0;

	if (!state || !text || !id || strcmp(state, "alive") != 0 || addr_parse(&addr, text, 0, NULL) < 0)
		return;
	if (id64_parse(&peer, id) && peer == a->first) {
		/* The last place may have to go to it. */
		if (t->n_addrs == TOKEN_ADDRS_MAX)
			t->n_addrs--;
		memmove(&t->addrs[1], &t->addrs[0], t->n_addrs * sizeof(t->addrs[0]));
		t->addrs[0] = addr;
		t->n_addrs++;
	} else if (t->n_addrs < TOKEN_ADDRS_MAX) {
		t->addrs[t->n_addrs++] = addr;
	}
}

static int gather_addresses(struct client *c, struct token *token, struct err *err)
{
	struct addresses a = {.token = token, .first = key32_id(&client_hello(c)->peer)};
	json_t *rows = client_list(c, "members", NULL, false, err);
	size_t i;
	json_t *row;

	if (!rows)
		return -1;
	json_array_foreach (rows, i, row)
		take_member(&a, row);
	json_decref(rows);
	if (!token->n_addrs)
		return err_set(err, ERR_FAILED, "no peer's address is known yet; try again in a second");
	return 0;
}

static int create(struct cli *cli, struct client *c, uint32_t uses, int64_t expires_ms, struct token *token,
        char id[17], struct err *err)
{
	struct invite inv = {.uses = uses, .expires = clock_wall() + expires_ms};
	struct authoring a;
	struct keypair keys;
	struct wr record;
	int rc;

	token->flock = client_hello(c)->flock;
	randombytes_buf(token->invite_seed, sizeof(token->invite_seed));
	keypair_from_seed(&keys, token->invite_seed);
	inv.id = keys.public_key;
	id64_text(id, key32_id(&inv.id));
	sodium_memzero(&keys, sizeof(keys));
	if (gather_addresses(c, token, err) < 0 || authoring_begin(cli, c, &a, err) < 0)
		return -1;
	wr_init(&record, RECORD_BYTES_MAX);
	trust_make_invite(&record, &token->flock, &inv, a.stamp, a.prev, a.n_prev, a.key.secret);
	rc = authoring_submit(cli, c, &record, err);
	wr_free(&record);
	authoring_end(&a);
	return rc;
}

int cmd_token_create(struct cli *cli)
{
	uint64_t uses = cli_number(cli, "uses", 1);
	int64_t expires = cli_duration(cli, "expires", EXPIRES_DEFAULT);
	struct token token = {0};
	char text[TOKEN_TEXT_MAX], when[25], id[17] = "";
	struct err err = {0};
	struct client *c;
	int rc;

	if (uses < 1 || uses > USES_MAX)
		return cli_usage(cli, "--uses: a number from 1 to %d", USES_MAX);
	if (expires < 1000 || expires > EXPIRES_MAX)
		return cli_usage(cli, "--expires: from 1s to 30d");
	c = client_open(cli, &err);
	rc = c ? create(cli, c, (uint32_t)uses, expires, &token, id, &err) : -1;
	if (rc == 0)
		rc = token_format(text, &token, &err);
	client_close(c);
	sodium_memzero(&token, sizeof(token));
	if (rc < 0)
		return cli_fail(cli, &err);
	text_time(when, clock_wall() + expires);
	fprintf(cli->out, "%s\n", text);
	cli_say(cli, "token %s, for %u host%s, until %s; on each: starling join TOKEN", id, (unsigned)uses,
	        uses == 1 ? "" : "s", when);
	cli_say(cli, "Keep it secret: it admits whoever has it, until starling token revoke %s", id);
	sodium_memzero(text, sizeof(text));
	return 0;
}
