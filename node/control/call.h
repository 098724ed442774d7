/* One request being answered; what the verbs see. Internal to node/control. */
#ifndef NODE_CONTROL_CALL_H
#define NODE_CONTROL_CALL_H

#include "base/list.h"
#include "node/control/control.h"

struct call {
	struct list link; /* in control.calls */
	struct control_conn *conn;
	struct agent *agent;
	struct control *control;
	const struct verb *verb;
	uint8_t *message; /* the request's bytes; req points into them */
	struct request req;
	enum control_origin origin;
	struct key32 key; /* who asks: session's key, or the request's signer; zero for the bare socket */
	enum role role;   /* of that key as an operator */
	bool watch;
	struct key32 last; /* hash of the rows sent last, for watchers */
	bool sent_once;
	uint64_t ticket; /* submit, admit: what GOSSIP_ACCEPTED will name */
	/* Then called, and ends the call; NULL: submit's answer. */
	void (*accepted)(struct call *c, unsigned copies, unsigned wanted);
	bool waiting; /* ps: details of other peers are on their way */
	/* What the client sends while this call is under way. NULL: its next request, which waits.
	 * input: each message; bytes: all bytes as they come, until the connection ends. */
	void (*input)(struct call *c, const uint8_t *msg, size_t len);
	void (*bytes)(struct call *c, const uint8_t *bytes, size_t len);
	/* All that was written is on its way: there is room for more (call_queued). */
	void (*drained)(struct call *c);
	void *state; /* verb's own */
	void (*free_state)(void *);
};

/* Rows of an answer, gathered before any is sent, so that watchers are told only of differences. */
struct rows {
	struct wr w;
	size_t *end; /* offset after each row */
	size_t n;
	size_t cap;
};

/* Bytes of one answer's rows: 10,000 tasks at 600 bytes. */
#define ROWS_BYTES_MAX (8 * 1024 * 1024)

void rows_init(struct rows *r);
void rows_free(struct rows *r);
/* Call after each row was packed into r->w. */
void rows_end(struct rows *r);

/* Who may ask. */
#define ASK_SOCKET 0x01 /* reading lists: the socket's permissions, or any operator's session */
#define ASK_PEERS  0x02 /* other agents */
#define ASK_INVITE 0x04
#define ASK_OUT    0x10 /* also of an agent whose peer is out of the flock: what it lists of others is stale */
#define ASK_SIGNED 0x08 /* needs a request signed by an operator with at least `role` */

struct verb {
	const char *name;
	unsigned who;
	enum role role;
	void (*run)(struct call *);
};
extern const struct verb verbs[];
extern const size_t n_verbs;

/* Decides whether the call may go on, and fills in who asks (key, role). hello is what this connection was greeted
 * with; session_key is zero on the local socket. */
int call_authorise(
        struct call *call, const struct hello *hello, const struct key32 *session_key, struct err *err);

/* The same for a call that goes on, such as a watcher's: keys are revoked, and what they may read changes. */
int call_authorise_still(const struct call *call, struct err *err);

/* Does a grant of that key let it deploy the stack; with those powers (0: any grant to deploy)? */
bool call_may_deploy(const struct trust *t, const struct key32 *key, const char *stack, uint32_t power);

void call_item(struct call *c, const struct wr *value);
/* A long answer is written while less than this many bytes wait for the reader, and goes on when c->drained is called:
 * a reader that does not read costs no memory. Enough for a disk's and a network's pace. */
#define CALL_QUEUE_HIGH (256 * 1024)
/* Bytes that wait for the client to read them. */
size_t call_queued(const struct call *c);
/* Reads no more of what the client sends; goes on with it. */
void call_pause(struct call *c, bool pause);
/* c->bytes: writes bytes that are no message. */
void call_write(struct call *c, const uint8_t *bytes, size_t len);
/* Ends the call and its connection; what is queued is still written when it goes over the network. */
void call_close(struct call *c);
/* The connection is gone, with the call, or will be. */
bool call_is_closing(const struct call *c);
/* Sends rows if they differ from what this watcher has; ends the call if it does not watch. */
void call_rows(struct call *c, struct rows *r);
/* Each of these ends the call and frees it. */
void call_end(struct call *c, const struct wr *value);
void call_fail(struct call *c, const struct err *err);

/* Arguments, by name; false when absent. A wrong type is a failure in err. */
int arg_text(const struct call *c, const char *name, char *out, size_t cap, bool *given, struct err *err);
int arg_u64(const struct call *c, const char *name, uint64_t *out, bool *given, struct err *err);
int arg_bool(const struct call *c, const char *name, bool *out, struct err *err);
int arg_bin(
        const struct call *c, const char *name, const uint8_t **out, size_t *len, bool *given, struct err *err);

/* A reader at the value of that name; false when it is absent. Then whether all was read well. */
bool arg_find(const struct call *c, const char *name, struct rd *r);
int arg_done(const struct call *c, const char *name, const struct rd *r, struct err *err);

/* Refuses to author here while this peer's clock is doubted, unless args.force_clock. */
int call_check_clock(const struct call *c, struct err *err);

void verb_status(struct call *);
void verb_members(struct call *);
void verb_stacks(struct call *);
void verb_ps(struct call *);
void verb_tasks(struct call *);
void verb_stack(struct call *);
void verb_history(struct call *);
void verb_signed(struct call *);
void verb_keys(struct call *);
void verb_inspect(struct call *);
void verb_explain(struct call *);
void verb_logs(struct call *);
void verb_relay(struct call *);
void verb_exec(struct call *);
void verb_usage(struct call *);
void verb_events(struct call *);
void verb_volumes(struct call *);
void verb_volume_rm(struct call *);
void verb_submit(struct call *);
/* Ends a submit's call: what became of its record. */
void submit_answer(struct call *c, const struct gossip_action *accepted);
void verb_setting(struct call *);
void verb_drain(struct call *);
void verb_plan(struct call *);
void verb_rebalance(struct call *);
void verb_peer(struct call *);
void verb_tokens(struct call *);
void verb_revocable(struct call *);
void verb_leave(struct call *);
void verb_join(struct call *);
void verb_admit(struct call *);
void verb_chain(struct call *);
void verb_images(struct call *);
void verb_image_pull(struct call *);
void verb_image_put(struct call *);
void verb_image_load(struct call *);
void verb_image_rm(struct call *);

/* What only a task's owner knows (ask.c fetches it from other peers). */
struct detail {
	id64 task;
	struct key32 peer;
	uint32_t round; /* which answer of that peer listed it last */
	char stack[NAME_MAX_BYTES];
	char service[NAME_MAX_BYTES];
	uint32_t slot;
	enum spec_driver driver;
	int64_t pid;
	uint32_t restarts;
	bool exited;
	int exit_code, exit_signal;
	uint64_t user_ms, system_ms, max_rss; /* bytes */
	bool oom;
	wall_ms started_at;
	wall_ms retry_at;
	char reason[256];
};

/* Reads one row of the verb `tasks`; peer and round are the caller's. -1 when it is malformed. */
int detail_read(struct detail *d, const uint8_t *bytes, size_t len);

struct ask;
struct ask *ask_new(struct control *c, struct agent *a);
void ask_free(struct ask *ask);
/* Fetches details from these peers; done is called once all have answered, failed, or ASK_TIMEOUT passed. Returns
 * false when there is nothing to wait for (done is not called). */
bool ask_refresh(struct ask *ask, const struct key32 *peers, size_t n, void (*done)(void *), void *ctx);
void ask_cancel(struct ask *ask, void *ctx);
const struct detail *ask_detail(const struct ask *ask, id64 task);
bool ask_is(const struct ask *ask, uint64_t id);
void ask_ready(struct ask *ask, uint64_t id);
void ask_frame(struct ask *ask, uint64_t id, const uint8_t *bytes, size_t len);
void ask_closed(struct ask *ask, uint64_t id);
struct ask *control_asker(struct control *c);

/* verb_relay.c: the peer sessions of clients that speak through this agent with another, by id. */
bool relay_is(uint64_t id);
void relay_ready(struct control *c, uint64_t id);
void relay_frame(struct control *c, uint64_t id, const uint8_t *bytes, size_t len);
void relay_closed(struct control *c, uint64_t id, bool refused, const char *why);
void relay_drained(struct control *c, uint64_t id);
/* The call of that verb under way for which `is` holds, or NULL. */
struct call *control_find_call(struct control *c, const struct verb *verb,
        bool (*is)(const struct call *, const void *), const void *ctx);
size_t control_count_calls(const struct control *c, const struct verb *verb);
/* A fresh id of a peer session that a relaying call opens. */
uint64_t control_relay_id(struct control *c);

/* Milliseconds to wait for other peers' details: a list must come even when a peer is gone. */
#define ASK_TIMEOUT 800

#endif
