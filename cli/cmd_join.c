/* starling join TOKEN: makes this host a peer of the flock that the token names. See node/join.h for what is said. */
#include "cli/client.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/token.h"
#include "node/join.h"
#include "node/newpeer.h"

#include <sodium.h>
#include <stdio.h>

/* Times to claim another use of the invite when somebody else was faster. */
#define CLAIM_TRIES 4

const struct cli_option cmd_join_options[] = {{0}};

/* Everything that one attempt at one peer needs. */
struct attempt {
	struct cli *cli;
	const struct token *token;
	const struct keypair *invite;
	const struct keypair *peer;
	struct client *client;
	struct founding *founding;
	bool sent; /* the admission left this host: the flock may know our key from now on */
};

static int take_record(void *ctx, const uint8_t *bytes, size_t len, struct err *err)
{
	struct attempt *t = ctx;
	const uint8_t *record;
	size_t record_len;
	struct rd r;

	rd_init(&r, bytes, len);
	record = up_bin(&r, &record_len);
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "the peer's answer");
	return founding_add(t->founding, record, record_len, err);
}

/* Asks one step of `join`. */
static int ask(struct attempt *t, const struct wr *args, struct join_reply *out, struct err *err)
{
	struct wr end;
	int rc;

	wr_init(&end, 4096);
	rc = client_call(t->client, "join", args, false, NULL, NULL, &end, 0, err);
	if (rc == 0)
		rc = join_read_reply(out, end.p, end.len, err);
	wr_free(&end);
	return rc;
}

/* Gets a use of the invite and a countersignature for it. reply->member: it was had before. */
static int claim(struct attempt *t, struct admission *a, struct join_reply *reply, struct err *err)
{
	struct wr args;
	int rc;

	wr_init(&args, 4096);
	join_pack_ask(&args, &t->peer->public_key);
	rc = ask(t, &args, reply, err);
	if (rc == 0 && !reply->member) {
		trust_claim_invite(a, &t->token->flock, &t->peer->public_key, t->invite->secret, reply->use);
		wr_reset(&args);
		join_pack_claim(&args, a);
		rc = ask(t, &args, reply, err);
	}
	if (rc == 0 && !reply->member && !reply->vouched)
		rc = err_set(
		        err, ERR_FAILED, "the peer's answer has no countersignature; is it of another version?");
	a->voucher = reply->voucher;
	memcpy(a->voucher_sig, reply->voucher_sig, sizeof(a->voucher_sig));
	wr_free(&args);
	return rc;
}

/* Hands over the admission (NULL: it is there already) and takes the flock's records, page by page. */
static int admit(struct attempt *t, const struct wr *record, struct err *err)
{
	uint64_t from = 0;
	struct wr args, end;
	int rc = 0;

	wr_init(&args, RECORD_BYTES_MAX + 64);
	wr_init(&end, CONTROL_MESSAGE_MAX);
	do {
		uint64_t next = 0;

		wr_reset(&args);
		wr_reset(&end);
		join_pack_admit(&args, record, from);
		t->sent = true;
		rc = client_call(t->client, "admit", &args, false, take_record, t, &end, 0, err);
		if (rc == 0)
			rc = founding_add_members(t->founding, end.p, end.len, &next, err);
		if (rc == 0 && next && next <= from)
			rc = err_set(
			        err, ERR_FAILED, "the peer's answer begins again; is it of another version?");
		record = NULL;
		from = next;
	} while (rc == 0 && from);
	wr_free(&args);
	wr_free(&end);
	return rc;
}

static int admit_once(struct attempt *t, bool *claimed, struct err *err)
{
	struct join_reply reply;
	struct admission a = {0};
	struct wr record;
	int rc;

	*claimed = false;
	if (claim(t, &a, &reply, err) < 0)
		return -1;
	*claimed = true;
	if (reply.member) {
		rc = admit(t, NULL, err);
	} else {
		wr_init(&record, RECORD_BYTES_MAX);
		trust_make_admission(
		        &record, &t->token->flock, &a, client_hello(t->client)->stamp, t->peer->secret);
		rc = admit(t, &record, err);
		wr_free(&record);
	}
	return rc < 0 ? rc
	              : founding_check(t->founding, &t->peer->public_key, &client_hello(t->client)->peer, err);
}

/* With a peer that proved its key in a session of the token's flock. */
static int join_through(struct attempt *t, struct err *err)
{
	const struct hello *h = client_hello(t->client);
	bool claimed;
	int rc = -1;

	if (!key32_eq(&h->flock, &t->token->flock))
		return err_set(
		        err, ERR_USAGE, "token: of another flock than the peer's, which is %s", h->flock_name);
	/* Between a claim and its admission another host may take the use, through this peer or another; then the
	 * next one is tried. */
	for (int i = 0; i < CLAIM_TRIES && rc < 0; i++) {
		founding_free(t->founding);
		t->founding = founding_new(&t->token->flock);
		rc = admit_once(t, &claimed, err);
		if (rc < 0 && (!claimed || err->code != ERR_UNAUTHORISED))
			return -1;
	}
	return rc;
}

/* Each of the token's addresses in turn, until one says yes or no. */
static int join_any(struct attempt *t, struct err *err)
{
	char text[ADDR_TEXT_MAX], tried[512] = "";
	bool foreign = false;

	for (size_t i = 0; i < t->token->n_addrs; i++) {
		struct err why = {0};

		t->client = client_open_invite(
		        t->cli, &t->token->addrs[i], &t->token->flock, t->invite->secret, &why);
		if (t->client)
			return join_through(t, err);
		foreign = foreign || why.code == ERR_UNAUTHORISED;
		addr_text(text, &t->token->addrs[i]);
		cli_say(t->cli, "%s: %s", text, why.text);
		snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), "%s%s", i ? ", " : "", text);
	}
	if (foreign)
		return err_set(err, ERR_USAGE,
		        "token: no peer of its flock is at its addresses (%s); an agent there hung up, so it is of another "
		        "flock: create a new token there",
		        tried);
	return err_set(err, ERR_FAILED,
	        "no peer of the token answers (%s); is an agent running there, and can this host reach its TCP port?",
	        tried);
}

static void tell(struct cli *cli, const struct founding *f, const struct keypair *peer)
{
	char id[17];

	id64_text(id, key32_id(&peer->public_key));
	if (cli->quiet)
		fprintf(cli->out, "%s\n", id);
	else
		fprintf(cli->out,
		        "this host is peer %s of flock %s, which has %zu peers now\n"
		        "Next: starling agent --data %s\n",
		        id, founding_name(f), founding_peers(f), cli->data_dir);
}

int cmd_join(struct cli *cli)
{
	struct keypair invite;
	struct token token;
	struct new_peer n;
	struct attempt t = {.cli = cli, .token = &token, .invite = &invite, .peer = &n.keys};
	struct err err = {0};
	int rc;

	if (token_parse(&token, cli->args[0], &err) < 0) {
		err.code = ERR_USAGE;
		return cli_fail(cli, &err);
	}
	keypair_from_seed(&invite, token.invite_seed);
	rc = new_peer_open(&n, cli->data_dir, &err);
	if (rc == 0) {
		rc = join_any(&t, &err);
		if (rc == 0)
			rc = founding_store(t.founding, n.persist, &err);
		if (rc == 0)
			tell(cli, t.founding, &n.keys);
		else if (t.sent)
			n.made_key =
			        false; /* stays: the next attempt asks for the same peer, not for another use */
		new_peer_close(&n, rc == 0);
	}
	founding_free(t.founding);
	client_close(t.client);
	sodium_memzero(&token, sizeof(token));
	sodium_memzero(&invite, sizeof(invite));
	return rc == 0 ? 0 : cli_fail(cli, &err);
}
