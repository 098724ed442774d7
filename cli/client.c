#include "cli/client.h"

#include "base/hash.h"
#include "base/text.h"
#include "cli/transport.h"
#include "node/join.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

/* Port of peers where --peer names none. */
#define PEER_PORT 7827

/* Milliseconds for one of a token's addresses: the next one may answer. */
#define INVITE_CONNECT_MS 5000

struct client {
	const struct cli *cli;
	struct transport to;
	struct proto_in in;
	struct hello hello;
	uint32_t seq;
	bool have_key;
	bool relayed; /* the peer that it was opened to passes all on to another */
	struct keypair key;
	struct founding *chain; /* --peer: what the peer gave to show that it is one */
};

mono_ms clock_mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

wall_ms clock_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int client_key(const struct cli *cli, struct keypair *out, struct err *err)
{
	if (keyfile_load(cli->key_path, "operator", out, err) == 0)
		return 0;
	err_wrap(err,
	        "this needs an operator's key (--key FILE or STARLING_KEY; `starling init` makes the first)");
	if (err)
		err->code = ERR_UNAUTHORISED;
	return -1;
}

void client_flock_path(char out[FLOCK_PATH_MAX], const char *key_path)
{
	char dir[CLI_PATH_MAX];

	text_copy(dir, sizeof(dir), key_path);
	snprintf(out, FLOCK_PATH_MAX, "%s/flock", dirname(dir));
}

int client_flock(const struct cli *cli, struct key32 *out, struct err *err)
{
	char path[FLOCK_PATH_MAX];
	char hex[80] = "";
	FILE *f;

	client_flock_path(path, cli->key_path);
	f = fopen(path, "re");
	if (!f)
		return err_errno(
		        err, "--peer needs the flock's id, which `starling init` keeps in %s: open", path);
	if (fgets(hex, sizeof(hex), f))
		hex[strcspn(hex, " \r\n")] = '\0';
	fclose(f);
	if (!hex_decode(out->b, sizeof(out->b), hex))
		return err_set(
		        err, ERR_FAILED, "%s: not a flock's id (64 hex digits; see `starling status`)", path);
	return 0;
}

static int64_t time_limit(const struct cli *cli)
{
	return cli->timeout_ms ? cli->timeout_ms : CLIENT_TIMEOUT_MS;
}

/* One message, or none within ms. 1, 0, -1 as client_next(). */
static int take_message(struct client *c, int64_t ms, const uint8_t **msg, size_t *len, struct err *err)
{
	mono_ms until = clock_mono() + ms;

	for (;;) {
		struct err bad = {0};
		int64_t left;
		int got;

		*msg = proto_in_take(&c->in, len, &bad);
		if (*msg)
			return 1;
		if (bad.code)
			return err_set(err, bad.code, "%s: %s", c->to.to, bad.text);
		left = until - clock_mono();
		got = transport_read(&c->to, &c->in, MAX(left, (int64_t)0), err);
		if (got < 0)
			return -1;
		if (got == 0 && left <= 0)
			return 0;
	}
}

static int greet(struct client *c, struct err *err)
{
	const struct key32 *proved = c->relayed && !c->to.inner ? NULL : transport_peer(&c->to);
	struct reply reply;
	const uint8_t *msg;
	size_t len;
	int got = take_message(c, time_limit(c->cli), &msg, &len, err);

	if (got == 0)
		return err_set(err, ERR_TIMEOUT, "%s does not answer", c->to.to);
	if (got < 0)
		return -1;
	/* An agent that cannot serve one more says so instead. */
	if (proto_read_reply(&reply, msg, len, NULL) == 0 && reply.kind == REPLY_ERROR) {
		*err = reply.error;
		return err_wrap(err, "%s", c->to.to);
	}
	if (proto_read_hello(&c->hello, msg, len, err) < 0)
		return err_wrap(err, "%s", c->to.to);
	if (proved && !key32_eq(proved, &c->hello.peer))
		return err_set(
		        err, ERR_UNAUTHORISED, "%s says that it is another peer than its key proves", c->to.to);
	return 0;
}

static struct client *greeted(struct client *c, int connected, struct err *err)
{
	proto_in_init(&c->in);
	if (connected == 0 && greet(c, err) == 0)
		return c;
	client_close(c);
	return NULL;
}

/* A refusal says which flock was asked for, and which file told so: a stale one is the likeliest cause. */
static void name_flock(const struct cli *cli, const struct key32 *flock, struct err *err)
{
	char path[FLOCK_PATH_MAX], id[17];
	struct key32 kept;

	if (!err || err->code != ERR_UNAUTHORISED || client_flock(cli, &kept, NULL) < 0 ||
	        !key32_eq(&kept, flock))
		return;
	client_flock_path(path, cli->key_path);
	id64_text(id, key32_id(flock));
	err_wrap(err, "flock %s, which the file %s names", id, path);
}

struct client *client_open_peer(
        const struct cli *cli, const struct addr *addr, const struct key32 *flock, id64 id, struct err *err)
{
	struct client *c = xcalloc(1, sizeof(*c));
	int ret;

	c->cli = cli;
	c->to.fd = -1;
	ret = client_key(cli, &c->key, err);
	c->have_key = ret == 0;
	if (ret == 0) {
		ret = transport_tcp(&c->to, addr, flock, SESSION_OPERATOR, c->key.secret, time_limit(cli), err);
		if (ret < 0)
			name_flock(cli, flock, err);
	}
	c = greeted(c, ret, err);
	if (c && id && key32_id(&c->hello.peer) != id) {
		err_set(err, ERR_FAILED, "%s is peer %s, not the one that was there", c->to.to,
		        c->hello.peer_name);
		client_close(c);
		return NULL;
	}
	return c;
}

struct client *client_open_invite(const struct cli *cli, const struct addr *addr, const struct key32 *flock,
        const uint8_t secret[64], struct err *err)
{
	struct client *c = xcalloc(1, sizeof(*c));
	int64_t ms = MIN(time_limit(cli), (int64_t)INVITE_CONNECT_MS);

	c->cli = cli;
	c->to.fd = -1;
	return greeted(c, transport_tcp(&c->to, addr, flock, SESSION_INVITE, secret, ms, err), err);
}

static int add_record(void *ctx, const uint8_t *bytes, size_t len, struct err *err)
{
	const uint8_t *record;
	size_t record_len;
	struct rd r;

	rd_init(&r, bytes, len);
	record = up_bin(&r, &record_len);
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "the peer's answer");
	return founding_add(ctx, record, record_len, err);
}

/* Its key is proved; that the flock admitted that key, its records must show. It cannot hide less than all: that it was
 * evicted since, other peers say, not it. */
static int check_chain(struct client *c, const struct key32 *flock, struct err *err)
{
	c->chain = founding_new(flock);
	if (client_call(c, "chain", NULL, false, add_record, c->chain, NULL, 0, err) == 0 &&
	        founding_check_peer(c->chain, &c->hello.peer, err) == 0)
		return 0;
	return err_wrap(err, "--peer %s", c->cli->peer);
}

const struct trust *client_trust(const struct client *c)
{
	return c->chain ? founding_trust(c->chain) : NULL;
}

struct client *client_open(const struct cli *cli, struct err *err)
{
	struct client *c;

	if (cli->peer) {
		struct key32 flock;
		struct addr addr;

		if (addr_parse(&addr, cli->peer, PEER_PORT, err) < 0) {
			err_wrap(err, "--peer");
			err->code = ERR_USAGE;
			return NULL;
		}
		if (client_flock(cli, &flock, err) < 0)
			return NULL;
		c = client_open_peer(cli, &addr, &flock, 0, err);
		if (c && check_chain(c, &flock, err) < 0) {
			client_close(c);
			return NULL;
		}
		return c;
	}
	c = xcalloc(1, sizeof(*c));
	c->cli = cli;
	return greeted(c, transport_unix(&c->to, cli->data_dir, err), err);
}

/* Asks the peer to pass on all that follows to another; true once it does. */
static int ask_relay(struct client *c, const char *id, bool end_to_end, struct err *err)
{
	struct reply r;
	struct wr args;
	int got;

	wr_init(&args, 256);
	pk_map(&args, 2);
	pk_kv_str(&args, "peer", id);
	pk_kv_bool(&args, "end_to_end", end_to_end);
	got = client_request(c, "relay", &args, false, err);
	wr_free(&args);
	if (got == 0)
		got = client_next(c, time_limit(c->cli), &r, err);
	if (got < 0)
		return -1;
	if (got == 0)
		return err_set(err, ERR_TIMEOUT, "%s did not reach it in time", c->to.to);
	if (r.kind == REPLY_ERROR) {
		*err = r.error;
		return -1;
	}
	c->seq = 0;
	c->relayed = true;
	return 0;
}

static int relayed(struct client *c, id64 peer, const char *name, bool own, struct err *err)
{
	const struct cli *cli = c->cli;
	struct key32 flock = c->hello.flock;
	char text[17];

	id64_text(text, peer);
	if (own && !c->have_key && client_key(cli, &c->key, err) < 0)
		return -1;
	c->have_key |= own;
	if (ask_relay(c, text, own, err) < 0)
		return -1;
	if (own &&
	        transport_inner(&c->to, name, &flock, SESSION_OPERATOR, c->key.secret, time_limit(cli), err) < 0)
		return -1;
	if (!own)
		snprintf(c->to.to, sizeof(c->to.to), "peer %s", name);
	if (greet(c, err) < 0)
		return -1;
	if (key32_id(&c->hello.peer) == peer)
		return 0;
	return err_set(err, ERR_UNAUTHORISED, "%s: another peer answers in its place", c->to.to);
}

struct client *client_open_through(
        const struct cli *cli, const char *id, const char *name, bool own, struct err *err)
{
	struct client *c;
	id64 peer;

	if (!id64_parse(&peer, id)) {
		err_set(err, ERR_FAILED, "peer %.80s: not a peer's id", id);
		return NULL;
	}
	c = client_open(cli, err);
	if (!c || key32_id(&c->hello.peer) == peer || relayed(c, peer, name, own, err) == 0)
		return c;
	client_close(c);
	return NULL;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	transport_close(&c->to);
	proto_in_free(&c->in);
	founding_free(c->chain);
	sodium_memzero(&c->key, sizeof(c->key));
	free(c);
}

const struct hello *client_hello(const struct client *c)
{
	return &c->hello;
}

bool client_forces_clock(const struct client *c)
{
	return c->cli->force_clock;
}

int client_fd(const struct client *c)
{
	return c->to.fd;
}

int client_request(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err)
{
	struct wr none;
	struct wr msg;
	int ret;

	if (sign && !c->have_key) {
		if (client_key(c->cli, &c->key, err) < 0)
			return -1;
		c->have_key = true;
	}
	wr_init(&none, 16);
	pk_map(&none, 0);
	wr_init(&msg, CONTROL_MESSAGE_MAX + 4096);
	proto_request(&msg, verb, c->seq++, args ? args : &none, &c->hello, sign ? c->key.secret : NULL);
	ret = wr_ok(&msg) ? transport_write(&c->to, msg.p, msg.len, time_limit(c->cli), err)
	                  : err_set(err, ERR_FAILED, "%s: the request is too large", verb);
	wr_free(&msg);
	wr_free(&none);
	return ret;
}

int client_tell(struct client *c, const struct wr *value, struct err *err)
{
	struct wr msg;
	int ret;

	wr_init(&msg, CONTROL_MESSAGE_MAX + 4);
	wr_u32(&msg, (uint32_t)value->len);
	wr_bytes(&msg, value->p, value->len);
	ret = wr_ok(value) && wr_ok(&msg) ? transport_write(&c->to, msg.p, msg.len, time_limit(c->cli), err)
	                                  : err_set(err, ERR_FAILED, "what was to be said is too large");
	wr_free(&msg);
	return ret;
}

int client_next(struct client *c, int64_t wait_ms, struct reply *out, struct err *err)
{
	const uint8_t *msg;
	size_t len;
	int got = take_message(c, wait_ms, &msg, &len, err);

	if (got <= 0)
		return got;
	if (proto_read_reply(out, msg, len, err) < 0)
		return err_wrap(err, "%s", c->to.to);
	return 1;
}

int client_call(struct client *c, const char *verb, const struct wr *args, bool sign, client_row *row, void *ctx,
        struct wr *end, int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + (ms ? ms : time_limit(c->cli));

	if (client_request(c, verb, args, sign, err) < 0)
		return -1;
	for (;;) {
		struct reply r;
		int got = client_next(c, MAX(until - clock_mono(), (int64_t)0), &r, err);

		if (got == 0)
			return err_set(err, ERR_TIMEOUT, "%s did not answer in time", c->to.to);
		if (got < 0)
			return -1;
		if (r.kind == REPLY_ERROR)
			return err_set(err, r.error.code ? r.error.code : ERR_FAILED, "%s", r.error.text);
		if (r.kind == REPLY_ITEM && row && row(ctx, r.value, r.value_len, err) < 0)
			return -1;
		if (r.kind == REPLY_END) {
			if (end)
				wr_bytes(end, r.value, r.value_len);
			return 0;
		}
	}
}

static int add_row(void *ctx, const uint8_t *bytes, size_t len, struct err *err)
{
	if (json_array_append_new(ctx, value_json(bytes, len)) < 0)
		return err_set(err, ERR_FAILED, "the agent's answer cannot be read; is it of another version?");
	return 0;
}

json_t *client_list(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err)
{
	json_t *rows = json_array();

	if (client_call(c, verb, args, sign, add_row, rows, NULL, 0, err) == 0)
		return rows;
	json_decref(rows);
	return NULL;
}

json_t *client_get(struct client *c, const char *verb, const struct wr *args, bool sign, struct err *err)
{
	json_t *value = NULL;
	struct wr end;

	wr_init(&end, CONTROL_MESSAGE_MAX);
	if (client_call(c, verb, args, sign, NULL, NULL, &end, 0, err) == 0) {
		value = value_json(end.p, end.len);
		if (!value)
			err_set(err, ERR_FAILED, "the agent's answer cannot be read; is it of another version?");
	}
	wr_free(&end);
	return value;
}
